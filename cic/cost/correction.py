"""Op times corrected by what real halves took: `cic calibrate` measures cuts whole, the table adds up ops.

Of each measured half only its sum is known. Op times are chosen that explain all sums at once, are zero or more, and change as
little as they have to, relative to what was predicted (`cic.cost.attribution`). Ops in no measured half keep their share of
what the longest one says of the machine's speed. Needs numpy and scipy.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from cic.cost.attribution import Half, attribute

# Medians of many runs are sharper than what a profile has; and what was predicted counts for less.
HALF_PRECISION, WHOLE_PRECISION, LOOSENESS = 0.003, 0.001, 1.0

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class MeasuredOps:
    """ops: of a half, by their numbers. seconds: that they took together."""

    ops: tuple[int, ...]
    seconds: float


def corrected_op_times(predicted_s: Sequence[float], halves: Sequence[MeasuredOps]) -> tuple[float, ...]:
    """Seconds of each op that explain the halves; as predicted where there are none.

    predicted_s: of each op. halves: of one side; those without ops say nothing.
    """
    known = [half for half in halves if half.ops and half.seconds > 0]
    if not known:
        return tuple(predicted_s)
    rows = [Half(_counts(half.ops, len(predicted_s)), half.seconds) for half in known]
    longest = max(range(len(rows)), key=lambda number: (len(known[number].ops), known[number].seconds))
    return attribute(
        [row for number, row in enumerate(rows) if number != longest],
        predicted_s,
        rows[longest],
        half_precision=HALF_PRECISION,
        whole_precision=WHOLE_PRECISION,
        looseness=LOOSENESS,
    )


def corrected_codec_times(predicted_s: Mapping[Key, float], measured_s: Mapping[Key, Sequence[float]]) -> dict[Key, float]:
    """Seconds of each form of a tensor: the median where it was measured; elsewhere the prediction, times how far it was off
    on all that was measured together."""
    found = {form: median(times) for form, times in measured_s.items() if times}
    expected = sum(predicted_s[form] for form in found)
    ratio = sum(found[form] for form in found if predicted_s[form] > 0) / expected if expected > 0 else 1.0
    return {form: found.get(form, seconds * ratio) for form, seconds in predicted_s.items()}


def _counts(ops: Sequence[int], total: int) -> list[int]:
    inside = frozenset(ops)
    return [int(op in inside) for op in range(total)]
