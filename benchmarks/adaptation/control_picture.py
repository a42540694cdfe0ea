"""The picture of control: for each case what a frame costs against how many frames wait, from one V to the next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cic.pictures.figure import write_figure

INK = "#444444"
COLOURS = {"all cuts": "#0b6e4f", "chain cuts": "#b3541e"}
COLUMNS = 4


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """One panel a case and goal: a line for all cuts and one for chain cuts, the optimum as a line, and greedy as a cross."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys((row["case"], row["goal"]) for row in rows))
    height = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 2.7 * height + 0.4), dpi=110, layout="constrained")
    axes = figure.subplots(height, COLUMNS, squeeze=False)
    for place, panel in enumerate(axes.flat):
        if place >= len(panels):
            panel.set_visible(False)
            continue
        own = [row for row in rows if (row["case"], row["goal"]) == panels[place]]
        for kind, colour in COLOURS.items():
            mine = sorted((row for row in own if row["kind"] == kind), key=lambda row: row["times"])
            x = [max(row["waiting"], row["power"], 0.1) for row in mine]
            panel.plot(x, [row["penalty"] / row["least"] for row in mine], "o-", color=colour, label=kind, markersize=3)
        for row in own:
            if row["kind"] == "greedy":
                panel.plot([max(row["waiting"], 0.1)], [row["penalty"] / row["least"]], "x", color=INK, label="greedy")
        panel.axhline(1, color=INK, linewidth=0.8, label="optimum, all known beforehand")
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.set_title(f"{panels[place][0]}: {panels[place][1]}", fontsize=8, color=INK)
        panel.tick_params(labelsize=7, colors=INK)
        panel.grid(color="#e3e5e8", linewidth=0.6)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    axes[0][0].legend(fontsize=6, frameon=False)
    figure.supxlabel("frames in the fuller queue, on average; V grows to the right", fontsize=9, color=INK)
    figure.supylabel("penalty over the optimum", fontsize=9, color=INK)
    write_figure(figure, path)
