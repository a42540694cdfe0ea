"""The heat map of a network's sensitivity: what the usual cut loses, by the factor that matters most and each other one."""

from __future__ import annotations

from pathlib import Path

from cic.pictures.figure import new_figure, write_figure
from cic.sensitivity.effects import Sensitivity
from cic.sensitivity.states import Level, StateTable

_MOST_CUTS = 26


def heat_map(table: StateTable, found: Sensitivity, path: str | Path) -> None:
    """Draw one map for each other factor to a .png, .svg or .pdf file; all further factors are as usual.

    The colour is by how much the usual cut is slower than the best one. The letter says which cut is best.

    Raises:
        InputError: another suffix, matplotlib is missing, or the file cannot be written.
    """
    path = Path(path)
    most = max(range(len(table.factors)), key=lambda factor: found.effects[factor].share)
    others = [factor for factor in range(len(table.factors)) if factor != most] or [most]
    figure = new_figure(path, 3.6 * len(others) + 1.6, 5.2)
    letters = {cut: _letter(number) for number, (cut, _) in enumerate(found.best)}
    panels = figure.subplots(1, len(others), squeeze=False)[0]
    images = [_draw(panel, table, most, other, letters) for panel, other in zip(panels, others, strict=True)]
    bar = figure.colorbar(images[0], ax=list(panels), shrink=0.8, pad=0.02, ticks=[0, 0.25, 0.5, 0.75, 1.0])
    bar.ax.set_yticklabels(["0 %", "25 %", "50 %", "75 %", "100 % or more"], fontsize=8)
    bar.set_label(f"how much slower {found.usual_cut} is than the best cut", fontsize=9)
    figure.suptitle(f"{table.name}: sensitivity to operating conditions", fontsize=11, x=0.01, ha="left")
    shown = [f"{letters[cut]} {cut}" for cut, _ in found.best[:8]]
    more = f", and {len(found.best) - 8} more" if len(found.best) > 8 else ""
    figure.supxlabel(f"best cut: {', '.join(shown)}{more}", fontsize=8.5)
    write_figure(figure, path)


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < _MOST_CUTS else "+"


def _draw(panel, table: StateTable, most: int, other: int, letters: dict[str, str]):  # type: ignore[no-untyped-def]
    across, up = table.levels(most), table.levels(other) if other != most else ("",)
    best, stale = table.best, table.loss(table.best[table.usual])
    number = {(table.states[state][most], table.states[state][other]): state for state in table.alone(most, other)}
    cells = [[number.get((x, x if other == most else y)) for x in across] for y in up]
    values = [[float("nan") if state is None else min(stale[state], 1.0) for state in row] for row in cells]
    image = panel.imshow(values, origin="lower", aspect="auto", cmap="YlOrRd", vmin=0.0, vmax=1.0)
    usual = table.states[table.usual]
    for y, row in enumerate(cells):
        for x, state in enumerate(row):
            if state is None:
                continue
            ink = "white" if min(stale[state], 1.0) > 0.6 else "#333333"
            weight = "bold" if table.states[state] == usual else "normal"
            text = letters[table.cuts[best[state]]]
            panel.text(x, y, text, ha="center", va="center", fontsize=8, color=ink, fontweight=weight)
    panel.set_xticks(range(len(across)), [_shown(level) for level in across], fontsize=7.5, rotation=60)
    panel.set_yticks(range(len(up)), [_shown(level) for level in up], fontsize=8)
    panel.set_xlabel(table.factors[most], fontsize=9)
    if other != most:
        panel.set_ylabel(table.factors[other], fontsize=9)
    panel.tick_params(length=0)
    return image


def _shown(level: Level) -> str:
    return level if isinstance(level, str) else f"{float(f'{level:.3g}'):g}"
