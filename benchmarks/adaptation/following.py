"""One policy in one world: inference after inference by the rules of a session, and what each took beside the best of all cuts.

Every policy is given the same: the link as a session estimates it, probed once before the first inference, and then as a
session probes it, beside the inferences (`Planner.worth_a_probe`). All heads are loaded. What a policy makes of the predictions
is its own affair.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from benchmarks.adaptation.world import World
from cic.decision.cut import Cut
from cic.session.forecast import Forecast
from cic.session.link_estimate import SAYING_BYTES, LinkEstimate
from cic.session.planning import PROBE_WAIT_S, Planner, pause_after_probe_s
from cic.session.policy import Policy
from cic.session.session import USUAL_UPLINK_BPS

PAUSE_S = 0.05
WITHIN = 1.05


@dataclass
class Followed:
    """Of each inference: when it began, the cut, and what that takes without noise beside the least that any cut takes then."""

    began_s: list[float] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    best_s: list[float] = field(default_factory=list)

    @property
    def regret(self) -> list[float]:
        """What each took longer than the best cut would have, in latencies of that."""
        return [took / best - 1 for took, best in zip(self.took_s, self.best_s, strict=True)]

    def until_good(self, from_s: float = 0.0, to_s: float = float("inf")) -> int:
        """How many inferences were run between two times before one with a cut within 5 % of the best; all if there is none."""
        regret = [each for each, began in zip(self.regret, self.began_s, strict=True) if from_s <= began < to_s]
        return next((place for place, each in enumerate(regret) if each <= WITHIN - 1), len(regret))

    def was_good(self, at_s: float) -> bool:
        """Was the last inference before a time within 5 %?"""
        before = [each for each, began in zip(self.regret, self.began_s, strict=True) if began < at_s]
        return bool(before) and before[-1] <= WITHIN - 1


def new_forecast(world: World) -> Forecast:
    """What a session knows at its beginning."""
    cuts = world.cuts.values()
    link = LinkEstimate(USUAL_UPLINK_BPS, world.downlink_ratio, world.rtt_s)
    return Forecast(link, max(cut.row[0] for cut in cuts), max(cut.row[1] for cut in cuts))


def follow(
    world: World,
    policy: Policy,
    forecast: Forecast,
    *,
    inferences: int | None = 100,
    until_s: float = float("inf"),
    seed: int = 0,
) -> Followed:
    """Run so many inferences, or all that begin before a time."""
    return _Following(world, policy, forecast, seed).run(inferences, until_s)


class _Following:
    def __init__(self, world: World, policy: Policy, forecast: Forecast, seed: int) -> None:
        self._world, self._policy, self._forecast = world, policy, forecast
        self._draw = random.Random(seed)
        self._planner = Planner(world.cuts, forecast, policy)
        self._next_probe_s = 0.0
        forecast.link.observe(world.probe(SAYING_BYTES, 0.0, self._draw), 0.0)

    def run(self, inferences: int | None, until_s: float) -> Followed:
        followed, now_s, world = Followed(), 0.0, self._world
        while now_s < until_s and (inferences is None or len(followed.cuts) < inferences):
            label = self._planner.plan(_every, _every, now_s).label
            followed.began_s.append(now_s)
            followed.cuts.append(label)
            followed.took_s.append(world.true_parts(label, now_s).latency_s)
            followed.best_s.append(world.best_s(now_s))
            self._probe(now_s)
            now_s = self._run(label, now_s) + PAUSE_S
        return followed

    def _run(self, label: str, now_s: float) -> float:
        """One inference; when it was over."""
        outcome, cut = self._world.run(label, now_s, self._draw), self._world.cuts[label]
        end_s = now_s + outcome.parts.latency_s
        self._forecast.saw_device(label, cut, outcome.parts.device_s, end_s)
        if outcome.exchanged is not None:
            self._forecast.saw_exchange(label, cut, outcome.exchanged, end_s, served_s=outcome.served_s)
        self._policy.saw(label, cut, outcome.parts, end_s)
        return end_s

    def _probe(self, now_s: float) -> None:
        """As `cic.session.probing.Prober` does; the answer is known before the next inference."""
        if now_s < self._next_probe_s:
            return
        label = self._planner.worth_a_probe(_every, now_s)
        if label is None:
            return
        outcome, cut, link = self._world.run(label, now_s, self._draw), self._world.cuts[label], self._forecast.link
        seen, wait_s = outcome.exchanged, PROBE_WAIT_S + 4 * link.rtt_s
        assert seen is not None
        spent_s = min(seen.last_byte_s, wait_s)
        if seen.last_byte_s <= wait_s:
            self._forecast.saw_exchange(label, cut, seen, now_s + spent_s, served_s=outcome.served_s)
        elif seen.receive_s > 0:
            arrived = min(1.0, wait_s / seen.receive_s)
            link.observe_unfinished(int(seen.bytes_up * arrived), min(wait_s, seen.receive_s), now_s + spent_s)
        self._next_probe_s = now_s + spent_s + pause_after_probe_s(outcome.parts.device_s, spent_s)


def _every(_: Cut) -> bool:
    return True
