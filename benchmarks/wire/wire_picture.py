"""The picture of the wire table: what the best split gains at every uplink, for each precision on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cic.pictures.figure import write_figure

COLOURS = {"fp32": "#9aa1a9", "fp16": "#3a5a9b", "int8": "#b3541e", "int4": "#0b6e4f"}
INK = "#444444"


def uplinks_mbps() -> list[float]:
    """Where gains are computed, evenly on a logarithmic axis."""
    return [float(value) for value in np.geomspace(0.1, 100, 181)]


def draw(gains: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """One panel a network. gains: network → precision → gain at each of `uplinks_mbps()`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.1 * len(gains), 3.6), dpi=130, layout="constrained")
    panels = figure.subplots(1, len(gains), sharey=True, squeeze=False)[0]
    for panel, (network, curves) in zip(panels, gains.items(), strict=True):
        for precision, values in curves.items():
            panel.plot(uplinks_mbps(), values, color=COLOURS[precision], linewidth=2, label=precision)
        panel.set_xscale("log")
        panel.set_xlim(0.1, 100)
        panel.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
        panel.set_title(network, fontsize=10, color=INK)
        panel.set_xlabel("uplink, Mbit/s", fontsize=9, color=INK)
        panel.tick_params(labelsize=8, colors=INK)
        panel.grid(which="major", color="#e3e5e8", linewidth=0.6)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0].set_ylabel("times faster than the better of\ndevice-only and server-only", fontsize=9, color=INK)
    panels[0].legend(fontsize=8, frameon=False, title="on the wire, down to", title_fontsize=8)
    figure.suptitle("Raspberry Pi 4 and desktop, uint8 pixels to the server, tensors compressed as measured", fontsize=10)
    write_figure(figure, path)
