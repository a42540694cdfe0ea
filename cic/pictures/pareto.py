"""The picture of a Pareto front: each known cut by both sums, what is proved, and where other cuts may still be."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from cic.decision.pareto import ParetoCut, ParetoFront
from cic.decision.units import show_bandwidth, show_bytes, show_joules, show_seconds
from cic.pictures.figure import new_figure, write_figure

SHOW = {"latency": show_seconds, "server": show_seconds, "energy": show_joules, "upload": show_bytes}
AXES = {
    "latency": "predicted latency, end to end",
    "server": "seconds of the server",
    "energy": "energy of the device",
    "upload": "bytes sent up",
}
_BEST, _OTHER, _INK = "#0b6e4f", "#b9bfc6", "#444444"


def pareto_picture(front: ParetoFront, name: str, path: str | Path) -> None:
    """Draw a front to a .png, .svg or .pdf file. name: of the network.

    Filled circles are proved to be Pareto-optimal, open ones are known cuts that no known cut beats. Where the front may hold
    cuts that are not known the ground is grey: above the hull, below and to the left of the known ones.

    Raises:
        InputError: another suffix, matplotlib is missing, or the file cannot be written.
    """
    path = Path(path)
    figure = new_figure(path, 8.4, 5.6)
    axes = figure.add_subplot()
    first, second = front.names
    points = [(cut.values[first], cut.values[second]) for cut in front]
    corners = [(cut.values[first], cut.values[second]) for cut in front if cut.supported]
    if not front.complete:
        _draw_unknown(axes, points, corners)
    if len(corners) > 1:
        axes.plot(*zip(*corners, strict=True), color=_BEST, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2, label="convex hull")
    for proved, label in ((True, "proved Pareto-optimal"), (False, "known, not proved")):
        chosen = [point for point, cut in zip(points, front, strict=True) if cut.proved == proved]
        if chosen:
            face = _BEST if proved else "white"
            across, up = zip(*chosen, strict=True)
            axes.scatter(across, up, s=52, color=face, edgecolors=_BEST, linewidths=1.6, zorder=4, label=label)
    _name(axes, front, points)
    axes.set_title(f"{name} at {show_bandwidth(front.conditions.uplink_bps)}", fontsize=11, loc="left")
    axes.set_xlabel(AXES[first])
    axes.set_ylabel(AXES[second])
    _label_axes(axes, front)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4, frameon=False, fontsize=9)
    write_figure(figure, path)


def _draw_unknown(axes, points: list[tuple[float, float]], corners: list[tuple[float, float]]) -> None:  # type: ignore[no-untyped-def]
    """Between neighbours a cut may lie under the stairs of the known ones, and not below the hull."""
    label: str | None = "other cuts may lie here"
    for (left, high), (right, _) in pairwise(points):
        bottom = [_hull_at(corners, left), _hull_at(corners, right)]
        axes.fill_between([left, right], bottom, [high, high], color=_OTHER, alpha=0.35, linewidth=0, zorder=1, label=label)
        label = None


def _hull_at(corners: list[tuple[float, float]], x: float) -> float:
    for (left, high), (right, low) in pairwise(corners):
        if left <= x <= right:
            return high + (low - high) * (x - left) / (right - left)
    return corners[-1][1] if x > corners[-1][0] else corners[0][1]


def _name(axes, front: ParetoFront, points: list[tuple[float, float]]) -> None:  # type: ignore[no-untyped-def]
    """Names stand to the right and above, where no front goes on; of cuts close together only the first has room."""
    width = max(x for x, _ in points) - min(x for x, _ in points) or 1.0
    height = max(y for _, y in points) - min(y for _, y in points) or 1.0
    named: list[tuple[float, float]] = []
    order: list[tuple[ParetoCut, tuple[float, float]]] = sorted(
        zip(front, points, strict=True), key=lambda each: not each[0].supported
    )
    for cut, (x, y) in order:
        if any(abs(x - other) / width < 0.12 and abs(y - level) / height < 0.05 for other, level in named):
            continue
        named.append((x, y))
        offset = {"xytext": (6, 5), "textcoords": "offset points", "fontsize": 8.5, "color": _BEST if cut.proved else _INK}
        axes.annotate(cut.cut.label, (x, y), **offset)


def _label_axes(axes, front: ParetoFront) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.ticker import FuncFormatter

    first, second = front.names
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: SHOW[first](value) if value >= 0 else ""))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: SHOW[second](value) if value >= 0 else ""))
    axes.margins(x=0.14, y=0.12)
    axes.tick_params(axis="both", labelsize=8.5)
    axes.grid(True, color="#ececec", linewidth=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
