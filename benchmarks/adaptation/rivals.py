"""Policies that people would use instead, for `cic.session.planning.Planner`: re-implemented from what is described of them.

* `HillClimbing` over neighbouring cuts, by measured latencies and without any profile: as much as the abstract of PArtNNer (ACM
  TECS 2024) allows. How that one steps is not public, so this is hill climbing, and none of theirs.
* `EpsilonGreedy`: the bandit over cuts, with averages that forget (Sutton and Barto, "Reinforcement Learning", chapter 2).
* `MuLinUcb`: the contextual bandit of ANS (Zhang, Chen and Xu, "Autodidactic Neurosurgeon", WWW 2021) after its published code.
* `Fixed`: one cut for ever. The best of these, chosen with hindsight, is the best that no adaptation can do.
* `Neurosurgeon`: predicts from op times that were measured before, on another pair of machines, and from the bandwidth now, but
  knows no load (Kang et al., ASPLOS 2017, whose models of layers are such op times; of its cuts it may have all of ours).
* `Clairvoyant`: knows the true times, the load and the future of the link, and has the cuts of the session's table.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from math import ceil, log, sqrt

import numpy as np

from benchmarks.adaptation.world import Work, World
from cic.decision.cut import Cut
from cic.session.forecast import Parts
from cic.session.policy import Choice
from cic.session.switching_rule import latency_of


class _Rival:
    """What they have in common: least latency, one decision an inference, and no trouble."""

    def __init__(self) -> None:
        self._next: str | None = None

    def cost(self, parts: Parts) -> float:
        return latency_of(parts)

    def choose(self, parts: Mapping[str, Parts], spread: float, now_s: float) -> Choice:
        """The same until an inference was run, however often a plan is made."""
        if self._next is None or self._next not in parts:
            self._next = self.pick(parts, now_s)
        return Choice(self._next, self._next, "as the policy says")

    def failed(self, cut: str, now_s: float) -> None:
        """Nothing is given up in a simulated world."""

    def saw(self, label: str, cut: Cut, parts: Parts, now_s: float) -> None:
        self._next = None
        self.learn(label, parts)

    def pick(self, parts: Mapping[str, Parts], now_s: float) -> str:
        raise NotImplementedError

    def learn(self, label: str, parts: Parts) -> None:
        """See what an inference took."""


class Fixed(_Rival):
    """Always the same cut."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self._label = label

    def pick(self, parts: Mapping[str, Parts], now_s: float) -> str:
        return self._label


class Clairvoyant(_Rival):
    """At each inference the cut that takes least then."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def pick(self, parts: Mapping[str, Parts], now_s: float) -> str:
        return min(parts, key=lambda label: self._world.true_parts(label, now_s).latency_s)


class Neurosurgeon(_Rival):
    """works: what each cut has to do by the times that were measured before."""

    def __init__(self, works: Mapping[str, Work]) -> None:
        super().__init__()
        self._works = works

    def pick(self, parts: Mapping[str, Parts], now_s: float) -> str:
        return min(parts, key=lambda label: self._predicted_s(self._works[label], parts[label]))

    def _predicted_s(self, work: Work, parts: Parts) -> float:
        return work.device_s + work.server_s + parts.uplink_s + parts.downlink_s + parts.rtt_s


class HillClimbing(_Rival):
    """Tries the neighbour in its direction; goes on while that is faster, else turns round; where both are slower it rests.

    Cuts are in the order of the work on the device. start: which share of them is before the first one. step: of neighbours, at
    first as a share of all cuts; halved when both directions are slower. repeats: inferences with each cut before it is judged
    by their mean. rest: inferences on the top before the neighbours are tried again, as conditions change.
    """

    def __init__(self, cuts: Sequence[str], *, start: float = 0.5, step: float = 0.0, repeats: int = 1, rest: int = 10) -> None:
        super().__init__()
        self._cuts, self._repeats, self._rest = cuts, repeats, rest
        self._here = min(round(start * (len(cuts) - 1)), len(cuts) - 1)
        self._step = max(1, round(step * len(cuts)))
        self._direction, self._turned = 1, 0
        self._tried: int | None = None
        self._seen_s: list[float] = []
        self._here_s: float | None = None
        self._resting = 0

    def pick(self, parts: Mapping[str, Parts], now_s: float) -> str:
        return self._cuts[self._here if self._tried is None else self._tried]

    def learn(self, label: str, parts: Parts) -> None:
        self._seen_s.append(parts.latency_s)
        if len(self._seen_s) < self._repeats:
            return
        mean_s, self._seen_s = sum(self._seen_s) / len(self._seen_s), []
        if self._resting:
            self._here_s = mean_s
            self._resting -= 1
        elif self._tried is None:
            self._here_s = mean_s
        elif self._here_s is not None and mean_s < self._here_s:
            self._here, self._here_s, self._turned = self._tried, mean_s, 0
        else:
            self._turn()
        self._tried = None if self._resting else self._neighbour()

    def _turn(self) -> None:
        self._direction, self._turned = -self._direction, self._turned + 1
        if self._turned == 2:
            self._turned = 0
            if self._step > 1:
                self._step //= 2
            else:
                self._resting = self._rest

    def _neighbour(self) -> int | None:
        for _ in range(2):
            place = self._here + self._direction * self._step
            if 0 <= place < len(self._cuts):
                return place
            self._turn()
        return None


class EpsilonGreedy(_Rival):
    """With probability epsilon any cut, else the one of the least average so far; averages forget.

    decays: epsilon / sqrt(inferences) instead. tries_all: each cut once at first; else the first cut is any, and only what was
    run is known.
    """

    def __init__(
        self,
        cuts: Sequence[str],
        *,
        epsilon: float = 0.1,
        decays: bool = False,
        tries_all: bool = False,
        kept: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._cuts, self._epsilon, self._decays, self._tries_all, self._kept = cuts, epsilon, decays, tries_all, kept
        self._draw = random.Random(seed)
        self._average_s: dict[str, float] = {}
        self._count = 0

    def pick(self, parts: Mapping[str, Parts], now_s: float) -> str:
        if self._tries_all and len(self._average_s) < len(self._cuts):
            return next(cut for cut in self._cuts if cut not in self._average_s)
        epsilon = self._epsilon / sqrt(max(1, self._count)) if self._decays else self._epsilon
        if not self._average_s or self._draw.random() < epsilon:
            return self._draw.choice(self._cuts)
        return min(self._average_s, key=self._average_s.__getitem__)

    def learn(self, label: str, parts: Parts) -> None:
        known = self._average_s.get(label, parts.latency_s)
        self._average_s[label] = self._kept * known + (1 - self._kept) * parts.latency_s
        self._count += 1


class MuLinUcb(_Rival):
    """µLinUCB, by the formulas of its code: for the context x in R^7 of each cut that uses the server,

        score = x' theta - alpha sqrt((1 - L) x' A^-1 x) + seconds on the device,       theta = A^-1 b
        alpha = (C_theta + C_noise sqrt(7 ln((1 + T C_x^2) / delta))) / (1 - 0.8)

    and the least score is run; the score of device-only is what it takes. A begins as diag(random of 1 … 8), b as 0; both grow
    by what was run with the server: A by x x', b by x times the delay after the head. C_theta = 1, C_noise = 0.05, delta = 0.1.
    L is 0.2, as there are no key frames here. The horizon T begins with 200 and doubles. Every ceil(T^0.25)-th inference must
    use the server. As there, what the device takes is known beforehand: it is told the true times, which nobody else is.

    contexts: of each cut, features of what is left to the server (`benchmarks.adaptation.contexts`); here the largest of each
    is scaled to 1. alpha: a factor on alpha, which is of the size of delays in seconds; 1 is that of the paper.
    """

    def __init__(
        self,
        contexts: Mapping[str, Sequence[float]],
        device_s: Mapping[str, float],
        *,
        alpha: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._device_s, self._factor = device_s, alpha
        remote = [label for label in contexts if any(contexts[label])]
        largest = np.max([contexts[label] for label in remote], axis=0)
        self._contexts = {label: np.asarray(contexts[label]) / np.where(largest > 0, largest, 1.0) for label in remote}
        draw = np.random.default_rng(seed)
        self._a, self._b = np.diag(draw.integers(1, 9, 7).astype(float)), np.zeros(7)
        self._count, self._horizon = 0, 200

    def pick(self, parts: Mapping[str, Parts], now_s: float) -> str:
        self._count += 1
        if self._count > self._horizon:
            self._horizon *= 2
        inverse = np.linalg.inv(self._a)
        theta, alpha = inverse @ self._b, self._alpha()
        forced = self._count % ceil(self._horizon**0.25) == 0
        scores = {}
        for label in parts:
            front = self._device_s[label]
            x = self._contexts.get(label)
            if x is not None:
                scores[label] = float(x @ theta - alpha * sqrt(0.8 * (x @ inverse @ x)) + front)
            elif not forced:
                scores[label] = front
        return min(scores, key=scores.__getitem__)

    def learn(self, label: str, parts: Parts) -> None:
        x = self._contexts.get(label)
        if x is not None:
            self._a += np.outer(x, x)
            self._b += x * (parts.latency_s - parts.device_s)

    def _alpha(self) -> float:
        largest_square = max(float(x @ x) for x in self._contexts.values())
        return self._factor * (1 + 0.05 * sqrt(7 * log((1 + self._horizon * largest_square) / 0.1))) / (1 - 0.8)
