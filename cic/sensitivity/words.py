"""The paragraph about a network's sensitivity."""

from __future__ import annotations

from cic.sensitivity.effects import PAYS, Sensitivity
from cic.sensitivity.states import StateTable


def in_words(table: StateTable, found: Sensitivity) -> str:
    """Is it sensitive, to what most, singly or together, where does re-partitioning pay, and what does a stale cut lose?"""
    ranked = sorted(found.effects, key=lambda effect: -effect.share)
    most, rest = ranked[0], max(0.0, 1 - sum(effect.share for effect in ranked))
    others = "".join(f", {effect.factor} {effect.share:.0%}" for effect in ranked[1:])
    sentences = [
        f"Over {len(table.states)} states the latency of {table.name}'s best cut spreads by a factor of {found.spread:.3g}.",
        f"It depends on {most.factor} most, which alone explains {most.share:.0%} of the variance of its logarithm{others}; "
        f"{rest:.0%} is due to factors acting together.",
        f"{len(found.best)} of {len(table.cuts)} cuts are best somewhere, and in {found.changed:.0%} of the states another one "
        f"than {found.usual_cut}, which is best in the usual state.",
        f"If it stays, it loses {found.stale_mean:.1%} on average and {found.stale_worst:.0%} at worst; re-partitioning saves "
        f"more than {PAYS:.0%} in {found.pays:.0%} of the states.",
        _alone(found),
        f"A cut that was chosen in another state loses {found.other_mean:.1%} on average; the best one for good, "
        f"{found.static_cut}, loses {found.static_mean:.1%}, and {found.static_worst:.0%} at worst.",
    ]
    if table.proved:
        sentences.append("Each state's best cut is proved to be the fastest of all cuts.")
    return " ".join(sentences)


def _alone(found: Sensitivity) -> str:
    moving = [effect.factor for effect in found.effects if effect.stale > PAYS]
    together = found.together
    if moving:
        text = f"On their own {', '.join(moving)} can make it lose more than that"
    else:
        text = "No factor on its own makes it lose more than that"
    if together is None:
        return f"{text}."
    return f"{text}; in {together:.0%} of the states in which several differ from the usual ones, only all of them together do."
