"""How long does it take to find every optimal cut over the default box, after tracing and pricing?

    python -m benchmarks.decision.compile_time            # all torchvision classification networks, and DAGs up to 100,000 ops
    python -m benchmarks.decision.compile_time --quick    # seconds

Timed is what `cic.compile` does between pricing and assembling: compression, then the envelope with its proof. numba's
kernels are compiled before. All of it runs in one thread, so its processor time is given: on a quiet machine that is the
wall time, on a busy one it still is. Growth over DAGs in three shapes (see `benchmarks.decision.synthetic`) goes to
compile_time.png.
"""

from __future__ import annotations

import argparse
import gc
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.decision.synthetic import FAMILIES, JOINTLESS
from benchmarks.harness.report import Report, Section, Target, shared_options, show_time
from benchmarks.harness.torchvision_zoo import DEVICE, SERVER, classification_models, load
from cic.compilation.lowering import bounds, price_box
from cic.decision.conditions import Box
from compress.schedule import compress
from mincut.lower_envelope import envelope
from mincut.problem import Problem

SIZES, QUICK_SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000), (100, 300)
QUICK_MODELS = ("resnet18", "squeezenet1_1")
MOST_SECONDS = 2.0
STEEPEST = 1.2  # "close to linear": what a log-log slope may be
SLOPE_FROM = 1_000  # below, fixed costs show
LAST_DECADE = 10_000
LARGEST_JOINTLESS = 30_000  # of a DAG that does not fall into sections: these take minutes beyond


def main() -> None:
    """Measure and publish."""
    options = _options()
    names = options.models or (QUICK_MODELS if options.quick else classification_models())
    sizes = [size for size in (QUICK_SIZES if options.quick else SIZES) if size <= options.largest]
    timed(FAMILIES["U-Nets"](100))
    growth = {}
    for family, generate in (FAMILIES | JOINTLESS).items():
        growth[family] = []
        for size in [size for size in sizes if family in FAMILIES or size <= LARGEST_JOINTLESS]:
            growth[family].append(timed(generate(size)))
            print(family, growth[family][-1]["ops"], show_time(growth[family][-1]["seconds"]), flush=True)
    models, failed = {}, {}
    for name in names:
        try:
            started = perf_counter()
            problem = load(name).lowered.problem
            traced_s = perf_counter() - started
            models[name] = {**min((timed(problem) for _ in range(3)), key=lambda each: each["seconds"]), "trace_s": traced_s}
            print(name, models[name], flush=True)
        except Exception as error:  # a network that fails is a line of the table  # noqa: BLE001
            failed[name] = f"{type(error).__name__}: {error}"
            print(name, failed[name], flush=True)
        gc.collect()
    draw(growth, options.results / "compile_time.png")
    report(models, failed, growth).publish(options.results)


def timed(problem: Problem) -> dict[str, Any]:
    """Seconds of compression and envelope over the default box, and what came out."""
    started = process_time()
    reduction = compress(problem, bounds(Box(), 0.0)).reduction
    compressed = process_time()
    found = envelope(reduction.problem, price_box(Box()))
    ended = process_time()
    return {
        "ops": problem.op_count,
        "compressed_ops": reduction.problem.op_count,
        "placements": len(found.placements),
        "solves": found.solves,
        "complete": found.complete,
        "gap": found.gap,
        "compress_s": compressed - started,
        "envelope_s": ended - compressed,
        "seconds": ended - started,
    }


def slope(rows: list[dict[str, Any]], least: int = SLOPE_FROM, what: str = "seconds") -> float:
    """Least-squares slope of log seconds over log ops, from `least` ops on; 1 is linear."""
    far = [row for row in rows if row["ops"] >= least]
    rows = far if len(far) > 1 else rows
    return float(np.polyfit(np.log([row["ops"] for row in rows]), np.log([row[what] for row in rows]), 1)[0])


def draw(growth: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Both axes logarithmic, with a line of slope one to compare with."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for family, rows in growth.items():
        label = f"{family} (slope {slope(rows):.2f})"
        style = "-" if family in FAMILIES else "--"
        axes.loglog([row["ops"] for row in rows], [row["seconds"] for row in rows], style, marker="o", label=label)
    first = [rows[0] for rows in growth.values()]
    ops = np.array([min(row["ops"] for row in first), max(rows[-1]["ops"] for rows in growth.values())])
    axes.loglog(ops, min(row["seconds"] for row in first) * ops / ops[0], "k:", label="linear")
    axes.set_xlabel("ops")
    axes.set_ylabel("seconds to every optimal cut, proved")
    axes.set_title("Compression and envelope over the default box")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


COLUMNS = ("ops", "compressed", "cuts", "minimum cuts", "compression", "envelope", "both")
Networks, Growth = dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]]


def report(models: Networks, failed: dict[str, str], growth: Growth) -> Report:
    """Tables and targets."""
    return Report(
        "compile_time",
        "Time to find every optimal cut",
        [_network_table(models, failed), _growth_table(growth)],
        _targets(models, failed, growth),
        {"device": DEVICE, "server": SERVER, "models": models, "failed": failed, "growth": growth},
        (f"Between {DEVICE} and {SERVER}, over the default box of conditions. Networks: best of three runs.",),
        ("compile_time.png",),
    )


def _network_table(models: Networks, failed: dict[str, str]) -> Section:
    slowest_first = sorted(models.items(), key=lambda item: -item[1]["seconds"])
    return Section(
        "Networks",
        ("network", *COLUMNS, "tracing"),
        [(name, *_cells(row), show_time(row["trace_s"])) for name, row in slowest_first],
        tuple(f"Not measured: {name}: {why}" for name, why in failed.items()),
    )


def _growth_table(growth: Growth) -> Section:
    jointless = ", ".join(f"{family}, slope {slope(growth[family]):.2f}" for family in JOINTLESS)
    return Section(
        "Synthetic DAGs",
        ("shape", *COLUMNS),
        [(family, *_cells(row)) for family, rows in growth.items() for row in rows],
        (
            "The number of cuts that can be optimal grows too, and with it that of minimum cuts.",
            "Promised for DAGs that fall into sections (`mincut/sections.py`), as all these shapes do but the last. Without a "
            f"place where everything after depends on everything before, minimum cuts are of the whole: {jointless}.",
        ),
    )


def _targets(models: Networks, failed: dict[str, str], growth: Growth) -> list[Target]:
    slowest = max(models, key=lambda name: models[name]["seconds"])
    over = sum(row["seconds"] > MOST_SECONDS for row in models.values())
    every = [*models.values(), *(row for rows in growth.values() for row in rows)]
    promised = {family: rows for family, rows in growth.items() if family in FAMILIES}
    steep, complete = max(map(slope, promised.values())), sum(row["complete"] for row in every)
    slopes = [f"{family} {slope(rows):.2f} ({slope(rows, LAST_DECADE):.2f})" for family, rows in promised.items()]
    return [
        Target(
            f"at most 2 s for each of {len(models)} torchvision networks",
            f"slowest {show_time(models[slowest]['seconds'])} ({slowest}), {over} over 2 s",
            over == 0 and not failed,
        ),
        Target(
            f"close to linear up to {max(row['ops'] for row in every):,} ops (log-log slope at most {STEEPEST})",
            f"{', '.join(slopes)}; in brackets from {LAST_DECADE:,} ops on",
            steep <= STEEPEST,
        ),
        Target("every envelope complete", f"{complete} of {len(every)}", complete == len(every)),
    ]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        *(f"{row[name]:,}" for name in ("ops", "compressed_ops", "placements", "solves")),
        *(show_time(row[name]) for name in ("compress_s", "envelope_s", "seconds")),
    )


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "two networks, small DAGs")
    parser.add_argument("models", nargs="*", help="torchvision networks; default: all for classification")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="most ops of a synthetic DAG")
    return parser.parse_args()


if __name__ == "__main__":
    main()
