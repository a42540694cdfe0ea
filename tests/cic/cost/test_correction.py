"""Op times that were corrected explain what was measured, and stay as they were predicted where nothing was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.cost.correction import (
    HALF_PRECISION,
    LOOSENESS,
    WHOLE_PRECISION,
    MeasuredOps,
    corrected_codec_times,
    corrected_op_times,
)

ops = st.lists(st.tuples(st.floats(1e-3, 1e-1), st.floats(0.3, 3.0)), min_size=4, max_size=10)


@given(ops, st.data())
@settings(max_examples=50, deadline=None)
def test_measured_sums_are_explained_by_times_that_are_zero_or_more(pairs, data):
    true = [seconds for seconds, _ in pairs]
    predicted = [seconds * wrong for seconds, wrong in pairs]
    ends = data.draw(st.sets(st.integers(1, len(pairs)), min_size=1))
    halves = [MeasuredOps(tuple(range(end)), sum(true[:end])) for end in ends]
    found = np.array(corrected_op_times(predicted, halves))
    assert (found >= 0).all()
    # The true times explain all, at the price of leaving what was predicted; what was found is no dearer.
    scale = sum(true[: max(ends)]) / sum(predicted[: max(ends)])
    price = sum(
        ((seconds - scale * wrong) / (LOOSENESS * scale * wrong)) ** 2 for seconds, wrong in zip(true, predicted, strict=True)
    )
    for half in halves:
        sigma = HALF_PRECISION * half.seconds + WHOLE_PRECISION * sum(true[: max(ends)])
        assert abs(found[list(half.ops)].sum() - half.seconds) <= sigma * price**0.5 + 1e-9
    # Beyond the longest half all change alike.
    assert found[max(ends) :] / np.array(predicted[max(ends) :]) == pytest.approx(scale)


def test_a_step_in_what_was_measured_is_found_to_a_percent():
    true = [10e-3, 2e-3, 30e-3, 5e-3]
    halves = [MeasuredOps(tuple(range(end)), sum(true[:end])) for end in (1, 2, 3, 4)]
    found = corrected_op_times([12e-3, 4e-3, 20e-3, 5e-3], halves)
    for half in halves:
        assert sum(found[op] for op in half.ops) == pytest.approx(half.seconds, rel=0.01)


def test_without_a_measured_op_the_prediction_stays():
    assert corrected_op_times([1.0, 2.0], []) == (1.0, 2.0)
    assert corrected_op_times([1.0, 2.0], [MeasuredOps((), 3.0)]) == (1.0, 2.0)


def test_a_measured_codec_time_is_the_median_and_others_are_off_as_the_measured_ones_are():
    predicted = {"a": 1.0, "b": 2.0, "raw": 0.0, "c": 10.0}
    found = corrected_codec_times(predicted, {"a": [2.0, 9.0, 3.0], "b": [3.0], "raw": [0.5], "c": []})
    assert found == {"a": 3.0, "b": 3.0, "raw": 0.5, "c": 20.0}
