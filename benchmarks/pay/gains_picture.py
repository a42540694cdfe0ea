"""The picture of `make bench-pay`: gain against the uplink, in units of the uplink at which both extremes tie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.pay.gains import AROUND, Cell
from cic.pictures.figure import write_figure

COLOURS = {"grids": "#9aa1a9", "transforms": "#0b6e4f", "trained": "#b3541e"}
INK = "#444444"
COLUMNS = 3


def draw(found: Sequence[Cell], path: Path) -> None:
    """One panel a network: the median over pairs of machines as a line, and from the least to the largest as a band."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(cell.network for cell in found))
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(3.6 * COLUMNS, 2.7 * rows + 0.4), dpi=130, layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for place, panel in enumerate(panels.flat):
        if place >= len(names):
            panel.set_visible(False)
            continue
        for family in dict.fromkeys(cell.family for cell in found):
            for share, style in ((0.95, "--"), (0.985, "-")):
                mine = [c for c in found if (c.network, c.family, c.share) == (names[place], family, share) and c.tie_bps]
                columns = [sorted(point.gain for c in mine if (point := c.at(times)) is not None) for times in AROUND]
                if not mine:
                    continue
                middle = [values[len(values) // 2] for values in columns]
                colour = COLOURS.get(family, INK)
                panel.plot(AROUND, middle, style, color=colour, linewidth=1.8, label=f"{family}, {share:.1%}")
                panel.fill_between(
                    AROUND, [v[0] for v in columns], [v[-1] for v in columns], color=colour, alpha=0.13, linewidth=0
                )
        panel.axhline(1, color=INK, linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xticks(AROUND, [f"{times:g}" for times in AROUND])
        panel.minorticks_off()
        panel.set_title(names[place], fontsize=10, color=INK)
        panel.tick_params(labelsize=8, colors=INK, labelbottom=True)
        panel.grid(color="#e3e5e8", linewidth=0.6)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0][0].legend(fontsize=7, frameon=False)
    figure.supxlabel("uplink over B0, where device-only and server-only take equally long", fontsize=9, color=INK)
    figure.supylabel("times faster than the better of both", fontsize=9, color=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_figure(figure, path)
