"""Cuts are run to learn from them where that may pay; the price is bounded; the best cut is found."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp
from statistics import mean

import pytest

from cic.decision.cut import Cut
from cic.session.forecast import Parts
from cic.session.learned_times import LearnedTimes
from cic.session.learning_rule import FIRST, SHARE, LearningRule
from cic.session.switching_rule import SwitchingRule

CUT = Cut("cut-00", (1, 1, 1, 1, 1), lambda: ((), ()))


class Pair:
    """Random cuts, between a device and a server that are not as they are thought to be."""

    def __init__(self, seed: int, cuts: int = 12) -> None:
        self.draw = draw = random.Random(seed)
        self.labels = [f"{place}" for place in range(cuts)]
        on_device = sorted(draw.random() for _ in self.labels)
        on_device[0], on_device[-1] = 0.0, 1.0
        self.device_s = {label: share * 0.2 for label, share in zip(self.labels, on_device, strict=True)}
        self.server_s = {label: (1 - share) * 0.02 for label, share in zip(self.labels, on_device, strict=True)}
        self.uplink_s = {label: draw.uniform(0.01, 0.3) for label in self.labels[:-1]} | {self.labels[-1]: 0.0}
        shares = [{label: tuple(self._mix()) for label in self.labels} for _ in range(2)]
        self.learned = LearnedTimes(shares[0]), LearnedTimes(shares[1])
        scales = [draw.gauss(0, 1.2) for _ in range(2)]
        rates = [[draw.gauss(0, 0.3) for _ in range(4)] for _ in range(2)]
        self.factors = [
            {label: exp(draw.gauss(0, 0.05)) * _work(mix[label], scale, each) for label in self.labels}
            for mix, scale, each in zip(shares, scales, rates, strict=True)
        ]

    def _mix(self) -> list[float]:
        parts = [self.draw.random() for _ in range(4)]
        return [part / sum(parts) for part in parts]

    def predicted(self) -> dict[str, Parts]:
        device, server = self.learned
        return {
            label: Parts(
                device.seconds(label, self.device_s[label], device.slowdown(0.0)),
                self.uplink_s[label],
                server.seconds(label, self.server_s[label], server.slowdown(0.0)),
            )
            for label in self.labels
        }

    def true(self, label: str) -> Parts:
        device, server = self.factors
        return Parts(device[label] * self.device_s[label], self.uplink_s[label], server[label] * self.server_s[label])

    def run(self, rule: LearningRule | SwitchingRule, label: str, now_s: float) -> Parts:
        parts = Parts(*(part * exp(self.draw.gauss(0, 0.1)) for part in self.true(label)))
        for side, profiled, measured_s in zip(
            self.learned, (self.device_s, self.server_s), (parts.device_s, parts.server_s), strict=True
        ):
            if profiled[label]:
                side.observe(label, profiled[label], measured_s, now_s)
        rule.saw(label, CUT, parts, now_s)
        return parts

    def regret(self, label: str) -> float:
        best_s = min(self.true(each).latency_s for each in self.labels)
        return self.true(label).latency_s / best_s - 1


def _work(mix: Sequence[float], scale: float, rates: Sequence[float]) -> float:
    return sum(share * exp(scale + rate) for share, rate in zip(mix, rates, strict=True))


def followed(pair: Pair, rule: LearningRule | SwitchingRule, inferences: int) -> list[float]:
    regrets = []
    for step in range(inferences):
        label = rule.choose(pair.predicted(), 0.05, step * 0.1).cut
        regrets.append(pair.regret(label))
        pair.run(rule, label, step * 0.1)
    return regrets


def test_the_best_cut_is_found_soon_and_kept() -> None:
    soon, late = [], []
    for seed in range(40):
        pair = Pair(seed)
        regrets = followed(pair, LearningRule(*pair.learned), 60)
        soon.append(next((step for step, regret in enumerate(regrets) if regret <= 0.05), 60))
        late.append(mean(regrets[20:]))
    assert sorted(soon)[20] <= 3 and sorted(soon)[37] <= 8, "median and 95th percentile"
    assert mean(late) < 0.05


@pytest.mark.parametrize("seed", range(10))
def test_learning_never_costs_more_than_its_share(seed: int) -> None:
    pair = Pair(seed)
    rule = LearningRule(*pair.learned)
    first_s, total_s = None, 0.0
    for step in range(100):
        parts = pair.predicted()
        choice = rule.choose(parts, 0.05, step * 0.1)
        first_s = first_s or FIRST * parts[choice.fastest].latency_s
        total_s += pair.run(rule, choice.cut, step * 0.1).latency_s
        assert rule.spent_s <= first_s + SHARE * total_s
        assert rule.total_s == pytest.approx(total_s)


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_is_named_again_if_nothing_was_run_meanwhile(seed: int) -> None:
    pair = Pair(seed)
    rule = LearningRule(*pair.learned)
    for step in range(20):
        first = rule.choose(pair.predicted(), 0.05, step * 0.1)
        assert rule.choose(pair.predicted(), 0.05, step * 0.1).cut == first.cut
        pair.run(rule, first.cut, step * 0.1)


def test_machines_that_are_known_are_left_to_the_usual_rule() -> None:
    for seed in range(5):
        pair, other = Pair(seed), Pair(seed)
        assert followed(pair, LearningRule(None, None), 30) == followed(other, SwitchingRule(), 30)


def test_a_cut_that_is_run_to_learn_says_so() -> None:
    said = []
    for seed in range(20):
        pair = Pair(seed)
        rule = LearningRule(*pair.learned)
        for step in range(5):
            choice = rule.choose(pair.predicted(), 0.05, step * 0.1)
            if choice.cut != choice.fastest and "tells whether" in choice.why:
                said.append(choice)
            pair.run(rule, choice.cut, step * 0.1)
    assert said and all(choice.fastest in choice.why for choice in said)


def test_only_cuts_that_can_be_run_are_named() -> None:
    pair = Pair(3)
    rule = LearningRule(*pair.learned)
    for step in range(10):
        parts = {label: parts for label, parts in pair.predicted().items() if label in ("0", "5", "11")}
        assert rule.choose(parts, 0.05, step * 0.1).cut in parts
