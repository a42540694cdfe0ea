"""What differs between the module that was traced and the model is told in words."""

from __future__ import annotations

import torch

from cic.trace.fx.agreement import first_difference


def test_the_first_difference_is_told_by_its_output():
    same, other = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1])
    assert first_difference([same, same], [same, same.clone()]) is None
    assert "output 1 differs by 0.0476 relative, allowed are 0.0001" in str(first_difference([same, same], [same, other]))
    assert first_difference([same], [same, same]) == "1 output tensors instead of 2"
    assert "instead of (2,) torch.float64" in str(first_difference([same], [same.double()]))


def test_whole_numbers_must_be_the_same_however_large():
    """As float64 the two are one number."""
    large = torch.tensor([2**60])
    assert first_difference([large], [large.clone()]) is None
    assert "differs by inf relative, allowed are 0" in str(first_difference([large + 1], [large]))
