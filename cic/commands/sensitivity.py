"""sensitivity: how much bandwidth, load and memory pressure matter to the best cut; needs nothing but Python."""

from __future__ import annotations

import json

from cic.commands.table import print_table
from cic.commands.terminal import print_text
from cic.decision.splitting_model import load
from cic.decision.units import bits_per_second
from cic.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from cic.sensitivity.effects import Sensitivity
    from cic.sensitivity.states import StateTable

SUMMARY = "how much bandwidth, load and memory pressure matter to the best cut; needs nothing but Python"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a splitting model, or a .csv file of measured states")
    parser.add_argument("--usual", metavar="BANDWIDTH", help="uplink of the usual state, such as 20Mbps; default: the middle")
    parser.add_argument("--device", metavar="F,F", help="loads of the device, as factors on op times; default: 1,1.5,2,3,4")
    parser.add_argument("--server", metavar="F,F", help="loads of the server; default: 1,2,5,10,20")
    parser.add_argument(
        "--memory", metavar="F,F", help="memory pressures, as factors on the device's op times; default: 1,1.25,1.5,2"
    )
    parser.add_argument("--picture", metavar="IMAGE", help="draw heat maps to a .png, .svg or .pdf file")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> int:
    from cic.sensitivity.effects import sensitivity
    from cic.sensitivity.words import in_words

    table = _table(arguments)
    found = sensitivity(table)
    if arguments.picture:
        from cic.pictures.heat_map import heat_map

        heat_map(table, found, arguments.picture)
    if arguments.json:
        from dataclasses import asdict

        print(json.dumps({"states": len(table.states), **asdict(found), "words": in_words(table, found)}, indent=1))
        return 0
    _print_effects(found)
    print()
    print_text(in_words(table, found))
    if arguments.picture:
        print(f"\ndrew {arguments.picture}")
    return 0


def _table(arguments: Namespace) -> StateTable:
    sweeps = {name: getattr(arguments, name) for name in ("device", "server", "memory")}
    if str(arguments.file).lower().endswith(".csv"):
        from pathlib import Path

        from cic.sensitivity.measured_states import measured

        given = [f"--{name}" for name, value in {**sweeps, "usual": arguments.usual}.items() if value is not None]
        if given:
            raise InputError(
                f"{given[0]} is for a splitting model; the states of {arguments.file} are those that were measured"
            )
        return measured(Path(arguments.file))
    from cic.sensitivity.sweep import swept

    levels = {name: _factors(text, f"--{name}") for name, text in sweeps.items() if text is not None}
    usual_bps = None if arguments.usual is None else bits_per_second(arguments.usual, "--usual")
    return swept(load(arguments.file), usual_bps=usual_bps, **levels)


def _factors(text: str, option: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < each < float("inf") for each in found):
        raise InputError(f"{option} is {text!r}; factors above 0 are expected, such as 1,2,5")
    return found


def _print_effects(found: Sensitivity) -> None:
    rows = [
        (
            effect.factor,
            str(effect.levels),
            f"{effect.spread:.2f} x",
            str(effect.cuts),
            f"{effect.stale:.1%}",
            f"{effect.share:.1%}",
        )
        for effect in found.effects
    ]
    columns = ("factor", "levels", "latency spreads", "best cuts", "stale cut loses", "of variance")
    title = "Each factor alone, all else as usual; and its share of the variance over all states"
    print_table(columns, rows, title=title, left=("factor",), drop=("levels",))
