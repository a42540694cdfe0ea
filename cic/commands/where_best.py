"""Where each cut of a splitting model is best, for people: ranges of the uplink, and what else must change if it never is."""

from __future__ import annotations

from itertools import combinations, product

from cic.decision.break_points import break_points, line
from cic.decision.units import show_bandwidth, show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cic.decision.splitting_model import SplittingModel

    Setting = tuple[float, float, float, float]
    """rtt in s, downlink ratio, slowdowns of device and server."""

_FACTORS = (2.0, 4.0, 10.0, 50.0, 0.5, 0.25)
_ROUND_TRIPS_S = (0.01, 0.05, 0.2, 0.5, 0.0)
NOWHERE_SIMPLE = "where at least three of round trip, downlink, device slowdown and server slowdown change"


def where_best(model: SplittingModel) -> list[str]:
    """Of each cut: the uplinks at which it is best as compiled; else some at which it is if one or two conditions change."""
    usual = (model.default_rtt_s, model.default_downlink_ratio, 1.0, 1.0)
    found = _ranges(model, usual)
    where = {index: ", ".join(ranges) for index, ranges in found.items()}
    for setting in _settings(model, usual):
        if len(where) == len(model.cuts):
            break
        for index, ranges in _ranges(model, setting).items():
            if index not in where:
                where[index] = f"{ranges[0]} if {_changes(usual, setting)}"
    return [where.get(index, NOWHERE_SIMPLE) for index in range(len(model.cuts))]


def _ranges(model: SplittingModel, setting: Setting) -> dict[int, list[str]]:
    """The ranges of the uplink in which each cut is best that is anywhere, by its place in the table."""
    rtt_s, ratio, device, server = setting
    lines = [line(cut.row, rtt_s, ratio, device, server) for cut in model.cuts]
    points, best = break_points(lines, model.box.uplink_bps)
    edges = [model.box.uplink_bps[0], *points, model.box.uplink_bps[1]]
    found: dict[int, list[str]] = {}
    for low, high, index in zip(edges, edges[1:], best, strict=False):
        found.setdefault(index, []).append(f"{show_bandwidth(low)} to {show_bandwidth(high)}")
    return found


def _settings(model: SplittingModel, usual: Setting) -> Iterator[Setting]:
    """Settings within the box that differ from the usual one in one place, then those that do in two."""
    box = model.box
    ranges = (box.rtt_s, box.downlink_ratio, box.device_slowdown, box.server_slowdown)
    values = (_ROUND_TRIPS_S, _FACTORS, _FACTORS, _FACTORS)
    # Ends of the ranges last: they are far from what is usual.
    others = [
        [value for value in dict.fromkeys((*some, high, low)) if low <= value <= high and value != at]
        for some, (low, high), at in zip(values, ranges, usual, strict=True)
    ]
    for count in (1, 2):
        for places in combinations(range(4), count):
            for chosen in product(*(others[place] for place in places)):
                setting = list(usual)
                for place, value in zip(places, chosen, strict=True):
                    setting[place] = value
                rtt_s, ratio, device, server = setting
                yield rtt_s, ratio, device, server


def _changes(usual: Setting, setting: Setting) -> str:
    names = ("round trip {}", "downlink {} x uplink", "device slowdown {}", "server slowdown {}")
    shown = [show_seconds(setting[0]), *(f"{value:g}" for value in setting[1:])]
    return ", ".join(name.format(text) for name, text, old, new in zip(names, shown, usual, setting, strict=True) if old != new)
