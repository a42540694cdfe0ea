"""Times of several methods, taken in turn: a slow moment of the machine falls on all alike, and ratios stay right.

All methods here work in one thread, so that thread's processor time is what they take on a quiet machine; on a busy one, wall
time would count the turns of other programs, and those fall on long calls only.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter, thread_time

Call = Callable[[], object]


def interleaved(rounds: list[Mapping[str, Call]], seconds_per_method: float = 3e-3) -> dict[str, list[float]]:
    """Processor seconds per call of each method in each round.

    Args:
        rounds: what each method does in a round; the same names in each.
        seconds_per_method: a call shorter than this is repeated to fill it, and the mean taken.
    """
    taken: dict[str, list[float]] = {name: [] for name in rounds[0]}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for calls in rounds:
            for name, call in calls.items():
                # The call that finds out how often to repeat also warms the caches.
                started = thread_time()
                call()
                repeats = max(1, min(2000, int(seconds_per_method / max(thread_time() - started, 1e-7))))
                started = thread_time()
                for _ in range(repeats):
                    call()
                taken[name].append((thread_time() - started) / repeats)
    finally:
        if collecting:
            gc.enable()
    return taken


def interleaved_once(
    rounds: int, methods: Mapping[str, tuple[Callable[[], object], Callable[[object], object]]]
) -> dict[str, float]:
    """Median seconds of the second half of each method, where the first half makes it ready and is not timed.

    Wall time: these take microseconds, too little for the clock of the thread and for other programs to get in between.
    """
    taken: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, (prepare, run) in methods.items():
            ready = prepare()
            started = perf_counter()
            run(ready)
            taken[name].append(perf_counter() - started)
    return {name: median(times) for name, times in taken.items()}


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median over rounds of slow / fast."""
    return median(a / b for a, b in zip(slow, fast, strict=True))
