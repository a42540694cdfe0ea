"""A session with a deadline for each call, in virtual time: it plans, waits, gives up and answers by itself, as `Steps` does.

All halves are loaded, so that the device finishes from the cut on. What the circuit breaker does is left out: the server of
these worlds is slow at times and never fails. Each inference has luck of its own, the same for whatever is chosen.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import exp, inf

from benchmarks.adaptation.following import PAUSE_S, new_forecast
from benchmarks.adaptation.world import Outcome, World
from cic.decision.cut import Cut
from cic.session.abandon_rule import LOCAL_MARGIN, Patience, Progress
from cic.session.intervals import Expected, Intervals
from cic.session.learned_machines import learned_machines
from cic.session.link_estimate import SAYING_BYTES, Exchanged
from cic.session.planning import PROBE_WAIT_S, Plan, Planner, pause_after_probe_s

_PATIENCE_S, _NOISES, _WAIT_RTTS = 60.0, 2.0, 4.0


class FixedMargin(Intervals):
    """What a session has without intervals: a local answer is given 1.15 times its prediction, and nothing else is known."""

    @property
    def local_margin(self) -> float:
        return LOCAL_MARGIN

    def surely_s(self, expected: Expected) -> float:
        return inf

    def chance(self, expected: Expected, within_s: float) -> float:
        return 0.0


@dataclass(frozen=True)
class Answer:
    """One inference.

    took_s: the answer took so long. alone_s: the device alone would have taken so long, with the same luck. predicted_s: of the
    cut. upper_s: of 95 in 100 cases, said before; None: nothing could be said. kind: remote, local or fallback.
    """

    took_s: float
    alone_s: float
    predicted_s: float
    upper_s: float | None
    kind: str


class DeadlineSession:
    """A session in a world. intervals: what it learns of latencies."""

    def __init__(self, world: World, seed: int, intervals: Intervals) -> None:
        self._world, self._seed, self._draw = world, seed, random.Random(seed)
        self._local = next(label for label, cut in world.cuts.items() if not cut.offloads)
        self._forecast, learned = new_forecast(world), learned_machines(world.tables.prior)
        learned.into(self._forecast)
        self._planner = Planner(world.cuts, self._forecast, learned.rule())
        self._planner.intervals = self._intervals = intervals
        self._next_probe_s = 0.0
        self._forecast.link.observe(world.probe(SAYING_BYTES, 0.0, self._draw), 0.0)

    def run(self, inferences: int, due_s: float | None) -> list[Answer]:
        """One inference after the other, each due in so many seconds."""
        answers, now_s = [], 0.0
        for number in range(inferences):
            plan = self._planner.plan(_every, _every, now_s, due_s)
            self._probe(now_s)
            answers.append(self._answered(plan, now_s, due_s, number))
            now_s += answers[-1].took_s + PAUSE_S
        return answers

    def _answered(self, plan: Plan, now_s: float, due_s: float | None, number: int) -> Answer:
        alone_s = self._lucky(self._local, now_s, number).parts.device_s
        outcome, kind = self._lucky(plan.label, now_s, number), "local"
        device_s = took_s = outcome.parts.device_s
        if outcome.exchanged is not None:
            exchange_s, kind = self._exchange(plan, outcome, outcome.exchanged, now_s, due_s)
            took_s += exchange_s
        end_s, intervals = now_s + took_s, self._intervals
        intervals.saw(plan.promise, took_s)
        if kind != "fallback":
            self._forecast.saw_device(plan.label, plan.cut, device_s, end_s)
            self._planner.rule.saw(plan.label, plan.cut, outcome.parts, end_s)
        if kind == "local":
            intervals.saw_local(plan.parts.device_s, took_s)
        return Answer(took_s, alone_s, plan.parts.latency_s, plan.promise.upper_s, kind)

    def _exchange(self, plan: Plan, outcome: Outcome, seen: Exchanged, now_s: float, due_s: float | None) -> tuple[float, str]:
        """How long it takes from the upload to the answer, and whose that is."""
        link, parts, device_s = self._forecast.link, plan.parts, outcome.parts.device_s
        local_s = max((plan.local_s or 0.0) - parts.device_s, 0.0)
        patience = Patience(
            parts.exchange_s + _NOISES * link.rtt_noise_s,
            local_s,
            None if due_s is None else due_s - device_s,
            _PATIENCE_S,
            parts.server_s + parts.downlink_s,
            plan.margin,
        )
        given_up_s = _given_up(patience, seen)
        if given_up_s is None:
            end_s = now_s + device_s + seen.last_byte_s
            self._forecast.saw_exchange(plan.label, plan.cut, seen, end_s, served_s=outcome.served_s)
            return seen.last_byte_s, "remote"
        at_s, arrived = now_s + device_s + given_up_s, _arrived(seen, given_up_s)
        if arrived < seen.bytes_up:
            link.observe_unfinished(arrived, given_up_s, at_s)
        self._planner.rule.failed(plan.label, at_s)
        true_s = [self._world.true_parts(label, now_s).device_s for label in (self._local, plan.label)]
        rest_s = max(true_s[0] - true_s[1], 0.0) * exp(self._draw.gauss(0.0, self._world.noise))
        self._intervals.saw_local(local_s, rest_s)
        return given_up_s + rest_s, "fallback"

    def _probe(self, now_s: float) -> None:
        """As `cic.session.probing.Prober` does; the answer is known before the next inference."""
        label = self._planner.worth_a_probe(_every, now_s) if now_s >= self._next_probe_s else None
        if label is None:
            return
        expected, link = self._planner.expected(label, now_s), self._forecast.link
        outcome = self._world.run(label, now_s, self._draw)
        seen, device_s, wait_s = outcome.exchanged, outcome.parts.device_s, PROBE_WAIT_S + _WAIT_RTTS * link.rtt_s
        assert seen is not None
        spent_s = min(seen.last_byte_s, wait_s)
        self._intervals.probed(expected, device_s + spent_s)
        at_s = now_s + device_s + spent_s
        if seen.last_byte_s <= wait_s:
            self._forecast.saw_exchange(label, self._world.cuts[label], seen, at_s, served_s=outcome.served_s)
        elif (arrived := _arrived(seen, wait_s)) < seen.bytes_up:
            link.observe_unfinished(arrived, wait_s, at_s)
        self._next_probe_s = at_s + pause_after_probe_s(device_s, spent_s)

    def _lucky(self, label: str, now_s: float, number: int) -> Outcome:
        return self._world.run(label, now_s, random.Random(f"{self._seed} {number}"))


def _every(_: Cut) -> bool:
    return True


def _arrived(seen: Exchanged, after_s: float) -> int:
    """Bytes that the other side has, as if they came evenly."""
    return seen.bytes_up if after_s >= seen.receive_s else int(seen.bytes_up * after_s / seen.receive_s)


def _given_up(patience: Patience, seen: Exchanged) -> float | None:
    """After how long the server is not waited for any more; None: it answers before."""
    look_s: float | None = patience.first_look_s()
    while look_s is not None and look_s < seen.last_byte_s:
        last_s = look_s
        look_s = patience.next_look_s(Progress(look_s, _arrived(seen, look_s), seen.bytes_up))
        if look_s is None:
            return last_s
    return None
