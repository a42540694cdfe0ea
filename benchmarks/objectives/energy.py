"""Energy: where the cut of least energy is another one than the fastest, what it saves, and where a split beats both extremes.

For each board of the catalogue whose power is known, each radio and each network, over bandwidths:
python -m benchmarks.objectives.energy
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from itertools import product
from statistics import fmean

import cic
from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.harness.torchvision_zoo import TWENTY, load
from cic.cost.powers import board_powers, radio_powers
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.splitting_model import SplittingModel

SERVER, RTT_S = "i7-13700k", 0.02
UPLINKS_BPS = tuple(10.0 ** (step / 4) for step in range(20, 37))
"""100 kbit/s to 1 Gbit/s."""
FASTEST_BPS = {"3g": 5e6, "lte": 5e7, "wifi-2012": 5e7, "wifi": 1e9}
"""About the fastest that each radio sends; its power is known up to there at most."""


@dataclass(frozen=True)
class Cell:
    """One network on one board by one radio at one bandwidth.

    saved: the share of the fastest cut's energy that the cut of least energy saves. slower: how many times as long it takes.
    split_gain: how many times as many joules the better extreme takes; 1 where no split is best. proved: both decisions.
    """

    network: str
    board: str
    radio: str
    uplink_bps: float
    differs: bool
    saved: float
    slower: float
    split_gain: float
    proved: bool


def main() -> None:
    options = shared_options(__doc__, quick="two networks, five bandwidths").parse_args()
    networks = ("mobilenet_v2", "squeezenet1_1") if options.quick else TWENTY
    uplinks = UPLINKS_BPS[::4] if options.quick else UPLINKS_BPS
    cells = [cell for name in networks for cell in cells_of(name, uplinks)]
    boards = sorted({(cell.board, cell.radio) for cell in cells})
    differ = fmean(cell.differs for cell in cells)
    unproved = sum(not cell.proved for cell in cells)
    report = Report(
        "energy",
        f"Energy: in {differ:.0%} of {len(cells)} cells the cut of least energy is not the fastest one",
        [
            Section(
                "Boards and radios",
                (
                    "board",
                    "radio",
                    "cells",
                    "cut differs",
                    "saved there, mean",
                    "at most",
                    "slower there, mean",
                    "split is best",
                ),
                [row_of(board, radio, cells) for board, radio in boards],
                (
                    f"Server {SERVER}, round trip {RTT_S:g} s, downlink 2 x uplink. Saved: joules against those of the fastest "
                    "cut. Split is best: some split takes less energy than device-only and server-only both.",
                ),
            )
        ],
        [Target("every decision is proved", f"{len(cells) - unproved} of {len(cells)}", unproved == 0)],
        {"cells": [asdict(cell) for cell in cells]},
        ("Radios marked unverified by `cic machines` are those whose figures were not compared with their source.",),
    )
    report.publish(options.results)
    if not report.kept:
        sys.exit(1)


def cells_of(network: str, uplinks_bps: tuple[float, ...]) -> list[Cell]:
    """All boards, radios and bandwidths of a network."""
    traced, found = load(network).traced, []
    for board in board_powers():
        defaults = cic.Conditions("20Mbps", downlink="40Mbps", rtt=RTT_S)
        model = cic.compile(traced, device=board, server=SERVER, defaults=defaults)
        pairs = [(radio, uplink) for radio, uplink in product(radio_powers(), uplinks_bps) if uplink <= FASTEST_BPS[radio]]
        found += [cell(network, model, board, *pair) for pair in pairs]
    return found


def cell(network: str, model: SplittingModel, board: str, radio: str, uplink_bps: float) -> Cell:
    """Both decisions, and the energy of both extremes."""
    energy, conditions = cic.energy_of(board, radio), model.default_conditions(uplink_bps)
    fastest, frugal = model.decide(uplink_bps), model.decide(uplink_bps, objective=energy)
    joules = {cut: energy.joules(cut, conditions) for cut in model.cuts}
    extremes = [joules[cut] for cut in model.cuts if cut.id in (DEVICE_ONLY, SERVER_ONLY)]
    least, splits = energy.joules(frugal.cut, conditions), frugal.cut.id not in (DEVICE_ONLY, SERVER_ONLY)
    spent = energy.joules(fastest.cut, conditions)
    return Cell(
        network,
        board,
        radio,
        uplink_bps,
        differs=least < spent * (1 - 1e-9),
        saved=1 - least / spent,
        slower=frugal.latency_s / fastest.latency_s,
        split_gain=min(extremes) / least if splits else 1.0,
        proved=fastest.optimal and frugal.optimal,
    )


def row_of(board: str, radio: str, cells: list[Cell]) -> tuple[str, ...]:
    """One line of the table."""
    own = [cell for cell in cells if (cell.board, cell.radio) == (board, radio)]
    other = [cell for cell in own if cell.differs]
    return (
        board,
        radio,
        str(len(own)),
        f"{len(other) / len(own):.0%}",
        f"{fmean(cell.saved for cell in other):.1%}" if other else "-",
        f"{max(cell.saved for cell in own):.1%}",
        f"{fmean(cell.slower for cell in other):.2f} x" if other else "-",
        f"{fmean(cell.split_gain > 1 + 1e-9 for cell in own):.0%}",
    )


if __name__ == "__main__":
    main()
