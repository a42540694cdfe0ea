"""Fit the catalogue's figures to published latencies of whole models, and say how good the fit is.

    python -m benchmarks.made_data.fit_machines            # writes cic/cost/machines.json and benchmarks/results/fit_machines.*

Reads benchmarks/data/published_latencies.json, traces the same models, and chooses for every machine the three figures
of `cic.cost.machine.Machine` whose roofline predictions come closest to what was published: least squares of log ratios
with a soft loss, so that one odd log entry does not decide. Needs torchvision and scipy; about a minute on one core.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import nn

from benchmarks.harness.report import Report, Section, shared_options
from cic.cost.families import families_of
from cic.cost.machine import Machine
from cic.cost.pricing import price
from cic.graph import Graph
from cic.trace.fx.torch_trace import trace
from codegen.torchvision_import import import_torchvision

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "benchmarks" / "data" / "published_latencies.json"
CATALOGUE = ROOT / "cic" / "cost" / "machines.json"
IMAGE_SIZE = {"inception_v3": 299, "alexnet": 227, "squeezenet1_1": 227}

# Figures between which the search moves: flops a second, bytes a second, seconds an op.
LOWEST, HIGHEST = (1e8, 1e8, 1e-6), (1e14, 4e12, 1e-2)
STARTS = ((1e10, 1e9, 1e-4), (1e11, 1e10, 1e-4), (1e12, 1e11, 3e-5), (1e13, 3e11, 1e-5))
ALIASES = {
    "raspberry-pi-4": "raspberry-pi-4b",
    "raspberry-pi-3": "raspberry-pi-3b+",
    "raspberry-pi-zero-2": "raspberry-pi-zero-2w",
    "rpi3": "raspberry-pi-3b+",
    "rpi4": "raspberry-pi-4b",
    "rpi5": "raspberry-pi-5",
    "jetson-nano": "jetson-nano-gpu",
    "jetson-orin-nano": "jetson-orin-nano-gpu",
    "orin-nano": "jetson-orin-nano-gpu",
    "jetson-agx-xavier": "jetson-agx-xavier-gpu",
    "jetson-tx2-nx": "jetson-tx2-nx-gpu",
    "epyc-7742": "epyc-7742-64-threads",
    "i7-6700k": "i7-6700k-tensorflow",
    "v100": "tesla-v100",
}


def main() -> None:
    options = shared_options(__doc__).parse_args()
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))["machines"]
    names = sorted({name for entry in published for name in [*entry["milliseconds"], *entry.get("held_out", ())]})
    graphs = {name: graph_of(name) for name in names}
    machines, rows = [], []
    for entry in published:
        machine = fit(entry, graphs)
        machines.append(machine)
        rows += report(machine, entry, graphs)
        print_row(machine, [row for row in rows if row["machine"] == machine.name])
    # Those that benchmarks/made_data/catalogue/fit.py measured stay as they are.
    before = json.loads(CATALOGUE.read_text(encoding="utf-8"))["machines"]
    kept = [entry for entry in before if entry["name"] not in {machine.name for machine in machines}]
    body = {"aliases": ALIASES, "machines": [asdict(machine) for machine in machines] + kept}
    CATALOGUE.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    results(machines, rows).publish(options.results)


def graph_of(name: str) -> Graph:
    """The traced graph of a model, on one image of the size the latencies were published for."""
    print(f"tracing {name}", file=sys.stderr, flush=True)
    size = IMAGE_SIZE.get(name, 224)
    if name == "mobilenet_v1":
        model = mobilenet_v1()
    else:
        # Two of the models initialise very slowly, and weights do not matter here.
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        model = getattr(import_torchvision().models, name)(weights=None, **extra)
    return trace(model.eval(), (torch.rand(1, 3, size, size),), name=name).graph


def mobilenet_v1() -> nn.Module:
    """MobileNet of Howard et al. 2017, width 1.0; torchvision has the later two only."""

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        return [depthwise, nn.BatchNorm2d(inputs), nn.ReLU(), pointwise, nn.BatchNorm2d(outputs), nn.ReLU()]

    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    channels = 32
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for outputs, stride in plan:
        layers += block(channels, outputs, stride)
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


def fit(entry: dict[str, Any], graphs: dict[str, Graph]) -> Machine:
    """The machine whose predictions come closest to the entry's published latencies."""
    names = list(entry["milliseconds"])
    families = {family for name in names for op in graphs[name].ops for family in families_of(op.kinds)}
    held = {"lacks": entry["lacks"], "fitted_families": sorted(families), "fitted_types": ["float32"]}
    published_s = np.array([entry["milliseconds"][name] for name in names]) / 1e3

    def machine(logarithms: Sequence[float], error: float | None = None) -> Machine:
        flops, memory, overhead = (float(f"{value:.3g}") for value in np.exp(logarithms))
        return Machine(entry["name"], flops, memory, overhead, entry["threads"], error, entry["source"], **held)

    def log_ratios(logarithms: Sequence[float]) -> Any:
        flops, memory, overhead = np.exp(logarithms)
        candidate = Machine(entry["name"], float(flops), float(memory), float(overhead))
        return np.log([sum(price(graphs[name], candidate)) for name in names] / published_s)

    # No machine is faster than its data sheet says.
    limits = (entry.get("peak_flops_per_s"), entry.get("peak_memory_bytes_per_s"), None)
    highest = [min(bound, limit or bound) for bound, limit in zip(HIGHEST, limits, strict=True)]
    bounds = (np.log(LOWEST), np.log(highest))
    fits = [
        least_squares(log_ratios, np.log(np.minimum(start, np.array(highest) / 2)), bounds=bounds, loss="soft_l1",
                      f_scale=0.2)
        for start in STARTS
    ]  # fmt: skip
    best = min(fits, key=lambda found: found.cost)
    errors = [abs(float(ratio) - 1) for ratio in np.exp(log_ratios(best.x))]
    return machine(best.x, round(median(errors), 3))


def report(machine: Machine, entry: dict[str, Any], graphs: dict[str, Graph]) -> list[dict[str, Any]]:
    """One row for each published latency, fitted or held out."""
    rows = []
    for fitted, latencies in ((True, entry["milliseconds"]), (False, entry.get("held_out", {}))):
        for name, published_ms in latencies.items():
            predicted_ms = sum(price(graphs[name], machine)) * 1e3
            rows.append(
                {
                    "machine": machine.name,
                    "model": name,
                    "fitted": fitted,
                    "published_ms": published_ms,
                    "predicted_ms": float(f"{predicted_ms:.4g}"),
                    "relative_error": round(predicted_ms / published_ms - 1, 3),
                }
            )
    return rows


def print_row(machine: Machine, rows: list[dict[str, Any]]) -> None:
    worst = max(abs(row["relative_error"]) for row in rows if row["fitted"])
    print(
        f"{machine.name:28s} {machine.flops_per_s / 1e9:9.1f} GFLOP/s {machine.memory_bytes_per_s / 1e9:8.2f} GB/s"
        f" {machine.op_overhead_s * 1e6:8.1f} us  median {machine.fit_error:6.1%}  worst {worst:6.1%}",
        flush=True,
    )


def results(machines: Sequence[Machine], rows: list[dict[str, Any]]) -> Report:
    """The table of all machines."""
    held_out = [abs(row["relative_error"]) for row in rows if not row["fitted"]]
    fitted = [abs(row["relative_error"]) for row in rows if row["fitted"]]
    summary = {"median_error_fitted": round(median(fitted), 3), "median_error_held_out": round(median(held_out), 3)}
    note = (
        "Sources: the ncnn benchmark log (github.com/Tencent/ncnn, benchmark/README.md; fp16 and fp32 builds mixed) and "
        f"Scission (Lockhart et al., UCC 2020; TensorFlow). Models in *italics* were not fitted. Median error: fitted "
        f"{summary['median_error_fitted']:.1%}, not fitted {summary['median_error_held_out']:.1%}."
    )
    cells = []
    for machine in machines:
        mine = [row for row in rows if row["machine"] == machine.name]
        worst = max(abs(row["relative_error"]) for row in mine if row["fitted"])
        models = "; ".join(
            f"{row['model'] if row['fitted'] else '*' + row['model'] + '*'} {row['published_ms']:g} → {row['predicted_ms']:.3g}"
            for row in mine
        )
        cells.append((machine.name, f"{machine.fit_error:.0%}", f"{worst:.0%}", models))
    return Report(
        "fit_machines",
        "Predicted against published latencies of whole models",
        [Section("Machines", ("machine", "median", "worst", "model: published → predicted, ms"), cells, (note,))],
        [],
        {"summary": summary, "rows": rows},
    )


if __name__ == "__main__":
    main()
