"""Three tiers in a row against every assignment of a tier to every op; and how long n tiers take at 1,000 ops.

python -m benchmarks.decision.tiers
"""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.harness.bare_tables import NO_CALL
from benchmarks.harness.random_problems import network_shaped
from benchmarks.harness.random_tiers import random_tier_prices, small_tiers, to_tier_problem
from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.harness.tier_brute_force import cheapest_tiers
from cic.compilation.tiers import named_cuts
from cic.decision.tiered_model import TieredModel
from mincut.errors import InfeasibleError
from mincut.tiers import (
    TierBox,
    TierPrices,
    TierProblem,
    build_tiers,
    certify_tiers,
    make_tiers,
    solve_tiers,
    tier_envelope,
)

AMOUNTS = [0, 0, 1, 2, 7, 100, 12_345, 10**6, 10**9]
TIERS = (2, 3, 4, 5)
MOST_S = 5.0
TABLED, MOST_SOLVES = (2, 3, 4), 1500


def main() -> None:
    options = shared_options(__doc__, quick="a hundredth of the draws, and networks of 100 ops").parse_args()
    draws, ops, repetitions = (20, 100, 2) if options.quick else (2000, 1000, 9)
    placed, between, wrong = against_brute_force(draws)
    timed = {tiers: seconds(tiers, ops, repetitions) for tiers in TIERS}
    longest = max(timed.values())
    tables = [tabled(tiers, ops) for tiers in TABLED]
    three_s = next(row["seconds"] for row in tables if row["tiers"] == 3)
    report = Report(
        "tiers",
        f"Tiers in a row: {placed} random problems equal brute force, {ops} ops on {TIERS[-1]} tiers in {longest:.3f} s",
        [
            Section(
                f"Seconds to lay out, solve and certify a network of {ops} ops",
                ("tiers", "seconds, median"),
                [(str(tiers), f"{spent:.4f}") for tiers, spent in timed.items()],
                (f"{repetitions} networks each, shaped like real ones, at random bandwidths.",),
            ),
            Section(
                f"The table of every cut that can be optimal, {ops} ops, each uplink from 100 kbit/s to 10 Gbit/s",
                ("tiers", "cuts", "minimum cuts", "complete", "seconds", "a decision, µs"),
                [
                    (str(row["tiers"]), str(row["cuts"]), str(row["solves"]), "yes" if row["complete"] else "no",
                     f"{row['seconds']:.2f}", f"{row['decide_us']:.0f}")
                    for row in tables
                ],
                (f"One network each. The search ends after {MOST_SOLVES} minimum cuts at the latest.",),
            ),
        ],
        [
            Target(
                f"{draws} random problems on three tiers, half of them with codecs, equal brute force and are certified",
                f"{placed} equal, {wrong} not, {draws - placed - wrong} allow no placement; {between} use the tier in between",
                wrong == 0,
            ),
            Target(f"{ops} ops are solved in at most {MOST_S:g} s", f"{longest:.3f} s", longest <= MOST_S),
            Target(f"the table for three tiers takes at most {MOST_S:g} s", f"{three_s:.2f} s", three_s <= MOST_S),
        ],
        {"draws": draws, "ops": ops, "placed": placed, "between": between, "wrong": wrong, "seconds": timed, "tables": tables},
    )  # fmt: skip
    report.publish(options.results)
    if not report.kept:
        sys.exit(1)


def against_brute_force(draws: int) -> tuple[int, int, int]:
    """How many problems are placed as cheaply as can be, how many use the tier in between, and how many are placed wrongly."""
    rng, placed, between, wrong = random.Random(15), 0, 0, 0
    for draw in range(draws):
        plain = small_tiers(rng, 3, 7, amounts=AMOUNTS, with_codecs=bool(draw % 2))
        at = random_tier_prices(rng, 3)
        expected = cheapest_tiers(plain, at)
        try:
            network = build_tiers(to_tier_problem(plain))
        except InfeasibleError:
            wrong += expected is not None
            continue
        placement = solve_tiers(network, at)
        certify_tiers(network, placement)
        placed += placement.cost == expected
        between += bool((placement.tier == 1).any())
        wrong += placement.cost != expected
    return placed, between, wrong


def seconds(tiers: int, ops: int, repetitions: int) -> float:
    """Median over networks, after one that loads the kernel."""
    rng, spent = random.Random(ops), []
    for _ in range(repetitions + 1):
        problem = tiered(rng, tiers, ops)
        bandwidths = tuple(8000 // rng.randint(1, 1000) for _ in range(tiers - 1))
        at = TierPrices((1,) * tiers, bandwidths, bandwidths, (10**7,) * (tiers - 1))
        started = perf_counter()
        network = build_tiers(problem)
        certify_tiers(network, solve_tiers(network, at))
        spent.append(perf_counter() - started)
    return median(spent[1:])


def tabled(tiers: int, ops: int) -> dict[str, Any]:
    """The table of one network: what is in it, how long it takes, and how long one decision takes."""
    problem = tiered(random.Random(ops), tiers, ops)
    box = TierBox(((Fraction(8, 10), Fraction(80_000)),) * (tiers - 1), (Fraction(1),) * (tiers - 1))
    started = perf_counter()
    table = tier_envelope(problem, box, most_solves=MOST_SOLVES)
    spent = perf_counter() - started
    model = TieredModel(
        name="drawn", machines=tuple(map(str, range(tiers))), op_names=tuple(map(str, range(problem.op_count))),
        cuts=named_cuts(table.candidates), uplinks_bps=((1e5, 1e10),) * (tiers - 1), downlink_ratios=(1.0,) * (tiers - 1),
        rtts_s=(0.0,) * (tiers - 1), any_downlink=table.any_download, gap=table.gap if table.complete else None,
        graph_digest="-", weights_digest="-", inputs=NO_CALL,
    )  # fmt: skip
    started = perf_counter()
    for number in range(1, 101):
        model.decide([1e5 * number] * (tiers - 1))
    decide_us = (perf_counter() - started) / 100 * 1e6
    return {"tiers": tiers, "cuts": len(table.candidates), "solves": table.solves, "complete": table.complete, "seconds": spent,
            "decide_us": decide_us}  # fmt: skip


def tiered(rng: random.Random, tiers: int, ops: int) -> TierProblem:
    """A network-shaped graph; each tier takes between an eighth and all of the time of the one before."""
    plain = network_shaped(rng, ops)
    tier_ns = [plain.device_ns]
    while len(tier_ns) < tiers:
        tier_ns.append([time * rng.randint(1, 8) // 8 for time in tier_ns[-1]])
    tensors = [(producer, readers, size) for producer, readers, size, _ in plain.tensors]
    return make_tiers(tier_ns, tensors, download_bytes=plain.download_bytes)


if __name__ == "__main__":
    main()
