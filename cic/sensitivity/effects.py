"""What states do to a network: how far latencies spread, how often another cut is best, and what a cut that stays loses.

The questions are those of McNamee et al., "The case for adaptive deep neural networks in edge computing", IEEE CLOUD 2021: is a
network sensitive to operating conditions, how much, to each alone or to several together, and does hardware change that? The
answers here are computed from a table of states; the study measured, and had no such table.

`share` is the first-order index of variance-based sensitivity analysis (Sobol', Mathematical Modelling and Computational
Experiments 1, 1993): the variance of the mean logarithm of the best latency at each level of a factor, over the variance of
all. Of a full grid the shares add up to at most 1, and what is missing is due to factors acting together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean, pvariance

from cic.sensitivity.states import StateTable

PAYS = 0.05
"""Re-partitioning pays where the cut that stays is slower than the best one by more than this."""


@dataclass(frozen=True)
class Effect:
    """What one factor does, alone or in all states.

    factor: its name. levels: how many it has. spread: the largest best latency over the least, while all else is as usual.
    cuts: how many cuts are best somewhere, while all else is as usual. stale: the largest loss of the usual cut there.
    share: of the variance of the logarithm of the best latency, over all states.
    """

    factor: str
    levels: int
    spread: float
    cuts: int
    stale: float
    share: float


@dataclass(frozen=True)
class Sensitivity:
    """What a table of states says.

    effects: of each factor. usual_cut: the cut that is best in the usual state.
    spread: the largest best latency over the least, in all states. best: how many states each cut is best in, most first.
    changed: the share of states in which another cut than the usual one is best.
    pays: the share of states in which the usual cut loses more than `PAYS`. stale_mean, stale_worst: what it loses.
    other_mean: what a cut loses in a state when it was chosen in another one, the mean over all pairs of states.
    static_cut, static_mean, static_worst: the cut that loses least on average if none is ever changed, and what it loses.
    together: of states in which several factors differ from the usual one, the share in which the usual cut loses more than
        `PAYS`, though it would not if any one of them alone did; None if no such state could be compared.
    """

    effects: tuple[Effect, ...]
    usual_cut: str
    spread: float
    best: tuple[tuple[str, int], ...]
    changed: float
    pays: float
    stale_mean: float
    stale_worst: float
    other_mean: float
    static_cut: str
    static_mean: float
    static_worst: float
    together: float | None


def sensitivity(table: StateTable) -> Sensitivity:
    """All of it, from a table."""
    best, losses = table.best, [table.loss(cut) for cut in range(len(table.cuts))]
    means = [fmean(loss) for loss in losses]
    usual, static = best[table.usual], means.index(min(means))
    lowest = [min(row) for row in table.latency_s]
    counts = sorted(((best.count(cut), -cut) for cut in set(best)), reverse=True)
    return Sensitivity(
        effects=tuple(_effect(table, factor, lowest, losses[usual]) for factor in range(len(table.factors))),
        usual_cut=table.cuts[usual],
        spread=max(lowest) / min(lowest),
        best=tuple((table.cuts[-cut], count) for count, cut in counts),
        changed=fmean(cut != usual for cut in best),
        pays=fmean(loss > PAYS for loss in losses[usual]),
        stale_mean=means[usual],
        stale_worst=max(losses[usual]),
        other_mean=fmean(means[cut] for cut in best),
        static_cut=table.cuts[static],
        static_mean=means[static],
        static_worst=max(losses[static]),
        together=_together(table, losses[usual]),
    )


def _effect(table: StateTable, factor: int, lowest: Sequence[float], stale: Sequence[float]) -> Effect:
    alone = table.alone(factor)
    own, best = [lowest[state] for state in alone], table.best
    return Effect(
        table.factors[factor],
        len(table.levels(factor)),
        max(own) / min(own),
        len({best[state] for state in alone}),
        max(stale[state] for state in alone),
        _share(table, factor, [log(value) for value in lowest]),
    )


def _share(table: StateTable, factor: int, values: Sequence[float]) -> float:
    whole = pvariance(values)
    if whole <= 0:
        return 0.0
    groups: dict[object, list[float]] = {}
    for state, value in zip(table.states, values, strict=True):
        groups.setdefault(state[factor], []).append(value)
    mean = fmean(values)
    return sum(len(group) * (fmean(group) - mean) ** 2 for group in groups.values()) / len(values) / whole


def _together(table: StateTable, stale: Sequence[float]) -> float | None:
    """See `Sensitivity.together`."""
    number = {state: index for index, state in enumerate(table.states)}
    usual, seen, only_together = table.states[table.usual], 0, 0
    for state, loss in zip(table.states, stale, strict=True):
        changed = [index for index in range(len(usual)) if state[index] != usual[index]]
        singly = [(*usual[:index], state[index], *usual[index + 1 :]) for index in changed]
        if len(changed) < 2 or any(each not in number for each in singly):
            continue
        seen += 1
        only_together += loss > PAYS and all(stale[number[each]] <= PAYS for each in singly)
    return only_together / seen if seen else None
