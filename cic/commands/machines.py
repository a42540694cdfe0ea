"""machines: list the boards, phones and servers known by name, with figures and sources."""

from __future__ import annotations

import json

from cic.commands.table import print_table
from cic.commands.terminal import print_text
from cic.decision.units import show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from cic.cost.powers import BoardPower, RadioPower

SUMMARY = "list the boards, phones and servers known by name, with figures and sources"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> int:
    from dataclasses import asdict

    from cic.cost.catalogue import aliases, machines
    from cic.cost.powers import board_powers

    known, others, powers = machines(), aliases(), board_powers()
    if arguments.json:
        documents = [
            {
                **asdict(machine),
                "aliases": others.get(machine.name, ()),
                "power": asdict(powers[machine.name]) if machine.name in powers else None,
            }
            for machine in known
        ]
        print(json.dumps(documents, indent=1))
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
    _print_powers()
    return 0


def _print_powers() -> None:
    """What boards and radios draw, for decisions by energy."""
    from cic.cost.powers import board_powers, radio_powers

    def source(each: BoardPower | RadioPower) -> str:
        return each.source if each.verified else f"unverified: {each.source}"

    boards = [(each.name, f"{each.busy_w:g} W", f"{each.idle_w:g} W", source(each)) for each in board_powers().values()]
    print()
    print_table(
        ("board", "computing", "waiting", "source"),
        boards,
        title="Powers of boards",
        left=("board", "source"),
        drop=("source",),
    )
    radios = [
        (
            each.name,
            f"{each.send_w:.3g} W",
            f"{each.send_j_per_bit * 1e9:.3g} nJ",
            f"{each.receive_w:.3g} W",
            f"{each.receive_j_per_bit * 1e9:.3g} nJ",
            source(each),
        )
        for each in radio_powers().values()
    ]
    print()
    columns = ("radio", "sending", "a bit sent", "receiving", "a bit received", "source")
    title = "Powers of radios, on top of a waiting board"
    print_table(columns, radios, title=title, left=("radio", "source"), drop=("source",))
