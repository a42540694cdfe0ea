"""machines: list the boards, phones and servers known by name, with figures and sources."""

from __future__ import annotations

import json

from cic.commands.table import print_table
from cic.commands.terminal import print_text
from cic.decision.units import show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "list the boards, phones and servers known by name, with figures and sources"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> int:
    from dataclasses import asdict

    from cic.cost.catalogue import aliases, machines

    known, others = machines(), aliases()
    if arguments.json:
        print(json.dumps([{**asdict(machine), "aliases": others.get(machine.name, ())} for machine in known], indent=1))
        return 0
    rows = [
        (
            machine.name,
            f"{float(f'{machine.flops_per_s / 1e9:.3g}'):g}",
            f"{machine.memory_bytes_per_s / 1e9:.3g}",
            show_seconds(machine.op_overhead_s),
            str(machine.threads) if machine.threads else "-",
            "-" if machine.fit_error is None else f"{machine.fit_error:.0%}",
            ", ".join(others.get(machine.name, ())),
            machine.source,
        )
        for machine in known
    ]
    columns = ("machine", "GFLOP/s", "GB/s", "per op", "threads", "fit error", "also called", "source")
    left = ("machine", "also called", "source")
    print_table(columns, rows, left=left, words=("also called",), drop=("source", "per op", "fit error", "GB/s"))
    print()
    print_text(
        "Threads: as many as the figures were measured with, - where the source does not say. Fit error: median over published "
        "latencies of whole models. For a machine at hand use `cic profile`."
    )
    return 0
