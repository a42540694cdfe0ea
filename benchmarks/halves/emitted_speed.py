"""Do an emitted head and tail together run as fast as the whole model does in one piece?

    OMP_NUM_THREADS=1 python -m benchmarks.halves.emitted_speed                        # ResNet-50, cuts at single tensors
    OMP_NUM_THREADS=1 python -m benchmarks.halves.emitted_speed --bundle resnet50.split   # the cuts of an emitted bundle

The whole is torch.jit.optimize_for_inference(freeze(trace(model))). All run in one process, in turn in every round, so that
a slow moment of the machine falls on all alike; given are medians, and the median over rounds of (head + tail) / whole.
Ends with code 1 if a ratio exceeds the promise.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.report import Report, Section, Target, shared_options
from cic.graph import Graph
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.formats.torchscript import quiet_torchscript
from codegen.loading import load_cut
from codegen.manifest import read_manifest
from codegen.torchvision_import import import_torchvision

PROMISE = 1.05


def main() -> int:
    """Measure, print a table, and say whether the promise is kept."""
    options = _options()
    model, example = build(options.model, options.size)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = options.bundle or emit(trace(model, (example,)), Path(scratch) / "bundle", options.cuts)
        rows = measure(model, example, bundle, options.rounds)
    result = report(options.model, rows)
    result.publish(options.results)
    return int(not result.kept)


def report(model: str, rows: list[dict[str, Any]]) -> Report:
    """The table, and the promise."""
    cells = [(row["cut"], f"{row['median_ms']:.2f}", f"{row['ratio']:.3f}") for row in rows]
    worst = max(row["ratio"] for row in rows)
    return Report(
        "emitted_speed",
        f"Head and tail of {model} against the whole",
        [Section("Median times", ("cut", "ms", "of the whole"), cells)],
        [Target(f"head and tail within {PROMISE} × the whole", f"{worst:.3f} ×", worst <= PROMISE)],
        {"model": model, "promise": PROMISE, "rows": rows},
    )


def build(name: str, size: int) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return a torchvision model with random weights and batch norm calibrated, and an image for it."""
    torch.manual_seed(0)
    model = getattr(import_torchvision().models, name)()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    model.train()
    with torch.no_grad():
        model(torch.randn(4, 3, size, size))
    return model.eval(), torch.randn(1, 3, size, size)


def emit(traced: TracedModel, directory: Path, count: int) -> Path:
    """Write the two ends and `count` cuts spread over those at which a single tensor crosses."""
    graph = traced.graph
    ends = [0, *single_tensor_cuts(graph), len(graph.ops)]
    chosen = sorted({ends[round(index * (len(ends) - 1) / (count + 1))] for index in range(count + 2)})
    plans = []
    for end in chosen:
        ops = graph.ops[:end]
        nodes = frozenset(node for op in ops for node in op.members)
        plans.append(CutPlan(f"{end}-ops-on-device", nodes, tuple(op.name for op in ops)))
    write_bundle(directory, traced.source, plans)
    return directory


def single_tensor_cuts(graph: Graph) -> list[int]:
    """Return after how many ops exactly one tensor is still to be read."""
    position = {op.name: index for index, op in enumerate(graph.ops)}
    position[None] = -1  # type: ignore[index]
    ends = []
    for end in range(1, len(graph.ops)):
        crossing = [
            tensor
            for tensor in graph.tensors
            if position[tensor.producer] < end and any(position[reader] >= end for reader in tensor.consumers)
        ]
        if len(crossing) == 1:
            ends.append(end)
    return ends


def measure(model: torch.nn.Module, example: torch.Tensor, bundle: Path, rounds: int) -> list[dict[str, Any]]:
    """Return a row for the whole and one for each cut: median time in ms and median ratio to the whole."""
    with quiet_torchscript(), torch.no_grad():
        whole = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, example, check_trace=False)))
    runs: dict[str, Callable[[], Any]] = {"whole": lambda: whole(example)}
    for record in read_manifest(bundle).cuts:
        cut = load_cut(bundle, record.id)
        runs[record.id] = lambda cut=cut: cut.tail(*cut.head(example))
    times: dict[str, list[float]] = {name: [] for name in runs}
    with torch.no_grad():
        for count in range(rounds + 3):  # the first three warm up
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                if count >= 3:
                    times[name].append(time.perf_counter() - start)
    return [
        {
            "cut": name,
            "median_ms": statistics.median(measured) * 1e3,
            "ratio": statistics.median(split / whole for split, whole in zip(measured, times["whole"], strict=True)),
        }
        for name, measured in times.items()
    ]


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "a small network, three rounds")
    parser.add_argument("--model", default="resnet50", help="a torchvision classification model")
    parser.add_argument("--size", type=int, default=224, help="height and width of the image")
    parser.add_argument("--cuts", type=int, default=6, help="how many cuts to spread over the model")
    parser.add_argument("--bundle", type=Path, help="measure the cuts of this emitted model instead")
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    if options.quick:
        options.model, options.size, options.cuts, options.rounds = "squeezenet1_1", 64, 2, 3
    return options


if __name__ == "__main__":
    sys.exit(main())
