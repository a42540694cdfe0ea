"""The picture of `make bench-adaptation`: regret added up over inferences, by policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import mean

from cic.pictures.figure import write_figure

COLOURS = ("#0b6e4f", "#5fb49c", "#9aa1a9", "#6c757d", "#b3541e", "#3d5a98", "#8c4b8f", "#c2a33a")
INK = "#444444"


def draw(regrets: Mapping[str, Sequence[Sequence[float]]], path: Path) -> None:
    """The mean over all scenes; in each of them a regret for each inference. Lines are named where they end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.4), dpi=130, layout="constrained")
    panel = figure.subplots()
    for colour, (name, scenes) in zip(COLOURS, regrets.items(), strict=False):
        steps = min(len(scene) for scene in scenes)
        line = list(accumulate(mean(scene[step] for scene in scenes) for step in range(steps)))
        # A logarithmic axis shows no zero: the clairvoyant has nothing to draw at first.
        shown = [max(value, 1e-3) for value in line]
        panel.plot(range(1, steps + 1), shown, color=colour, linewidth=2.0 if name == "learning" else 1.4)
        panel.annotate(f" {name}", (steps, shown[-1]), fontsize=8, color=colour, va="center")
    panel.set_yscale("log")
    panel.set_xlabel("inferences", fontsize=9, color=INK)
    panel.set_ylabel("regret so far, in latencies of the best cut", fontsize=9, color=INK)
    panel.tick_params(labelsize=8, colors=INK)
    panel.grid(color="#e3e5e8", linewidth=0.6)
    panel.margins(x=0.0)
    right = panel.get_xlim()[1]
    panel.set_xlim(1, right * 1.3)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_figure(figure, path)
