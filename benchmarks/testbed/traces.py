"""Bandwidths over time: recorded ones with their sources, made ones with a form, and their replay on the testbed."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Event
from time import monotonic

DATA = Path(__file__).resolve().parents[1] / "data" / "bandwidth_traces.json"
DURATION_S = 60.0
# Changing a bucket takes some milliseconds, and so does noticing.
SHORTEST_STEP_S = 0.1


@dataclass(frozen=True)
class Trace:
    """A bandwidth that changes. source: who recorded it, or how it was made.

    seconds: since the start, ascending from 0. bps: from each of them to the next. duration_s: when the last one ends.
    """

    name: str
    source: str
    seconds: tuple[float, ...]
    bps: tuple[float, ...]
    duration_s: float

    def __post_init__(self) -> None:
        if not self.seconds or self.seconds[0] != 0 or len(self.seconds) != len(self.bps):
            raise ValueError(
                f"trace {self.name}: {len(self.seconds)} times and {len(self.bps)} rates; the first time must be 0"
            )
        if sorted(set(self.seconds)) != list(self.seconds) or self.duration_s <= self.seconds[-1] or min(self.bps) < 0:
            raise ValueError(f"trace {self.name}: times must ascend up to less than {self.duration_s} s, rates be 0 or more")

    def at(self, second: float) -> float:
        """Bit/s at a time; after the end what was there last."""
        return self.bps[max(0, bisect_right(self.seconds, second) - 1)]

    def bits_between(self, start: float, end: float) -> float:
        """Bits that pass between two times."""
        edges = [start, *(second for second in self.seconds if start < second < end), end]
        return sum(self.at(a) * (b - a) for a, b in pairwise(edges))

    def sent_at(self, start: float, bits: float) -> float:
        """When so many bits have passed that began at `start`."""
        now, left = start, bits
        for end in (second for second in self.seconds if second > start):
            if (passing := self.at(now) * (end - now)) >= left:
                break
            now, left = end, left - passing
        rate = self.at(now)
        return now + left / rate if rate > 0 or left <= 0 else float("inf")

    def with_median(self, bps: float) -> Trace:
        """The same form at another level: its median over time, sampled every 100 ms, is this. The source says so."""
        times = bps / median(self.at(step * SHORTEST_STEP_S) for step in range(round(self.duration_s / SHORTEST_STEP_S)))
        return replace(self, source=f"{self.source}; times {times:.3g}", bps=tuple(rate * times for rate in self.bps))

    def first(self, seconds: float) -> Trace:
        """Its beginning."""
        kept = bisect_right(self.seconds, min(seconds, self.duration_s) * (1 - 1e-9))
        return replace(self, seconds=self.seconds[:kept], bps=self.bps[:kept], duration_s=min(seconds, self.duration_s))


def recorded(path: Path = DATA) -> list[Trace]:
    """Those that others recorded: 3G in Norway, video sessions of Oboe and of Puffer; their first minutes."""
    return [
        Trace(each["name"], each["source"], tuple(each["seconds"]), tuple(rate * 1e6 for rate in each["mbps"]), DURATION_S)
        for each in json.loads(path.read_text(encoding="utf-8"))["traces"]
    ]


def made(high_bps: float = 20e6, low_bps: float = 1e6) -> list[Trace]:
    """A step down and up again, a ramp down and up, an outage of five seconds, and a saw."""
    third = DURATION_S / 3
    halves = range(int(DURATION_S))
    ramp = [low_bps * (high_bps / low_bps) ** abs(1 - second / (DURATION_S / 2)) for second in halves]
    saw = [high_bps - (high_bps - low_bps) * (second % 10) / 9 for second in halves]
    return [
        _made("step", (0.0, third, 2 * third), (high_bps, low_bps, high_bps)),
        _made("ramp", tuple(map(float, halves)), tuple(ramp)),
        _made("outage", (0.0, third, third + 5), (high_bps, 0.0, high_bps)),
        _made("saw", tuple(map(float, halves)), tuple(saw)),
    ]


def _made(name: str, seconds: tuple[float, ...], bps: tuple[float, ...]) -> Trace:
    return Trace(name, f"made: {name} between {max(bps) / 1e6:g} and {min(bps) / 1e6:g} Mbit/s", seconds, bps, DURATION_S)


def all_traces() -> list[Trace]:
    """Recorded and made ones."""
    return [*recorded(), *made()]


def replay(trace: Trace, shape: Callable[[float], object], stop: Event, clock: Callable[[], float] = monotonic) -> None:
    """Give `shape` each bandwidth of a trace when it begins, until the trace ends or `stop` is set; 100 ms apart at least.

    A bandwidth that is over before it could begin is left out.
    """
    started = clock()
    for at, (second, bps) in enumerate(zip(trace.seconds, trace.bps, strict=True)):
        following = trace.seconds[at + 1] if at + 1 < len(trace.seconds) else trace.duration_s
        if following - max(second, clock() - started) < SHORTEST_STEP_S and following < trace.duration_s:
            continue
        if stop.wait(max(0.0, second - (clock() - started))):
            return
        shape(bps)
    stop.wait(max(0.0, trace.duration_s - (clock() - started)))
