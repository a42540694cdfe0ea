"""Averages that forget: what was seen a half-life ago weighs half as much as what is seen now. Standard library only."""

from __future__ import annotations


class Average:
    """A weighted mean of values; weights halve every `half_life_s`.

    Times are those of one monotonic clock, in seconds; one that goes back counts as standing still.
    """

    __slots__ = ("_half_life_s", "_last_s", "_total", "weight")

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._last_s = float("-inf")
        self._total = self.weight = 0.0

    def add(self, value: float, weight: float, now_s: float) -> None:
        """See `value` now."""
        kept = 0.5 ** (max(0.0, now_s - self._last_s) / self._half_life_s) if self.weight else 0.0
        self._total = self._total * kept + value * weight
        self.weight = self.weight * kept + weight
        self._last_s = max(now_s, self._last_s)

    @property
    def mean(self) -> float | None:
        """None if nothing was seen."""
        return self._total / self.weight if self.weight else None


class LowestOf:
    """The lowest value of a window of time: it forgets in steps of half the window, so it needs two numbers only."""

    __slots__ = ("_began_s", "_earlier", "_now", "_step_s")

    def __init__(self, window_s: float) -> None:
        self._step_s = window_s / 2
        self._began_s = float("-inf")
        self._earlier = self._now = float("inf")

    def add(self, value: float, now_s: float) -> None:
        """See `value` now."""
        if now_s - self._began_s >= self._step_s:
            self._earlier = self._now if now_s - self._began_s < 2 * self._step_s else float("inf")
            self._now, self._began_s = float("inf"), now_s
        self._now = min(self._now, value)

    @property
    def lowest(self) -> float | None:
        """None if nothing was seen."""
        lowest = min(self._earlier, self._now)
        return lowest if lowest < float("inf") else None
