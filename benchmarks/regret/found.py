"""What the measured cells say: how much slower the decided cut is than the fastest one, and how far off predictions are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

from benchmarks.harness.report import Report, Section, Target, show_time
from benchmarks.regret.device_side import SESSION
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY

MEDIAN_REGRET, HIGH_REGRET, OVER_EXTREMES, PREDICTION_ERROR = 0.03, 0.10, 0.03, 0.08
WHEN = ("before", "after")


def published(rows: Sequence[dict[str, Any]]) -> Report:
    """Tables and promises of these cells, which must be at least one."""
    cells = [_Cell(row) for row in rows]
    if not cells:
        raise SystemExit("no cell was measured")
    names = list(dict.fromkeys(row["network"] for row in rows))
    uplinks = sorted({row["uplink_bps"] for row in rows})
    shares = sorted({row["share"] for row in rows})
    targets = [target for when in ("after",) for target in _targets(cells, when)]
    return Report(
        "regret",
        f"Regret: {len(names)} networks, {len(uplinks)} uplinks, {len(shares)} speeds of the device, {len(cells)} cells",
        [
            Section(
                "All cells: the table as compiled from profiles, the table after `cic calibrate`, and a session",
                ("", "decided is fastest", "regret: median", "95th percentile", "largest", "over the better extreme: largest"),
                [*(_summary(cells, when) for when in WHEN), _session_summary(cells)],
                (
                    "Regret is how much longer the decided cut takes than the fastest of the measured ones, by their medians. "
                    "The table is told the uplink that the link was shaped to and the round trip that was measured; the "
                    "session has to find out both, and its inferences took their turn among those of the static cuts.",
                ),
            ),
            Section(
                "Predicted against measured latency, of all cuts in all cells, and of the decided ones",
                ("", "all: median error", "95th percentile", "decided: median error", "95th percentile"),
                [_errors(cells, when) for when in WHEN],
            ),
            Section(
                "By network, after calibration",
                ("network", "device", "cells", "cuts", "median regret", "largest", "median error"),
                [_of_network([cell for cell in cells if cell.group == (n, s)], n, s) for n in names for s in shares],
            ),
            Section(
                "Each cell",
                ("network", "device", "uplink", "fastest", "", "decided before", "", "decided after", "", "session"),
                [cell.row() for cell in cells],
            ),
        ],
        targets,
        {"cells": list(rows)},
        (
            "Device and server are namespaces on one machine: the device has "
            f"{' or '.join(f'{share:.0%}' for share in shares)} of a core, a part of each millisecond, the server all of "
            "another. The link between them is shaped by token buckets of one packet, up and down alike. Medians of "
            f"{min(row['rounds'] for row in rows)} rounds, in each of which every cut of the table took its turn.",
            "Networks are torchvision's with random weights, as ONNX, run by ONNX Runtime; the input is the pixels of a "
            "photograph, and tensors may cross in as little as four bits.",
        ),
    )


class _Cell:
    """One line of the file."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.told = row
        self.group = row["network"], row["share"]
        self.medians = {label: median(times) for label, times in row["latencies_s"].items()}
        self.session_s = self.medians.pop(SESSION)
        self.fastest = min(self.medians, key=self.medians.__getitem__)
        extremes = [seconds for label, seconds in self.medians.items() if label.split(" ")[0] in (DEVICE_ONLY, SERVER_ONLY)]
        self.extreme_s = min(extremes)

    def decided(self, when: str) -> str:
        """What the table decides; of cuts that were not emitted the best that was."""
        table = self.told["tables"][when]
        return str(table["decided"] if table["decided"] in self.medians else table["best_emitted"])

    def regret(self, when: str) -> float:
        return self.medians[self.decided(when)] / self.medians[self.fastest] - 1

    def over_extremes(self, when: str) -> float:
        return self.medians[self.decided(when)] / self.extreme_s - 1

    @property
    def session_regret(self) -> float:
        return self.session_s / self.medians[self.fastest] - 1

    def errors(self, when: str, *, decided: bool) -> list[float]:
        predicted = self.told["tables"][when]["predicted_s"]
        labels = [self.decided(when)] if decided else list(predicted)
        return [abs(predicted[label] / self.medians[label] - 1) for label in labels]

    def row(self) -> tuple[str, ...]:
        name, share = self.group
        shown = [name, f"{share:.0%}", f"{self.told['uplink_bps'] / 1e6:g} Mbit/s", self.fastest]
        shown.append(show_time(self.medians[self.fastest]))
        for when in WHEN:
            shown += [self.decided(when), f"{self.regret(when):+.1%}"]
        return (*shown, f"{self.session_regret:+.1%}")


def _high(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def _summary(cells: Sequence[_Cell], when: str) -> tuple[str, ...]:
    regrets = [cell.regret(when) for cell in cells]
    right = sum(cell.decided(when) == cell.fastest for cell in cells)
    return (
        f"table {when} calibration",
        f"{right} of {len(cells)}",
        f"{median(regrets):.1%}",
        f"{_high(regrets):.1%}",
        f"{max(regrets):.1%}",
        f"{max(cell.over_extremes(when) for cell in cells):+.1%}",
    )


def _session_summary(cells: Sequence[_Cell]) -> tuple[str, ...]:
    regrets = [cell.session_regret for cell in cells]
    over = max(cell.session_s / cell.extreme_s - 1 for cell in cells)
    return "session", "", f"{median(regrets):.1%}", f"{_high(regrets):.1%}", f"{max(regrets):.1%}", f"{over:+.1%}"


def _errors(cells: Sequence[_Cell], when: str) -> tuple[str, ...]:
    shown = [f"table {when} calibration"]
    for decided in (False, True):
        errors = [error for cell in cells for error in cell.errors(when, decided=decided)]
        shown += [f"{median(errors):.1%}", f"{_high(errors):.1%}"]
    return tuple(shown)


def _of_network(cells: Sequence[_Cell], name: str, share: float) -> tuple[str, ...]:
    if not cells:
        return name, f"{share:.0%}", "0", "", "", "", ""
    regrets = [cell.regret("after") for cell in cells]
    errors = [error for cell in cells for error in cell.errors("after", decided=False)]
    cuts = max(len(cell.medians) for cell in cells)
    return (
        name,
        f"{share:.0%}",
        f"{len(cells)}",
        f"{cuts}",
        f"{median(regrets):.1%}",
        f"{max(regrets):.1%}",
        f"{median(errors):.1%}",
    )


def _targets(cells: Sequence[_Cell], when: str) -> list[Target]:
    regrets = [cell.regret(when) for cell in cells]
    over = max(cell.over_extremes(when) for cell in cells)
    errors = [error for cell in cells for error in cell.errors(when, decided=True)]
    after = f"{when} calibration"
    return [
        Target(
            f"median regret at most {MEDIAN_REGRET:.0%}, {after}", f"{median(regrets):.1%}", median(regrets) <= MEDIAN_REGRET
        ),
        Target(f"95th percentile at most {HIGH_REGRET:.0%}, {after}", f"{_high(regrets):.1%}", _high(regrets) <= HIGH_REGRET),
        Target(
            f"never more than {OVER_EXTREMES:.0%} slower than the better of device-only and server-only, {after}",
            f"{over:+.1%}",
            over <= OVER_EXTREMES,
        ),
        Target(
            f"predicted against measured latency of the decided cut: median error at most {PREDICTION_ERROR:.0%}, {after}",
            f"{median(errors):.1%}",
            median(errors) <= PREDICTION_ERROR,
        ),
    ]
