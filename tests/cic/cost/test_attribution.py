"""Op times are found from measured halves even when the ops' own measurements are biased."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.cost.attribution import HALF_PRECISION, WHOLE_PRECISION, Half, attribute, halves_error

ops = st.lists(st.tuples(st.floats(1e-4, 1e-1), st.floats(0.4, 3.0)), min_size=3, max_size=12)


def halves_of(times, positions):
    """Heads and tails of a chain of distinct ops, each an exact sum of its ops' times."""
    size = len(times)
    heads = [[int(index < position) for index in range(size)] for position in positions]
    rows = heads + [[1 - count for count in head] for head in heads]
    return [Half(row, float(np.dot(row, times))) for row in rows]


def misfit(halves, whole, times):
    sigmas = [HALF_PRECISION * half.seconds + WHOLE_PRECISION * whole.seconds for half in [*halves, whole]]
    residuals = [np.dot(half.counts, times) - half.seconds for half in [*halves, whole]]
    return sum((residual / sigma) ** 2 for residual, sigma in zip(residuals, sigmas, strict=True))


@given(ops)
@settings(max_examples=100, deadline=None)
def test_halves_at_every_place_are_explained_whatever_the_bias(pairs):
    times = [seconds for seconds, _ in pairs]
    alone = [seconds * bias for seconds, bias in pairs]
    whole = Half([1] * len(times), sum(times))
    halves = halves_of(times, range(1, len(times)))
    found = attribute(halves, alone, whole)
    assert all(seconds >= 0 for seconds in found)
    scaled = [seconds * whole.seconds / sum(alone) for seconds in alone]
    # The search starts at the scaled times, where nothing is paid for leaving them: it can only explain better.
    assert misfit(halves, whole, found) <= misfit(halves, whole, scaled) + 1e-6
    for half in halves:
        assert np.dot(half.counts, found) == pytest.approx(half.seconds, abs=0.02 * whole.seconds)


@given(ops)
@settings(max_examples=50, deadline=None)
def test_without_halves_the_ops_are_scaled_to_the_whole(pairs):
    alone = [seconds for seconds, _ in pairs]
    whole = Half([1] * len(alone), 3 * sum(alone))
    assert attribute([], alone, whole) == pytest.approx([3 * seconds for seconds in alone], rel=1e-3)


def test_the_error_is_the_median_over_halves():
    halves = [Half([1, 0], 1.0), Half([0, 1], 2.0), Half([1, 1], 3.0)]
    assert halves_error(halves, [1.1, 2.0]) == pytest.approx(0.1 / 3)
    assert halves_error([], [1.0, 2.0]) == 0


def test_unbiased_ops_are_left_as_they_are():
    times = [0.01, 0.02, 0.03, 0.04]
    found = attribute(halves_of(times, [1, 2, 3]), times, Half([1] * 4, sum(times)))
    assert found == pytest.approx(times)


def test_an_op_that_costs_nothing_in_the_network_gets_nothing_not_less():
    times = [0.05, 0.0, 0.05]
    found = attribute(halves_of(times, [1, 2]), [0.05, 0.05, 0.05], Half([1] * 3, 0.1))
    assert found[1] == pytest.approx(0, abs=0.002) and min(found) >= 0


def test_ops_that_take_no_measurable_time_do_not_break_the_search():
    assert all(np.isfinite(attribute([Half([1, 0], 0.0)], [0.0, 0.0], Half([1, 1], 1e-3))))
