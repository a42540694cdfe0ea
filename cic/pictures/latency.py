"""The picture of a splitting model: latency against bandwidth, and where the best cut changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut
from cic.decision.splitting_model import SplittingModel
from cic.decision.units import show_bandwidth, show_seconds
from cic.pictures.figure import new_figure, write_figure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 400
# Between labels of break points, as a share of the width.
_LABEL_DISTANCE = 0.026
# Of a cut's name, likewise.
_LETTER = 0.011
# Names of pieces that are too narrow for them, as shares of the height.
_LOWEST_NAME, _NAME_DISTANCE = 0.03, 0.045
_BEST, _DEVICE, _SERVER, _OTHER, _INK = "#0b6e4f", "#b3541e", "#3a5a9b", "#b9bfc6", "#444444"
_NAME: dict[str, Any] = {"fontsize": 8.5, "color": _BEST}


def latency_picture(model: SplittingModel, path: str | Path) -> None:
    """Draw predicted latency against uplink bandwidth under the default conditions to a .png, .svg or .pdf file.

    Both axes are logarithmic. A thick line is the best cut at each bandwidth, thin lines are the other cuts, dashed ones are
    everything on the device and everything on the server. What the best cut saves against the better of these two is filled.
    Dotted lines are break points.

    Raises:
        InputError: another suffix, matplotlib is missing, or the file cannot be written.
    """
    path = Path(path)
    figure = new_figure(path, 9.6, 5.6)
    axes = figure.add_subplot()
    uplinks = _uplinks(model)
    best = _draw_latencies(axes, model, uplinks)
    _limit(axes, uplinks, best, sum(piece.name is None for piece in _pieces(model)))
    _draw_break_points(axes, model)
    _name_pieces(axes, model)
    _label(axes, model)
    write_figure(figure, path)


def _uplinks(model: SplittingModel) -> list[float]:
    """Bandwidths at even distances on a logarithmic axis, break points among them so that corners are sharp."""
    low, high = (math.log(value) for value in model.box.uplink_bps)
    even = [math.exp(low + (high - low) * step / _POINTS) for step in range(_POINTS + 1)]
    return sorted({*even, *model.break_points})


def _latencies(model: SplittingModel, cut: Cut, uplinks: Sequence[float]) -> list[float]:
    return [cut.latency_s(model.default_conditions(uplink)) for uplink in uplinks]


def _draw_latencies(axes: Axes, model: SplittingModel, uplinks: Sequence[float]) -> list[float]:
    """All lines; returns the latencies of the best cuts."""
    curves = {cut.label: _latencies(model, cut, uplinks) for cut in model.cuts}
    others = [cut.label for cut in model.cuts if cut.id not in (DEVICE_ONLY, SERVER_ONLY)]
    for number, name in enumerate(others):
        label = "each other cut" if number == 0 else None
        axes.plot(uplinks, curves[name], color=_OTHER, linewidth=0.9, zorder=2, label=label)
    best = [min(values) for values in zip(*curves.values(), strict=True)]
    axes.plot(uplinks, best, color=_BEST, linewidth=4.5, alpha=0.85, zorder=3, solid_capstyle="round", label="best cut")
    sides = [curves[cut.label] for cut in model.cuts if cut.id in (DEVICE_ONLY, SERVER_ONLY)]
    if sides:
        better = [min(values) for values in zip(*sides, strict=True)]
        saved: dict[str, Any] = {"color": _BEST, "alpha": 0.15, "linewidth": 0, "zorder": 1}
        axes.fill_between(uplinks, best, better, label="saved by splitting", **saved)
    for cut_id, colour, label in ((DEVICE_ONLY, _DEVICE, "all on the device"), (SERVER_ONLY, _SERVER, "all on the server")):
        # With codecs there may be several of each; what counts is the fastest.
        alike = [curves[cut.label] for cut in model.cuts if cut.id == cut_id]
        if alike:
            fastest = [min(values) for values in zip(*alike, strict=True)]
            axes.plot(uplinks, fastest, color=colour, linewidth=1.8, linestyle=(0, (5, 2.5)), zorder=4, label=label)
    return best


def _limit(axes: Axes, uplinks: Sequence[float], best: Sequence[float], names: int) -> None:
    """Show what matters: a decade and a half above the worst of the best, and a margin below, with room for so many names."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(uplinks[0], uplinks[-1])
    positive = [value for value in best if value > 0] or [1e-6]
    low, high = min(positive) / 1.8, max(positive) * 6
    axes.set_ylim(low / (high / low) ** (_NAME_DISTANCE * names), high)


def _draw_break_points(axes: Axes, model: SplittingModel) -> None:
    """Dotted lines with their bandwidths above the picture; labels too close together move apart."""
    low, high = model.box.uplink_bps
    places = [math.log(point / low) / math.log(high / low) for point in model.break_points]
    for point, place, label_place in zip(model.break_points, places, _apart(places, _LABEL_DISTANCE), strict=True):
        change = "the best cut changes" if point == model.break_points[0] else None
        axes.axvline(point, color=_INK, linewidth=0.8, linestyle=":", zorder=1, label=change)
        leader: dict[str, Any] = {"color": _INK, "linewidth": 0.6, "transform": axes.transAxes, "clip_on": False}
        axes.plot([place, label_place], [1.0, 1.025], scalex=False, scaley=False, **leader)
        label: dict[str, Any] = {
            "rotation": 35,
            "rotation_mode": "anchor",
            "ha": "left",
            "va": "baseline",
            "fontsize": 8,
            "color": _INK,
        }
        axes.text(label_place, 1.03, show_bandwidth(point), transform=axes.transAxes, **label)


def _apart(places: Sequence[float], distance: float) -> list[float]:
    """Ascending places, each as near to its own as a least distance from its neighbours allows."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        # Groups that would overlap become one, centred on its members.
        while len(groups) > 1 and _extent(groups[-2], distance)[1] + distance > _extent(groups[-1], distance)[0]:
            last = groups.pop()
            groups[-1] += last
    return [_extent(group, distance)[0] + distance * index for group in groups for index in range(len(group))]


def _extent(group: Sequence[float], distance: float) -> tuple[float, float]:
    half = distance * (len(group) - 1) / 2
    centre = sum(group) / len(group)
    return centre - half, centre + half


def _name_pieces(axes: Axes, model: SplittingModel) -> None:
    """The best cut under its piece of the thick line, with its codecs or without them as there is room.

    Where there is room for neither, a line leads down to the name. Of such pieces the leftmost has the highest name, and each
    name ends at its line, so that no line crosses a name.
    """
    narrow = []
    for piece in _pieces(model):
        if piece.name is None:
            narrow.append(piece)
            continue
        # A little to the right of the middle, as the name ends there, or as far to the right as its length asks for.
        end = piece.at(min(max(0.6, len(piece.name) / piece.room), 1.0))
        latency_s = piece.cut.latency_s(model.default_conditions(end))
        # Lines fall or are level, so below and to the left of a point there is no line of this cut.
        beside: dict[str, Any] = {"xytext": (-3, -5), "textcoords": "offset points", "ha": "right", "va": "top"}
        axes.annotate(piece.name, (end, latency_s), **beside, **_NAME)
    for number, piece in enumerate(narrow):
        middle = piece.at(0.5)
        level = _LOWEST_NAME + _NAME_DISTANCE * (len(narrow) - 1 - number)
        below: dict[str, Any] = {
            "xytext": (middle, level),
            "textcoords": ("data", "axes fraction"),
            "ha": "right",
            "va": "center",
            # Dotted lines pass behind it.
            "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        }
        leader = {"arrowstyle": "-", "color": _BEST, "linewidth": 0.8, "relpos": (1.0, 0.5), "shrinkA": 0, "shrinkB": 0}
        latency_s = piece.cut.latency_s(model.default_conditions(middle))
        axes.annotate(f"{piece.cut.label} ", (middle, latency_s), arrowprops=leader, **below, **_NAME)


@dataclass(frozen=True)
class _Piece:
    """Where a cut is best: from low to high bit/s. room: for so many letters. name: what of its label fits, None if nothing."""

    low: float
    high: float
    cut: Cut
    room: float

    @property
    def name(self) -> str | None:
        return next((name for name in (self.cut.label, self.cut.id) if len(name) <= self.room), None)

    def at(self, share: float) -> float:
        """The uplink at a share of the way, as the axis counts."""
        return self.low * math.pow(self.high / self.low, share)


def _pieces(model: SplittingModel) -> list[_Piece]:
    edges = [model.box.uplink_bps[0], *model.break_points, model.box.uplink_bps[1]]
    width = math.log(edges[-1] / edges[0]) or 1.0
    return [
        _Piece(low, high, model.cuts[index], math.log(high / low) / width / _LETTER)
        for low, high, index in zip(edges, edges[1:], model.best_between, strict=False)
    ]


def _label(axes: Axes, model: SplittingModel) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    information = model.information
    title = f"{model.name}: device {information.device.name}, server {information.server.name}"
    axes.set_title(title, fontsize=11, loc="left", pad=48 if model.break_points else 8)
    axes.set_xlabel(
        f"uplink bandwidth (round trip {show_seconds(model.default_rtt_s)}, downlink {model.default_downlink_ratio:g} × uplink)"
    )
    axes.set_ylabel("predicted latency, end to end")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show_bandwidth(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: show_seconds(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    # Over less than two decades the powers of ten alone leave the axis bare.
    minor = FuncFormatter(lambda value, _: show_seconds(value) if _leading_digit(value) in (2, 5) else "")
    axes.yaxis.set_minor_formatter(minor if high / low < 1000 else NullFormatter())
    axes.tick_params(axis="both", which="both", labelsize=8.5)
    axes.grid(True, which="major", color="#ececec", linewidth=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False, fontsize=9)


def _leading_digit(value: float) -> int:
    return round(value / 10 ** math.floor(math.log10(value) + 1e-9)) if value > 0 else 0
