"""Scission reproduced: 18 networks between device, edge and cloud, by a look-up instead of an enumeration of all partitions.

Data, networks, criteria and the example are those that Scission published (Lockhart et al., UCC 2020). Its search is
re-implemented from its description (`benchmarks.peers.scission`). For each network and each question, minimum cuts find every
partition that can be the fastest; then both answer on both published networks, and the latencies must be the same nanosecond.

    OMP_NUM_THREADS=1 python -m benchmarks.tiers.scission
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.harness.report import Report, Section, Target, shared_options, show_ratio, show_time
from benchmarks.harness.timing import interleaved, ratio
from benchmarks.peers.scission import KeptPartitions, Question, Rules, allowed, as_printed, query, rules
from benchmarks.tiers.block_tables import BlockTable, Line, block_table
from benchmarks.tiers.published_chains import TIERS, Chain, Link, Links, Published, load

QUICK = "nasnetmobile"
FASTER = 1000
ROUNDS, QUICK_ROUNDS = 15, 3
Rows = list[dict[str, Any]]


def questions(chain: Chain) -> dict[str, Question]:
    """Each kind of criterion that the README and the program know; layers and limits are shares of the network's own."""

    def layer(share: float) -> int:
        return chain.layers[int(share * (chain.block_count - 1))][0]

    early, middle, late = layer(0.2), layer(0.5), layer(0.8)
    device_ns, edge_ns, cloud_ns = (sum(chain.ns[machine]) for machine in ("raspi4", "2500", "6700k(NoGPU)"))
    smallest = sorted(chain.output_bytes)[chain.block_count // 3]
    return {
        "nothing": Question(),
        "the device runs something": Question(device=rules("!-1")),
        "the device runs nothing": Question(device=rules("-1")),
        "no edge": Question(edge=rules("-1")),
        "some edge": Question(edge=rules("!-1")),
        "no cloud": Question(cloud=rules("-1")),
        "some cloud": Question(cloud=rules("!-1")),
        # In a text of criteria it would be a layer.
        "the edge is 2500": Question(edge=Rules(machine="2500")),
        "not vm2Core": Question(edge=rules("!vm2Core")),
        "layers pinned to all three": Question(rules(f"{early}"), rules(f"{middle}"), rules(f"{late}")),
        "layers kept off all three": Question(rules(f"!{late}"), rules(f"!{middle}"), rules(f"!{early}")),
        "layers and machines, as in the README's table": Question(
            rules(f"{early}, !{late}, raspi4"), rules("-1"), rules(f"{late}, !6700k(GPU)")
        ),
        "the device sends little": Question(device=rules("", most_bytes=smallest)),
        "device and edge send little": Question(rules("!-1", most_bytes=smallest), rules("!-1", most_bytes=smallest)),
        "the device computes a third of its time": Question(device=rules("", most_ns=device_ns // 3)),
        "the edge computes a third of its time": Question(edge=rules("!-1", most_ns=edge_ns // 3)),
        "the cloud computes a third of its time": Question(cloud=rules("!-1", most_ns=cloud_ns // 3)),
        "the device does at most half of the computing": Question(device=rules("!-1", most_percent=50)),
        "the edge does at most half of the computing": Question(edge=rules("!-1", most_percent=50)),
        "the cloud does at most half of the computing": Question(cloud=rules("!-1", most_percent=50)),
    }


def main() -> None:
    options = shared_options(__doc__, quick=f"{QUICK} alone, and {QUICK_ROUNDS} rounds of timing").parse_args()
    published = load()
    chains = [published.chains[name] for name in ([QUICK] if options.quick else sorted(published.chains))]
    printed = readme_answers(published)
    cells: Rows = []
    timed: Rows = []
    for number, chain in enumerate(chains, start=1):
        print(f"{number} of {len(chains)}: {chain.name}", file=sys.stderr, flush=True)
        tables = {}
        for name, question in questions(chain).items():
            tables[name], row = compared(published, chain, name, question)
            cells.append(row)
        timed.append(timed_queries(published, chain, tables["nothing"], QUICK_ROUNDS if options.quick else ROUNDS))
    report = reported(printed, cells, timed, published)
    report.publish(options.results)
    if not report.kept and not options.quick:
        sys.exit(1)


def readme_answers(published: Published) -> Rows:
    """The example of the README: what is printed there, the enumeration, and what minimum cuts find on those machines alone.

    It is the only place where the times of the GPU are used. The last answer is the second best of the machines of the first:
    what minimum cuts find where its last layer at the edge is asked for, too.
    """
    readme = published.readme
    chain, links = published.chains[readme["model"]], published.networks[readme["network"]]
    asked = Question(*(rules(readme[tier]) for tier in TIERS))
    listed = query(chain, published.machines, links, asked)
    rows: Rows = []
    seen = set()
    for answer, (latency_ns, partition) in zip(readme["answers"], listed, strict=False):
        used = partition[:3]
        machines = {tier: (name,) for tier, name in zip(TIERS, used, strict=True)}
        last = f", {chain.layers[partition.up_to_edge - 1][1]}" if used in seen else ""
        seen.add(used)
        narrowed = Question(asked.device, rules(readme["edge"] + last), asked.cloud)
        found = block_table(chain, machines, narrowed).fastest(links)
        rows.append(
            {
                "printed": answer,
                "enumerated": as_printed(latency_ns, partition, chain),
                "cut_ns": None if found is None else found.latency_ns(links),
                "enumerated_ns": latency_ns,
            }
        )
    return rows


def compared(published: Published, chain: Chain, name: str, question: Question) -> tuple[BlockTable, dict[str, Any]]:
    """The table of a question, and the latencies that it and the enumeration find on each network."""
    started = perf_counter()
    table = block_table(chain, published.costed, question)
    compiled_s = perf_counter() - started
    found = {}
    for network, links in published.networks.items():
        listed = query(chain, published.costed, links, question)
        best = table.fastest(links)
        found[network] = [listed[0][0] if listed else None, None if best is None else best.latency_ns(links)]
    row = {
        "network": chain.name,
        "question": name,
        "compiled_s": round(compiled_s, 4),
        "lines": len(table.lines),
        "found_ns": found,
    }
    return table, row


def timed_queries(published: Published, chain: Chain, table: BlockTable, rounds: int) -> dict[str, Any]:
    """Seconds for the fastest partition of all, at another bandwidth of the device's link in each round."""
    draw = random.Random(chain.name)
    kept = allowed(chain, published.costed, Question())
    matrix = KeptPartitions(kept)
    by_uplink = {name: table.by_uplink(links) for name, links in published.networks.items()}
    calls, apart = [], 0
    for number in range(rounds):
        name = list(published.networks)[number % len(published.networks)]
        links = with_uplink(published.networks[name], draw.randrange(80, 8000))
        calls.append(_calls(chain, published, kept, matrix, table, by_uplink[name], links))
        found = {label: _latency_ns(call(), links) for label, call in calls[-1].items()}
        apart += len(set(found.values())) != 1
    taken = interleaved(calls)
    ways = {label: median(times) for label, times in taken.items()}
    return {
        "network": chain.name,
        "blocks": chain.block_count,
        "partitions": len(kept),
        "lines": len(table.lines),
        "points": max(len(each.points) for each in by_uplink.values()),
        "disagreements": apart,
        "seconds": ways,
        "times_faster": {label: ratio(times, taken["look-up"]) for label, times in taken.items()},
    }


WAYS = ("enumeration", "kept and priced anew", "kept, one product", "all lines weighed", "look-up")


def _calls(
    chain: Chain,
    published: Published,
    kept: Sequence[Any],
    matrix: KeptPartitions,
    table: BlockTable,
    by_uplink: Any,
    links: Links,
) -> dict[str, Callable[[], Any]]:
    """One query in each way."""
    bps = 8e9 / next(iter(links.values())).byte_ns
    ways = (
        lambda: query(chain, published.costed, links, Question())[0],
        lambda: min((partition.latency_ns(links), index) for index, partition in enumerate(kept)),
        lambda: matrix.fastest(links),
        lambda: table.fastest(links),
        lambda: by_uplink.at(bps),
    )
    return dict(zip(WAYS, ways, strict=True))


def _latency_ns(found: Any, links: Links) -> int:
    return int(found.latency_ns(links) if isinstance(found, Line) else found[0])


def with_uplink(links: Links, byte_ns: int) -> Links:
    """The same with another bandwidth from the device to whatever it sends to."""
    device = next(iter(links))[0]
    return {pair: Link(link.ping_ns, byte_ns if pair[0] == device else link.byte_ns) for pair, link in links.items()}


def reported(printed: Rows, cells: Rows, timed: Rows, published: Published) -> Report:
    same = [row["question"] for row in cells for both in row["found_ns"].values() if both[0] == both[1]]
    all_cells = sum(len(row["found_ns"]) for row in cells)
    ratios = {way: [row["times_faster"][way] for row in timed] for way in WAYS}
    answered = [row["printed"] == row["enumerated"] and row["cut_ns"] == row["enumerated_ns"] for row in printed]
    names = list(dict.fromkeys(row["question"] for row in cells))
    slower = [row["network"] for row in timed if row["times_faster"]["enumeration"] < FASTER]
    return Report(
        "scission",
        f"Scission reproduced: {len(same)} of {all_cells} optima are the same, a query is "
        f"{median(ratios['enumeration']):,.0f} times as fast as the enumeration (median)",
        [
            Section(
                "One query for the fastest partition at a bandwidth, any machines and blocks",
                ("network", "blocks", "partitions", "lines", "cuts by uplink", *WAYS, "enumeration / look-up"),
                [_timed_row(row) for row in timed],
                (
                    "Enumeration: all partitions are made, allowed, priced and sorted, as Scission describes a query, here "
                    "with running sums. Kept: the allowed partitions are kept from one query to the next and only priced, one "
                    "by one in Python, or by one product of numpy. All lines weighed: our table at any pings and bandwidths. "
                    "Look-up: our table where the bandwidth of the device changes alone.",
                    f"Medians over networks of how much faster the look-up is: than enumeration "
                    f"{show_ratio(median(ratios['enumeration']))}, than kept partitions "
                    f"{show_ratio(median(ratios['kept and priced anew']))} one by one, and "
                    f"{show_ratio(median(ratios['kept, one product']))} by one product.",
                ),
            ),
            Section(
                "Optima by question, both networks, whether the enumeration finds any partition or none",
                ("question", "the same", "with an answer", "seconds to compile: median", "largest", "lines: largest"),
                [_question_row(name, [row for row in cells if row["question"] == name]) for name in names],
                ("A table is compiled once for a network and a question; it holds from 0.1 to 1,000 Mbit/s, at any pings.",),
            ),
            Section(
                "The example of the README",
                ("printed there", "found again"),
                [(row["printed"], "yes" if kept else "no") for row, kept in zip(printed, answered, strict=True)],
                (
                    "Here, and nowhere else, times of the GPU are used: they are what it took to dispatch kernels, not to run "
                    "them. Those of vm2Core are counted in steps of 1.56 ms.",
                ),
            ),
        ],
        [
            Target(
                "every optimum is that of the enumeration, to the nanosecond",
                f"{len(same)} of {all_cells}",
                len(same) == all_cells and not any(row["disagreements"] for row in timed),
            ),
            Target("the answers printed in the README come out again", f"{sum(answered)} of {len(published.readme['answers'])}",
                   sum(answered) == len(published.readme["answers"])),
            Target(
                f"a query is {FASTER:,} × as fast as the enumeration, median over networks",
                f"{show_ratio(median(ratios['enumeration']))}; below that: {', '.join(slower) or 'none'}",
                median(ratios["enumeration"]) >= FASTER,
            ),
        ],
        {"timed": timed, "cells": cells, "readme": printed},
    )  # fmt: skip


def _timed_row(row: dict[str, Any]) -> tuple[str, ...]:
    counts = (str(row[field]) for field in ("blocks", "partitions", "lines"))
    times = (show_time(row["seconds"][way]) for way in WAYS)
    return row["network"], *counts, str(row["points"] + 1), *times, show_ratio(row["times_faster"]["enumeration"])


def _question_row(name: str, rows: Rows) -> tuple[str, ...]:
    both = [each for row in rows for each in row["found_ns"].values()]
    spent = [row["compiled_s"] for row in rows]
    return (
        name,
        f"{sum(one == other for one, other in both)} of {len(both)}",
        str(sum(one is not None for one, _ in both)),
        f"{median(spent):.2f}",
        f"{max(spent):.2f}",
        str(max(row["lines"] for row in rows)),
    )


if __name__ == "__main__":
    main()
