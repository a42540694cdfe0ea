"""Inferences one after another over a link that follows a trace, by the rules of a session and on a clock that costs nothing.

A simulated exchange takes round trip + bits over the trace + server, each with noise. Rules see what a session would see of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.testbed.traces import Trace
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut
from cic.session.abandon_rule import Patience, Progress
from cic.session.forecast import OVERHEAD_DOWN_BYTES, OVERHEAD_UP_BYTES, Forecast
from cic.session.link_estimate import Exchanged, LinkEstimate
from cic.session.planning import PROBE_WAIT_S, Planner, pause_after_probe_s
from cic.session.switching_rule import SwitchingRule

MS, US_IN_NS = 1e-3, 1000


def cut(cut_id: str, device_ms: float, upload_bytes: int, server_ms: float, download_bytes: int = 4000) -> Cut:
    """A cut with these profiled times."""
    features = (
        int(device_ms * 1e6),
        int(server_ms * 1e6),
        upload_bytes,
        download_bytes if upload_bytes else 0,
        int(upload_bytes > 0),
    )
    return Cut(cut_id, features, lambda: ((), ()))


PI = {
    each.id: each
    for each in (
        cut(SERVER_ONLY, 1, 150_000, 15),
        cut("early", 40, 60_000, 12),
        cut("late", 150, 12_000, 8),
        cut(DEVICE_ONLY, 400, 0, 0),
    )
}
"""Cuts such as those of a network of 4 GFLOP between a small board and a server."""


@dataclass
class World:
    """What really happens. trace: of the uplink; downlink is twice as fast. rtt_s: without noise."""

    trace: Trace
    rtt_s: float = 0.01
    noise: float = 0.03
    seed: int = 0
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def shaky(self, seconds: float) -> float:
        """A time with noise."""
        return seconds * max(0.2, self.draw.gauss(1.0, self.noise))

    def exchange(self, cut: Cut, start_s: float) -> Exchanged:
        """One that is begun at a time; it may take for ever."""
        up, down = cut.upload_bytes + OVERHEAD_UP_BYTES, cut.download_bytes + OVERHEAD_DOWN_BYTES
        server_s = self.shaky(cut.row[1])
        uploaded_s = self.trace.sent_at(start_s, up * 8) - start_s
        first_byte_s = uploaded_s + self.shaky(self.rtt_s) + server_s
        # The whole of a small reply comes with its first byte.
        rate_bps = max(2 * self.trace.at(min(start_s + first_byte_s, self.trace.duration_s)), 1e3)
        return Exchanged(up, down, first_byte_s, first_byte_s + down * 8 / rate_bps, server_s, uploaded_s)


@dataclass
class Result:
    """latencies_s: of each inference. switches: of the cut. used: how often each cut was."""

    latencies_s: list[float] = field(default_factory=list)
    switches: int = 0
    used: dict[str, int] = field(default_factory=dict)

    @property
    def mean_s(self) -> float:
        return sum(self.latencies_s) / len(self.latencies_s)


def fixed(world: World, cut: Cut) -> Result:
    """Always the same cut."""
    return _each(world, lambda _: cut)


def clairvoyant(world: World, cuts: Mapping[str, Cut]) -> Result:
    """At each inference the cut that will turn out to be fastest."""

    def best(now_s: float) -> Cut:
        quiet = World(world.trace, world.rtt_s, noise=0.0)
        return min(cuts.values(), key=lambda cut: _latency(quiet, cut, now_s))

    return _each(world, best)


def _latency(world: World, cut: Cut, now_s: float) -> float:
    device_s = world.shaky(cut.row[0])
    return device_s + (world.exchange(cut, now_s + device_s).last_byte_s if cut.offloads else 0.0)


def _each(world: World, choose: Callable[[float], Cut]) -> Result:
    result, now_s = Result(), 0.0
    while now_s < world.trace.duration_s:
        taken_s = _latency(world, choose(now_s), now_s)
        result.latencies_s.append(taken_s)
        now_s += taken_s
    return result


class Simulated:
    """A session's rules in a world."""

    def __init__(self, world: World, cuts: Mapping[str, Cut]) -> None:
        self.world, self.result = world, Result()
        link = LinkEstimate(2e6, 1.0, world.rtt_s)
        self.planner = Planner(cuts, Forecast(link, cuts[DEVICE_ONLY].row[0], cuts[SERVER_ONLY].row[1]), SwitchingRule())
        self.next_probe_s = 0.0
        self.underway: list[tuple[float, Callable[[], None]]] = []

    def run(self) -> Result:
        now_s = 0.0
        while now_s < self.world.trace.duration_s:
            self._hear(now_s)
            usable = self._usable
            plan = self.planner.plan(usable, lambda _: True, now_s)
            self._probe(now_s)
            self.result.used[plan.label] = self.result.used.get(plan.label, 0) + 1
            device_s = self.world.shaky(plan.cut.row[0])
            taken_s = device_s
            if plan.cut.offloads:
                taken_s += self._exchange(plan.label, plan.cut, now_s + device_s, plan.parts.exchange_s, plan.local_s)
            self.planner.forecast.saw_device(plan.label, plan.cut, device_s, now_s + taken_s)
            self.result.latencies_s.append(taken_s)
            now_s += taken_s
        self.result.switches = self.planner.rule.switches
        return self.result

    def _usable(self, cut: Cut) -> bool:
        return not cut.offloads or self.planner.forecast.link.known

    def _exchange(self, label: str, cut: Cut, start_s: float, expected_s: float, local_s: float | None) -> float:
        seen = self.world.exchange(cut, start_s)
        patience = Patience(expected_s, None if local_s is None else local_s - cut.row[0], None, 60.0)
        given_up_s = self._given_up(patience, seen, start_s)
        forecast = self.planner.forecast
        if given_up_s is None:
            forecast.saw_exchange(label, cut, seen, start_s + seen.last_byte_s)
            return seen.last_byte_s
        arrived = self._arrived(seen, start_s, given_up_s)
        forecast.link.observe_unfinished(arrived, given_up_s, start_s + given_up_s)
        self.planner.rule.failed(label, start_s + given_up_s)
        return given_up_s + (patience.local_s or 0.0)

    def _arrived(self, seen: Exchanged, start_s: float, after_s: float) -> int:
        return min(seen.bytes_up, int(self.world.trace.bits_between(start_s, start_s + after_s) / 8))

    def _given_up(self, patience: Patience, seen: Exchanged, start_s: float) -> float | None:
        look_s: float | None = patience.first_look_s()
        while look_s is not None and look_s < seen.last_byte_s:
            last_s = look_s
            look_s = patience.next_look_s(Progress(look_s, self._arrived(seen, start_s, look_s), seen.bytes_up))
            if look_s is None:
                return last_s
        return None

    def _probe(self, now_s: float) -> None:
        """As `Prober` does: beside the inferences."""
        label = self.planner.worth_a_probe(lambda _: True, now_s) if now_s >= self.next_probe_s else None
        if label is None:
            return
        cut = self.planner.cuts[label]
        seen, forecast = self.world.exchange(cut, now_s), self.planner.forecast
        if seen.last_byte_s <= PROBE_WAIT_S:
            spent_s = seen.last_byte_s
            self.underway.append((now_s + spent_s, lambda: forecast.saw_exchange(label, cut, seen, now_s + spent_s)))
        else:
            spent_s = PROBE_WAIT_S
            arrived = self._arrived(seen, now_s, spent_s)
            self.underway.append((now_s + spent_s, lambda: forecast.link.observe_unfinished(arrived, spent_s, now_s + spent_s)))
        self.next_probe_s = now_s + spent_s + pause_after_probe_s(cut.row[0], spent_s)

    def _hear(self, now_s: float) -> None:
        for at_s, tell in sorted(self.underway, key=lambda each: each[0]):
            if at_s <= now_s:
                tell()
        self.underway = [each for each in self.underway if each[0] > now_s]


def compared(
    traces: Sequence[Trace], cuts: Mapping[str, Cut], **options: float
) -> dict[str, tuple[Result, Result, dict[str, Result]]]:
    """Of each trace by name: the rules, the clairvoyant, and each cut alone."""
    return {
        trace.name: (
            Simulated(World(trace, **options), cuts).run(),
            clairvoyant(World(trace, **options), cuts),
            {label: fixed(World(trace, **options), cut) for label, cut in cuts.items()},
        )
        for trace in traces
    }
