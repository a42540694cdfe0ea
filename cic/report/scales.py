"""From values to places on a picture: linear, logarithmic and time axes, with round numbers as their ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_TICKS = 9


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` at `start` to `high` at `end`, in units of the picture; logarithmic ones need values above 0."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value is; beyond the ends it is held a little outside of the picture, where it is clipped."""
        if self.logarithmic:
            share = math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, -0.2), 1.2) * (self.end - self.start)

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round values within the axis."""
        return _logarithmic_ticks(self.low, self.high) if self.logarithmic else _linear_ticks(self.low, self.high)


def logarithmic_scale(values: Iterable[float], start: float, end: float) -> Scale:
    """An axis that all positive ones of these values fit on, with a margin; a decade around 1 if there are none."""
    positive = [value for value in values if value > 0]
    low, high = (min(positive), max(positive)) if positive else (0.5, 2.0)
    margin = max((high / low) ** 0.06, 1.1)
    return Scale(low / margin, high * margin, start, end, logarithmic=True)


def time_scale(last_s: float, start: float, end: float) -> Scale:
    """An axis of seconds from 0 to `last_s`, or to 1 where that is next to nothing."""
    return Scale(0.0, last_s if last_s > 1e-3 else 1.0, start, end)


def show_time(time_s: float) -> str:
    """A time since the start of a run, for people: "0.2 s", "1:30", "2:05:00"."""
    if time_s and time_s < 10 and time_s % 1:
        return f"{time_s:.3g} s"
    minutes, rest_s = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_s:02}" if hours else f"{minutes}:{rest_s:02}"


def time_ticks(scale: Scale) -> tuple[float, ...]:
    """Round times within an axis of seconds."""
    span_s = scale.high
    if span_s < _MOST_TICKS:
        return _linear_ticks(0.0, span_s)
    days = 86400 * 10.0 ** math.ceil(math.log10(max(span_s / 86400 / _MOST_TICKS, 1)))
    step_s = next((step for step in _STEPS_S if span_s / step <= _MOST_TICKS), days)
    return tuple(step_s * index for index in range(int(span_s / step_s) + 1))


def _linear_ticks(low: float, high: float) -> tuple[float, ...]:
    decade = 10.0 ** math.floor(math.log10((high - low) / _MOST_TICKS))
    step = next(decade * factor for factor in (1, 2, 5, 10) if (high - low) / (decade * factor) <= _MOST_TICKS)
    return tuple(step * index for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))


def _logarithmic_ticks(low: float, high: float) -> tuple[float, ...]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
        ticks = [10.0**decade * factor for decade in decades for factor in factors]
        inside = tuple(tick for tick in ticks if low <= tick <= high)
        if len(inside) <= _MOST_TICKS:
            return inside
    return inside[:: math.ceil(len(inside) / _MOST_TICKS)]
