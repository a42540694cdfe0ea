"""How well do op times add up to the halves of a cut? Three ways of pricing against measured heads and tails.

    python -m benchmarks.cost.profile_accuracy resnet50 mobilenet_v3_large googlenet densenet121
    python -m benchmarks.cost.profile_accuracy --onnx resnet18 mobilenet_v2 encoder      # exported, run by ONNX Runtime

"encoder" is a transformer of the shape of BERT-mini: 4 layers of width 256, 128 tokens, random weights. For each model:
profile it, then measure heads and tails at cuts the profile has not seen, and compare with the sums of op times (a) measured
alone, (b) scaled to the whole, (c) as the profile prices them. Takes about two minutes a model on one core.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.harness.report import Report, Section, shared_options
from cic.cost.measure import measure, workbench_of
from cic.cost.stopwatch import relative_to
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from cic.trace.onnx.onnx_model import OnnxModel
from codegen.torchvision_import import import_torchvision

CUTS = 12
UNSEEN_CUTS = 11


def main() -> None:
    parser = shared_options(__doc__, "one small network")
    parser.add_argument("names", nargs="*", default=["resnet50", "mobilenet_v3_large", "googlenet", "densenet121"])
    parser.add_argument("--onnx", action="store_true", help="export to ONNX first and measure with ONNX Runtime")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for name in ["squeezenet1_1"] if options.quick else options.names:
        model, call = build(name)
        if options.onnx:
            with tempfile.TemporaryDirectory() as scratch:
                results[name] = compare(exported(model, call, Path(scratch) / f"{name}.onnx"))
        else:
            results[name] = compare(trace(model, call, name=name))
        print(name, json.dumps(results[name]), flush=True)
    report(results, f"profile_accuracy{'_onnx' if options.onnx else ''}", options.results).publish(options.results)


def report(results: dict[str, dict[str, Any]], name: str, folder: Path) -> Report:
    """The table; networks that were measured before and not now keep their rows."""
    path = folder / f"{name}.json"
    earlier = json.loads(path.read_text(encoding="utf-8"))["models"] if path.exists() else {}
    models = {**earlier, **results}
    columns = list(next(iter(models.values())))
    cells = [(model, *(str(row[column]) for column in columns)) for model, row in models.items()]
    return Report(
        name,
        "Op times against measured halves",
        [Section("Relative errors", ("network", *(column.replace("_", " ") for column in columns)), cells)],
        [],
        {"threads": 1, "models": models},
    )


def build(name: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """A network with random weights and its example call."""
    torch.manual_seed(0)
    if name == "encoder":
        layer = torch.nn.TransformerEncoderLayer(256, 4, 1024, activation="gelu", batch_first=True)
        return torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False).eval(), (torch.rand(1, 128, 256),)
    size = 299 if name == "inception_v3" else 224
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = getattr(import_torchvision().models, name)(weights=None, **extra).eval()
    return model, (torch.rand(1, 3, size, size),)


def exported(model: torch.nn.Module, call: tuple[torch.Tensor, ...], path: Path) -> OnnxModel:
    """The model as `torch.onnx` writes it, read back."""
    from cic.trace.onnx.onnx_trace import trace_onnx
    from codegen.formats.onnx_program import quiet_exporter

    with quiet_exporter():
        torch.onnx.export(model, call, path, dynamo=True, verbose=False, external_data=False)
    return trace_onnx(path, call)


def compare(traced: TracedModel | OnnxModel) -> dict[str, object]:
    """Relative errors of head and tail, median and worst over unseen cuts, for each way of pricing."""
    profile = measure(traced, cuts=CUTS)
    by_signature = {op.signature: op for op in profile.ops}
    ops = traced.graph.ops
    alone = [by_signature[op.signature].alone_s for op in ops]
    priced = [by_signature[op.signature].seconds for op in ops]
    scaled = [seconds * profile.whole_s / sum(alone) for seconds in alone]
    # Halves are timed in turn with the whole and compared in units of it, so that a drifting clock rate cancels.
    bench = workbench_of(traced)
    whole, whole_s = bench.whole(), profile.whole_s
    errors: dict[str, list[list[float]]] = {"alone": [[], []], "scaled": [[], []], "profile": [[], []]}
    together = []
    for position in unseen(priced):
        runs = [make() for make in bench.parts([ops[:position], ops[position:]])]
        shares = relative_to(whole, runs, 1.0)
        together.append(sum(shares))
        for way, times in (("alone", alone), ("scaled", scaled), ("profile", priced)):
            for side, predicted in enumerate((sum(times[:position]), sum(times[position:]))):
                errors[way][side].append(abs(predicted / (shares[side] * whole_s) - 1))
    return {
        "ops": len(ops),
        "whole_ms": round(whole_s * 1e3, 2),
        "sum_alone_over_whole": round(sum(alone) / profile.whole_s, 3),
        "head_and_tail_over_whole": round(median(together), 3),
    } | {
        f"{way}_{half}_{what}": round(of(sides[side]), 3)
        for way, sides in errors.items()
        for side, half in enumerate(("head", "tail"))
        for what, of in (("median", median), ("worst", max))
    }


def unseen(times: list[float]) -> list[int]:
    """Places that divide the priced time evenly; with 11 against 12 few were measured for the profile."""
    total, passed, places = sum(times), 0.0, []
    for position, seconds in enumerate(times[:-1], start=1):
        passed += seconds
        if passed * (UNSEEN_CUTS + 1) >= total * (len(places) + 1):
            places.append(position)
    return places


if __name__ == "__main__":
    main()
