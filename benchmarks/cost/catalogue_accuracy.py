"""Catalogue prices against profiles measured here, for twelve networks that the figures were not fitted to.

    nice -n -20 python -m benchmarks.cost.catalogue_accuracy     # on a machine of the kind the entries were measured on

Each network is profiled with one thread, by torch or as an ONNX file by ONNX Runtime, and its measured time compared with the
sum of catalogue prices; two are recurrent, one computes in float16 and one in int8. A price more than twice off must come
with a warning (`cic.cost.doubts`). Writes benchmarks/results/catalogue_accuracy.json and .md; about ten minutes. Before it, on
another kind of machine: `python -m benchmarks.made_data.catalogue.fit measure`, then the same without `measure`.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import asdict
from math import fsum
from statistics import median
from time import perf_counter
from typing import Any

import torch

from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.made_data.catalogue.fit import NAME
from benchmarks.made_data.catalogue.networks import JUDGED, Network, traced
from cic.cost.catalogue import machine
from cic.cost.doubts import doubts
from cic.cost.host import describe_host
from cic.cost.measure import measure
from cic.cost.pricing import price

MEDIAN_ALLOWED, RATIO_ALLOWED = 0.2, 2.0
SECONDS_PER_OP, CUTS = 0.03, 4


def main() -> int:
    options = shared_options(__doc__, "the first network alone").parse_args()
    torch.set_num_threads(1)
    rows = []
    for network in JUDGED[:1] if options.quick else JUDGED:
        rows.append(row_of(network))
        print(json.dumps(rows[-1]), flush=True)
        gc.collect()
    errors = [abs(row["ratio"] - 1) for row in rows]
    silent = [row["name"] for row in rows if is_off(row["ratio"]) and not row["doubts"]]
    summary = {"median_error": round(median(errors), 3), "worst_ratio": worst([row["ratio"] for row in rows]), "silent": silent}
    result = report(rows, summary)
    result.publish(options.results)
    return int(not result.kept)


def row_of(network: Network) -> dict[str, Any]:
    """What was measured, what the catalogue says, and what it warns of; thirds are thirds of the ops by measured time."""
    started = perf_counter()
    model = traced(network)
    entry = machine(f"{NAME}-{network.runtime}")
    profile = measure(model, seconds_per_op=SECONDS_PER_OP, cuts=CUTS)
    predicted, measured = price(model.graph, entry), price(model.graph, profile)
    return {
        "name": network.name,
        "form": network.form,
        "machine": entry.name,
        "measured_ms": significant(profile.whole_s * 1e3),
        "predicted_ms": significant(fsum(predicted) * 1e3),
        "ratio": significant(fsum(predicted) / profile.whole_s),
        "thirds": thirds(predicted, measured),
        "doubts": list(doubts(model.graph, entry, network.runtime)),
        "seconds_spent": round(perf_counter() - started, 1),
    }


def thirds(predicted: tuple[float, ...], measured: tuple[float, ...]) -> list[float]:
    """Predicted over measured for each third of the measured time."""
    total, passed = fsum(measured), 0.0
    sums = [[0.0, 0.0] for _ in range(3)]
    for guess, truth in zip(predicted, measured, strict=True):
        part = sums[min(2, int(3 * passed / total))]
        part[0] += guess
        part[1] += truth
        passed += truth
    return [significant(guess / truth) for guess, truth in sums if truth > 0]


def is_off(ratio: float) -> bool:
    return not 1 / RATIO_ALLOWED <= ratio <= RATIO_ALLOWED


def worst(ratios: list[float]) -> float:
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio))


def significant(number: float) -> float:
    return float(f"{number:.3g}")


def report(rows: list[dict[str, Any]], summary: dict[str, Any]) -> Report:
    """The table, and what was promised."""
    cells = [
        (
            row["name"],
            row["form"],
            f"{row['measured_ms']:g}",
            f"{row['predicted_ms']:g}",
            f"{row['ratio']:g}",
            ", ".join(f"{part:g}" for part in row["thirds"]),
            "; ".join(row["doubts"]),
        )
        for row in rows
    ]
    columns = ("network", "run by", "measured, ms", "predicted, ms", "predicted / measured", "thirds", "warnings")
    note = "Whole networks on one thread; `thirds` are predicted over measured for each third of the measured time."
    error, silent = summary["median_error"], summary["silent"]
    return Report(
        "catalogue_accuracy",
        "Catalogue prices against profiles, networks that were not fitted",
        [Section("Networks", columns, cells, (note,))],
        [
            Target(f"median error at most {MEDIAN_ALLOWED:.0%}", f"{error:.1%}", error <= MEDIAN_ALLOWED),
            Target(f"none more than {RATIO_ALLOWED:g} × off without a warning", ", ".join(silent) or "none", not silent),
        ],
        {"host": asdict(describe_host()), "threads": 1, "summary": summary, "rows": rows},
    )


if __name__ == "__main__":
    sys.exit(main())
