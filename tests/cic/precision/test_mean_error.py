"""The error that an accuracy target and a codec are told by."""

from __future__ import annotations

import math

import pytest
import torch

from cic.precision.mean_error import root_mean_square_error


def test_it_is_relative_and_over_all_tensors_together():
    expected = [torch.tensor([3.0, 4.0]), torch.tensor([0.0, 12j])]
    given = [torch.tensor([3.0, 4.0]), torch.tensor([1.3, 12j])]
    assert root_mean_square_error(given, expected) == pytest.approx(0.1, rel=1e-6)
    assert root_mean_square_error([8 * value for value in given], [8 * value for value in expected]) == pytest.approx(
        0.1, rel=1e-6
    )


def test_what_is_not_finite_or_has_no_scale_differs_without_end():
    one, nothing = torch.ones(2), torch.zeros(2)
    assert root_mean_square_error([nothing], [nothing]) == 0.0
    assert root_mean_square_error([one], [nothing]) == math.inf
    assert root_mean_square_error([one / 0], [one]) == math.inf
    assert root_mean_square_error([one * math.nan], [one]) == math.inf
