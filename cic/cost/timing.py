"""Times of runs taken in turn, and which statistic of them says what a run takes on this machine. Standard library only.

Everything is measured on the wall; processor time is read beside it to tell what the machine withheld. There are three cases:

* Elapsed and processor time agree. The median is what a run takes.
* They differ, and no control group stopped the process: other programs used the machine for a while. A low quantile is what
  a run takes when they do not.
* A control group's quota stopped the process, period after period. That is how fast this machine is, as long as the quota
  stands: what counts is the mean over many periods. A short run is rarely hit by a stop that lasts 75 ms, a long one always,
  so means of few samples would be a lottery. But a quota is spent by processor time alone, so the stops that a run causes are
  in proportion to the processor time of all its threads, which each sample tells exactly. The mean is therefore its
  processor time x the elapsed time of the whole measuring / the processor time of the whole measuring.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import fmean, median, quantiles
from typing import NamedTuple

from cic.cost.control_group import Throttling, groups_here, read_throttling, throttling_between

MEDIAN, LOW_QUANTILE, MEAN = "median", "low quantile", "mean"
STATISTICS = (MEDIAN, LOW_QUANTILE, MEAN)
LOW = 0.1
# The thread that runs has less than this share of the time on the wall: something else had the rest.
UNDISTURBED = 0.95
# A quota that stops the process in fewer periods than this is no standing limit.
SELDOM = 0.1

NEVER = Throttling(0, 0)

# The first runs differ: TorchScript's profiling executor, for one, specialises in them.
WARM_UP_RUNS = 2
# One timed sample lasts at least this long, so that the clock's own time does not matter.
SAMPLE_S = 200e-6
# Slow models take few samples, and their relative noise is small.
FEWEST_SAMPLES = 3
MOST_SAMPLES = 200


class Reading(NamedTuple):
    """Clocks, in seconds: on the wall, of the processor under this thread, of processors under all threads of the process."""

    elapsed_s: float
    thread_s: float
    process_s: float


Clock = Callable[[], Reading]
Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Samples of one run, seconds a run each. elapsed_s: on the wall. process_s: of processors, all threads together."""

    elapsed_s: tuple[float, ...]
    process_s: tuple[float, ...]

    def __add__(self, more: Timing) -> Timing:
        return Timing(self.elapsed_s + more.elapsed_s, self.process_s + more.process_s)

    @property
    def low_s(self) -> float:
        """The elapsed time that one sample in ten stays below."""
        return sorted(self.elapsed_s)[int(LOW * (len(self.elapsed_s) - 1))]

    @property
    def median_s(self) -> float:
        return median(self.elapsed_s)

    @property
    def mean_s(self) -> float:
        return fmean(self.elapsed_s)

    @property
    def spread(self) -> float:
        """Inter-quartile range of the elapsed times over their median; 0 for a single sample."""
        low, middle, high = quantiles(self.elapsed_s, n=4) if len(self.elapsed_s) > 1 else (0.0, 0.0, 0.0)
        return (high - low) / middle if middle > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What the machine gave while runs were timed: the clocks' progress over all of them, and what control groups counted."""

    elapsed_s: float = 0.0
    thread_s: float = 0.0
    process_s: float = 0.0
    throttling: Throttling = NEVER

    def __add__(self, more: Pace) -> Pace:
        mine, other = self.throttling, more.throttling
        return Pace(
            self.elapsed_s + more.elapsed_s,
            self.thread_s + more.thread_s,
            self.process_s + more.process_s,
            Throttling(mine.periods + other.periods, mine.throttled + other.throttled),
        )

    @property
    def throttled(self) -> float:
        """In what share of its periods a control group stopped the process."""
        return self.throttling.throttled / self.throttling.periods if self.throttling.periods else 0.0

    @property
    def statistic(self) -> str:
        """Which statistic says what a run takes here; the docstring of this file says why."""
        if self.throttled > SELDOM:
            return MEAN
        return MEDIAN if self.thread_s >= UNDISTURBED * self.elapsed_s else LOW_QUANTILE

    def seconds(self, timing: Timing) -> float:
        """What one run takes, elapsed."""
        if self.statistic == MEAN:
            return fmean(timing.process_s) * self.elapsed_s / max(self.process_s, 1e-9)
        return timing.median_s if self.statistic == MEDIAN else timing.low_s


@dataclass(frozen=True, slots=True)
class Session:
    """Runs timed in turn. timings: one a run. pace: of all of them together."""

    timings: tuple[Timing, ...]
    pace: Pace

    @property
    def seconds(self) -> tuple[float, ...]:
        return tuple(map(self.pace.seconds, self.timings))


def read_clocks() -> Reading:
    return Reading(time.perf_counter(), time.thread_time(), time.process_time())


def take_turns(runs: Sequence[Run], budget_s: float, *, clock: Clock = read_clocks) -> Session:
    """Time each of `runs` once in every round, for about `budget_s` altogether.

    A slow moment of the machine falls on all alike. Samples follow each other without a gap, so that no stop of the process
    falls between them unnoticed.
    """
    repeats = [_repeats(run, clock) for run in runs]
    samples: list[tuple[list[float], list[float]]] = [([], []) for _ in runs]
    groups = groups_here()
    counted = read_throttling(groups)
    started = before = clock()
    rounds = 0
    while rounds < MOST_SAMPLES and (rounds < FEWEST_SAMPLES or before.elapsed_s < started.elapsed_s + budget_s):
        for run, times, (elapsed, process) in zip(runs, repeats, samples, strict=True):
            for _ in range(times):
                run()
            after = clock()
            elapsed.append((after.elapsed_s - before.elapsed_s) / times)
            process.append((after.process_s - before.process_s) / times)
            before = after
        rounds += 1
    passed = Reading(*(last - first for first, last in zip(started, before, strict=True)))
    pace = Pace(*passed, throttling_between(counted, read_throttling(groups)))
    return Session(tuple(Timing(tuple(elapsed), tuple(process)) for elapsed, process in samples), pace)


def total_pace(sessions: Sequence[Session]) -> Pace:
    return reduce(Pace.__add__, (session.pace for session in sessions), Pace())


def _repeats(run: Run, clock: Clock) -> int:
    """How often to run in one sample, found after warming up."""
    for _ in range(WARM_UP_RUNS):
        run()
    started = clock()
    run()
    return max(1, round(SAMPLE_S / max(clock().elapsed_s - started.elapsed_s, 1e-7)))
