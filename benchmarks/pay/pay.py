"""Does a split of a real trained network pay? What the best cut gains over the better of both extremes, all at equal accuracy.

`make bench-pay`. Networks with real weights, inputs of their kind, and four devices and two servers of the catalogue. What was
measured of a network on the whole grid is kept, and all that is kept is published.

Server-only sends its input in whichever form is best, JPEG and WebP files of the lowest quality among them. The same share of
the network's own answers is to be kept by both; it is judged on calibration inputs and reported for others. A gain depends on
the uplink, and is largest about where both extremes tie.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.harness.report import Report, Section, Target, shared_options, show_ratio
from benchmarks.pay import materials
from benchmarks.pay.gains import (
    ANSWER_DOWNLINK_RATIO,
    AROUND,
    DEVICES,
    FAMILIES,
    SERVERS,
    SHARES,
    TRAINED,
    TRAINED_BETWEEN,
    TRAINED_FOR,
    Cell,
    Point,
    cells,
)
from benchmarks.pay.gains_picture import draw
from benchmarks.pay.kept_cells import keep_cells, kept_cells
from benchmarks.pay.networks import LOADERS
from cic.engine.roomy_memory import keep_freed_memory

# At the tie, of at least one pair of machines: (share to keep, least gain) for EfficientNet-Lite0.
GOALS = ((0.985, 1.5), (0.95, 1.3))
PHOTOGRAPHS = "efficientnet-lite0"
GOAL_OF_HALF, LEAST = 1.2, 0.97


def main() -> int:
    """Measure, publish, and say whether everything was kept."""
    options = shared_options(__doc__, "the two smallest networks between one pair of machines")
    options.add_argument("names", nargs="*", metavar="NETWORK", help=f"of {', '.join(LOADERS)}; all if none is given")
    options.add_argument("--materials", type=Path, default=materials.DEFAULT, help="where weights and inputs are installed to")
    options.add_argument("--devices", nargs="+", default=DEVICES, metavar="MACHINE", help=f"default: {', '.join(DEVICES)}")
    options.add_argument("--servers", nargs="+", default=SERVERS, metavar="MACHINE", help=f"default: {', '.join(SERVERS)}")
    options.add_argument("--untrained", action="store_true", help="leave out transforms that are trained")
    options.add_argument("--jobs", type=int, default=1, help="networks at a time, each in a process of its own")
    options.add_argument("--publish", action="store_true", help="measure nothing, publish what was measured before")
    given = options.parse_args()
    materials.install(given.materials)
    names = given.names or (["digits", "speech-detector"] if given.quick else list(LOADERS))
    devices, servers = (DEVICES[1:2], SERVERS[:1]) if given.quick else (given.devices, given.servers)
    families = [family for family in FAMILIES if family != TRAINED or not (given.untrained or given.quick)]
    # Of a part of the grid nothing is kept, and nothing else is published.
    whole = (devices, servers, len(families)) == (DEVICES, SERVERS, len(FAMILIES))
    found: list[Cell] = []
    if not given.publish:
        with ProcessPoolExecutor(given.jobs, get_context("spawn"), max_tasks_per_child=1) as processes:
            of_networks = processes.map(partial(_cells, given.materials, devices, servers, families), names)
            for name, of_network in zip(names, of_networks, strict=True):
                found += of_network
                if whole:
                    keep_cells(given.materials / "cells", name, of_network)
    if given.publish or whole:
        found = [cell for name in LOADERS for cell in kept_cells(given.materials / "cells", name)]
    picture = "pay.png"
    draw(found, given.results / picture)
    report = published(found, picture)
    report.publish(given.results)
    return 0 if report.kept or given.quick else 1


def _cells(folder: Path, devices: Sequence[str], servers: Sequence[str], families: Sequence[str], name: str) -> list[Cell]:
    torch.set_num_threads(1)
    keep_freed_memory()
    return list(cells(LOADERS[name](folder), folder / "runs", devices, servers, families))


def published(found: Sequence[Cell], picture: str) -> Report:
    """Tables and promises."""
    families = list(dict.fromkeys(cell.family for cell in found))
    return Report(
        "pay",
        "What a split of a real network gains over the better of device-only and server-only, at equal accuracy",
        [
            _summary(found, families),
            *(_around(found, name) for name in dict.fromkeys(cell.network for cell in found)),
            _published_uplinks(found),
            _with_answer(found),
        ],
        targets(found),
        {"cells": [asdict(cell) for cell in found], "around": AROUND, "shares": SHARES},
        _notes(),
        (picture,),
    )


def targets(found: Sequence[Cell]) -> list[Target]:
    """The goals, each of the best family of codecs."""
    promises = []
    for share, least in GOALS:
        gains = [point.gain for cell in found if (cell.network, cell.share) == (PHOTOGRAPHS, share) for point in _tie(cell)]
        if gains:
            what = f"{PHOTOGRAPHS} gains {least:g} × at the tie of some pair of machines, {share:.1%} kept"
            promises.append(Target(what, show_ratio(max(gains)), max(gains) >= least))
    names = list(dict.fromkeys(cell.network for cell in found))
    best = {name: max((_largest(cell) for cell in found if cell.network == name), default=1.0) for name in names}
    winners = [name for name, gain in best.items() if gain >= GOAL_OF_HALF]
    promises.append(
        Target(
            f"at least half of the networks gain {GOAL_OF_HALF:g} × somewhere about a tie",
            f"{len(winners)} of {len(names)}: {', '.join(winners) or 'none'}",
            2 * len(winners) >= len(names),
        )
    )
    lowest = min(
        (min(point.gain, point.gain_with_answer), cell.network, cell.device, cell.share)
        for cell in found
        for point in cell.points
    )
    promises.append(Target(f"nowhere below {LEAST:g} ×", f"{lowest[0]:.3f} × ({lowest[1]}, {lowest[2]})", lowest[0] >= LEAST))
    missed = [(point.kept - cell.share, cell, point) for cell in found for point in cell.points if point.kept < cell.share]
    worst = min(missed, default=None, key=lambda each: each[0])
    promises.append(
        Target(
            "every decision keeps its share on inputs that nobody has seen",
            "all"
            if worst is None
            else f"{len(missed)} do not, the worst {worst[2].kept:.2%} of {worst[1].share:.1%} "
            f"({worst[1].network}, {worst[2].decision})",
            worst is None,
        )
    )
    return promises


def _tie(cell: Cell) -> list[Point]:
    at = cell.at(1.0)
    return [] if at is None else [at]


def _largest(cell: Cell) -> float:
    return max((point.gain for point in cell.points if point.times_tie is not None), default=1.0)


def _summary(found: Sequence[Cell], families: Sequence[str]) -> Section:
    rows = []
    for name in dict.fromkeys(cell.network for cell in found):
        for share in SHARES:
            for family in families:
                mine = [cell for cell in found if (cell.network, cell.share, cell.family) == (name, share, family)]
                ties = [(point.gain, cell, point) for cell in mine for point in _tie(cell)]
                if not ties:
                    rows += [(name, f"{share:.1%}", family, "no tie", "", "", "", "")] if mine else []
                    continue
                gain, cell, point = max(ties, key=lambda found: found[0])
                lenient = [at.gain for each in mine if (at := each.at(1.0, lenient=True)) is not None]
                with_answer = [at.gain_with_answer for each in mine for at in _tie(each)]
                decision = f"{point.decision}, {point.upload_bytes:,} B"
                over = show_ratio(max(lenient)) if lenient else ""
                machines = f"{cell.device} to {cell.server}"
                rows.append(
                    (name, f"{share:.1%}", family, show_ratio(gain), machines, decision, over, show_ratio(max(with_answer)))
                )
    columns = ("network", "kept", "codecs", "gain", "between", "decision", "over a file that need not show it", "whole answer")
    return Section("The largest gain at a tie, over all pairs of machines", columns, rows)


def _around(found: Sequence[Cell], name: str) -> Section:
    rows = []
    for cell in found:
        at, lenient = cell.at(1.0), cell.at(1.0, lenient=True)
        if cell.network != name or at is None:
            continue
        gains = [cell.at(times) for times in AROUND]
        rows.append(
            (
                f"{cell.device} to {cell.server}",
                f"{cell.share:.1%}",
                cell.family,
                f"{at.uplink_bps / 1e6:.2f}",
                *(show_ratio(point.gain) if point else "" for point in gains),
                f"{at.device_only_ms:,.0f} ms",
                at.server_form.removeprefix("server-only "),
                at.decision,
                f"{at.upload_bytes:,}",
                f"{at.kept:.2%}",
                ""
                if lenient is None
                else f"{show_ratio(lenient.gain)} over {lenient.server_form.removeprefix('server-only ')}",
            )
        )
    columns = ("machines", "to keep", "codecs", "tie B0, Mbit/s", *(f"{times:g} B0" for times in AROUND))
    last = (
        "device-only",
        "server-only sends",
        "decision at B0",
        "its bytes",
        "kept, unseen",
        "at the tie with a file that need not show it",
    )
    return Section(f"{name}: gain around the uplink B0 at which both extremes tie", (*columns, *last), rows)


def _published_uplinks(found: Sequence[Cell]) -> Section:
    uplinks = [point.uplink_bps for point in found[0].points if point.times_tie is None]
    rows = []
    for name in dict.fromkeys(cell.network for cell in found):
        for family in dict.fromkeys(cell.family for cell in found):
            row = [name, family]
            for uplink in uplinks:
                mine = [
                    point.gain
                    for cell in found
                    if (cell.network, cell.family) == (name, family)
                    for point in cell.points
                    if point.times_tie is None and point.uplink_bps == uplink
                ]
                row.append(f"{min(mine):.2f} to {max(mine):.2f} ×" if mine else "")
            rows.append(tuple(row))
    columns = ("network", "codecs", *(f"{uplink / 1e6:g} Mbit/s" for uplink in uplinks))
    return Section("Least and largest gain at published uplinks, over all pairs of machines and both shares", columns, rows)


def _with_answer(found: Sequence[Cell]) -> Section:
    rows = []
    for name in dict.fromkeys(cell.network for cell in found):
        for family in dict.fromkeys(cell.family for cell in found):
            mine = [cell for cell in found if (cell.network, cell.family) == (name, family)]
            points = [[point for cell in mine if (point := cell.at(times)) is not None] for times in AROUND]
            if any(points):
                gains = [[point.gain_with_answer for point in each] for each in points]
                rows.append((name, family, *(f"{min(each):.2f} to {max(each):.2f} ×" for each in gains)))
    title = (
        f"The same where the whole answer comes back over a downlink {ANSWER_DOWNLINK_RATIO:g} times as fast as the uplink: "
        "least and largest gain over all pairs of machines and both shares"
    )
    return Section(title, ("network", "codecs", *(f"{times:g} B0" for times in AROUND)), rows)


def _notes() -> tuple[str, ...]:
    return (
        "A gain is the time of the better of device-only and server-only over the time of the decision. Times are predicted "
        "from the catalogue of machines, codecs' times included; no round trip, and an answer that comes back "
        "in no time, as in published figures: what a device wants of a thousand scores is a class.",
        "Server-only sends its input in the best of all forms that keep the same share: the codecs that are compared, with "
        "all ops pinned to the server, and JPEG files (with all colours or a quarter of them) and WebP files of the lowest "
        "quality that keeps it. They are judged on the calibration inputs of whose class the network is least sure: on the "
        "others they are taken to lose nothing, which favours server-only.",
        "Of cuts and files alike it has to be shown that they keep the share beyond the calibration inputs, at a confidence of "
        "95 % for the whole table. Who sends files by hand shows nothing: so gains are given as well over files of the lowest "
        "quality that keeps the share of the calibration inputs themselves, while the cut still has to show it.",
        "Kept: of the network's own answers. For photographs and rendered pictures that is the class of highest score, with "
        "the evidence that CIC asks for on calibration inputs; for text the letters read, or the pixels found, intersection "
        "over union; for speech the verdict. Text and speech are judged by a function of the benchmark's own, of which CIC "
        "shows nothing beyond the calibration inputs; server-only is judged likewise. Unseen: inputs that nothing was chosen "
        "on; photographs of other things, other lines of text, other recordings.",
        f"Trained: those transforms, and besides them some that were trained for {TRAINED_FOR} in all, between "
        f"{' and '.join(TRAINED_BETWEEN)} alone.",
    )


if __name__ == "__main__":
    sys.exit(main())
