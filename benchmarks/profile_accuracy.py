"""How well do op times add up to the halves of a cut? Three ways of pricing against measured heads and tails.

    python benchmarks/profile_accuracy.py resnet50 mobilenet_v3_large googlenet densenet121

For each model: profile it, then measure heads and tails at cuts the profile has not seen, and compare with the sums of op
times (a) measured alone, (b) scaled to the whole, (c) as the profile prices them. Takes about two minutes a model on one core.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from torchvision_beside_cpu_torch import import_torchvision  # noqa: E402

from cic.cost.measure import measure  # noqa: E402
from cic.cost.op_module import capture, extract, tensors_in  # noqa: E402
from cic.cost.stopwatch import optimise, relative_to  # noqa: E402
from cic.trace.torch_trace import TracedModel, trace  # noqa: E402

CUTS = 12
UNSEEN_CUTS = 11


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    models = import_torchvision().models
    results = {}
    for name in names:
        torch.manual_seed(0)
        size = 299 if name == "inception_v3" else 224
        extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model = getattr(models, name)(weights=None, **extra).eval()
        results[name] = compare(trace(model, (torch.rand(1, 3, size, size),), name=name))
        print(name, json.dumps(results[name]), flush=True)
    path = ROOT / "benchmarks" / "results" / "profile_accuracy.json"
    path.write_text(json.dumps({"torch": str(torch.__version__), "threads": 1, "models": results}, indent=1) + "\n")


def compare(traced: TracedModel) -> dict[str, object]:
    """Relative errors of head and tail, median and worst over unseen cuts, for each way of pricing."""
    profile = measure(traced, cuts=CUTS)
    by_signature = {op.signature: op for op in profile.ops}
    ops = traced.graph.ops
    alone = [by_signature[op.signature].alone_s for op in ops]
    priced = [by_signature[op.signature].seconds for op in ops]
    scaled = [seconds * profile.whole_s / sum(alone) for seconds in alone]
    # Halves are timed in turn with the whole and compared in units of it, so that a drifting clock rate cancels.
    whole, whole_s = optimise(traced.module, tensors_in(traced)), profile.whole_s
    errors: dict[str, list[list[float]]] = {"alone": [[], []], "scaled": [[], []], "profile": [[], []]}
    together = []
    for position in unseen(priced):
        modules = [extract(traced, [n for op in part for n in op.members]) for part in (ops[:position], ops[position:])]
        values = capture(traced, {name for module in modules for name in module.inputs})
        runs = [optimise(module.module, [values[name] for name in module.inputs]) for module in modules]
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
    main(sys.argv[1:] or ["resnet50", "mobilenet_v3_large", "googlenet", "densenet121"])
