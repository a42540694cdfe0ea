"""Fit a machine's figures to networks measured on it, for torch and for ONNX Runtime.

    python -m benchmarks.made_data.catalogue.fit measure     # this machine's times into benchmarks/data/measured_latencies.json
    python -m benchmarks.made_data.catalogue.fit             # the figures, from these times, into cic/cost/machines.json

Beside the three figures of every machine there are few more: rates of other types, of matrix products and transposed
convolutions, what a step of a recurrent layer takes to start, and the speed of the cache its weights are read from. Each is
an average over networks that hold such ops; none of the networks of `benchmarks.cost.catalogue_accuracy` is among them. Fitted
are whole networks and, at half the weight, two heads and tails of each: least squares of log ratios with a soft loss.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import asdict, dataclass
from datetime import date
from math import fsum
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.optimize import least_squares

from benchmarks.made_data.catalogue.networks import FITTED, ROOT, Network, traced
from cic.cost.families import families_of, multiplies
from cic.cost.host import describe_host
from cic.cost.machine import Machine
from cic.cost.measure import workbench_of
from cic.cost.roofline import predict
from cic.cost.stopwatch import relative_to
from cic.cost.timing import take_turns
from cic.graph import Op

MEASURED = ROOT / "benchmarks" / "data" / "measured_latencies.json"
CATALOGUE = ROOT / "cic" / "cost" / "machines.json"
NAME = "epyc-zen4-1-thread"
LACKS = {"torch": ("float16",), "onnxruntime": ()}
BUDGET_S = 0.6
SHARES = (0.35, 0.7)
HALF_WEIGHT = 0.5


@dataclass(frozen=True)
class Sample:
    """Some ops in a row, and what they took."""

    network: str
    ops: tuple[Op, ...]
    seconds: float
    weight: float


def main() -> None:
    torch.set_num_threads(1)
    if sys.argv[1:] == ["measure"]:
        measure_all()
        return
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    graphs = {(network.name, network.form): traced(network).graph.ops for network in FITTED}
    samples = samples_of(measured["networks"], graphs)
    body = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    machines = [fit(samples[runtime], runtime, measured) for runtime in ("torch", "onnxruntime")]
    kept = [entry for entry in body["machines"] if not entry["name"].startswith(NAME)]
    body["machines"] = kept + [asdict(machine) for machine in machines]
    CATALOGUE.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def measure_all() -> None:
    rows = []
    for network in FITTED:
        rows.append(measured_row(network))
        print(json.dumps({key: rows[-1][key] for key in ("name", "form", "whole_s")}), flush=True)
        gc.collect()
    host = describe_host()
    body = {"host": asdict(host), "threads": 1, "torch": torch.__version__, "date": date.today().isoformat()}
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    MEASURED.write_text(json.dumps(body)[:-1] + ', "networks": [\n' + lines + "\n]}\n", encoding="utf-8")


def measured_row(network: Network) -> dict[str, Any]:
    """Seconds of a whole network, and of head and tail where about 35 % and 70 % of its work is done."""
    model = traced(network)
    bench, ops = workbench_of(model), model.graph.ops
    whole = bench.whole()
    whole_s = take_turns([whole], BUDGET_S).seconds[0]
    halves = []
    for position in sorted({place(ops, share) for share in SHARES}):
        runs = [make() for make in bench.parts([ops[:position], ops[position:]])]
        head, tail = relative_to(whole, runs, BUDGET_S)
        halves.append({"head_ends_with": ops[position - 1].members[0], "head_s": head * whole_s, "tail_s": tail * whole_s})
    return {"name": network.name, "form": network.form, "whole_s": whole_s, "halves": halves}


def place(ops: tuple[Op, ...], share: float) -> int:
    """The number of ops that are about `share` of the work, a byte counted as ten operations."""
    work = np.cumsum([op.flops + 10 * op.memory_bytes for op in ops])
    return int(np.clip(np.searchsorted(work, share * work[-1]) + 1, 1, max(len(ops) - 1, 1)))


def samples_of(rows: list[dict[str, Any]], graphs: dict[tuple[str, str], tuple[Op, ...]]) -> dict[str, list[Sample]]:
    """By runtime."""
    runtime_of = {(network.name, network.form): network.runtime for network in FITTED}
    found: dict[str, list[Sample]] = {"torch": [], "onnxruntime": []}
    for row in rows:
        key = row["name"], row["form"]
        if key not in graphs:
            continue
        ops, into = graphs[key], found[runtime_of[key]]
        into.append(Sample(row["name"], ops, row["whole_s"], 1.0))
        for half in row["halves"]:
            ends = [index for index, op in enumerate(ops, 1) if half["head_ends_with"] in op.members]
            if len(ops) > 8 and ends:
                into.append(Sample(row["name"], ops[: ends[0]], half["head_s"], HALF_WEIGHT))
                into.append(Sample(row["name"], ops[ends[0] :], half["tail_s"], HALF_WEIGHT))
    return found


# The figures that are fitted, with a start and the bounds between which they may move.
FIGURES: dict[str, tuple[float, float, float]] = {
    "flops_per_s": (1e11, 1e10, 1e12), "memory_bytes_per_s": (8e9, 1e9, 1e11), "op_overhead_s": (1e-5, 5e-7, 1e-3),
    "family_rates.matrix product": (1.0, 0.2, 5.0), "family_rates.attention": (1.0, 0.1, 5.0),
    "family_rates.transposed convolution": (1.0, 0.1, 3.0), "family_rates.pooling": (1.0, 0.01, 10.0),
    "cache_bytes_per_s": (3e10, 5e9, 5e11),
    "step_s.lstm": (3e-6, 1e-7, 1e-3), "step_s.gru": (3e-6, 1e-7, 1e-3), "step_s.rnn": (3e-6, 1e-7, 1e-3),
    "type_rates.float16": (0.5, 0.005, 4.0), "type_rates.bfloat16": (1.5, 0.1, 8.0), "type_rates.float64": (0.5, 0.05, 2.0),
    "type_rates.int8": (2.0, 0.2, 10.0),
}  # fmt: skip


def fit(samples: list[Sample], runtime: str, measured: dict[str, Any]) -> Machine:
    """The machine whose predictions come closest."""
    held = {family for sample in samples for op in sample.ops for family in families_of(op.kinds)}
    types = {op.arithmetic for sample in samples for op in sample.ops if multiplies(op.kinds)}
    names = [name for name in FIGURES if name.partition(".")[2] in ("", *held, *types)]
    fixed = {
        "name": f"{NAME}-{runtime}", "threads": 1, "runtime": runtime, "lacks": LACKS[runtime],
        "fitted_families": tuple(sorted(held)), "fitted_types": tuple(sorted(types)),
        "source": f"measured {measured['date']} with torch {measured['torch']} on {measured['host']['processor']} (Zen 4),"
                  " benchmarks/data/measured_latencies.json",
    }  # fmt: skip
    start, low, high = (np.log([FIGURES[name][column] for name in names]) for column in range(3))

    def machine(logarithms: Any, error: float | None = None, digits: int = 15) -> Machine:
        return Machine(**fixed, **figures(names, np.exp(logarithms), digits), fit_error=error)

    def ratios(logarithms: Any) -> Any:
        candidate = machine(logarithms)
        return np.log([fsum(predict(op, candidate) for op in sample.ops) / sample.seconds for sample in samples])

    weights = np.array([sample.weight for sample in samples])
    found = least_squares(
        lambda logarithms: weights * ratios(logarithms), start, bounds=(low, high), loss="soft_l1", f_scale=0.2
    )
    errors = ratios(found.x)
    best = machine(found.x, round(median(abs(np.exp(errors[weights == 1.0]) - 1)), 3), digits=3)
    for sample, error in zip(samples, errors, strict=True):
        if sample.weight == 1.0:
            print(f"  {runtime:12s} {sample.network:28s} {sample.seconds * 1e3:9.2f} ms, predicted x {np.exp(error):.2f}")
    print(json.dumps(asdict(best), indent=1))
    return best


def figures(names: list[str], values: Any, digits: int) -> dict[str, Any]:
    """Numbers by name as arguments of a Machine; "table.key" goes into a table."""
    arguments: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        table, _, key = name.partition(".")
        rounded = float(f"{value:.{digits}g}")
        if key:
            arguments.setdefault(table, {})[key] = rounded
        else:
            arguments[name] = rounded
    return arguments


if __name__ == "__main__":
    main()
