"""Tensors at the border of a half: how large they are, and which are meant where the data decides how long one is."""

from __future__ import annotations

import itertools
from math import prod

import pytest

from codegen.errors import CodegenError
from codegen.split import WireTensor

ROWS = WireTensor("rows", (5, 3), "float32", 60, (0,))


def test_a_tensor_fits_if_it_is_no_longer_along_an_open_axis_and_as_long_along_others() -> None:
    for shape in itertools.product(range(-1, 8), repeat=2):
        assert ROWS.fits(shape) == (0 <= shape[0] <= 5 and shape[1] == 3)
    assert not any(ROWS.fits(shape) for shape in ((), (5,), (5, 3, 1)))
    fixed = WireTensor("fixed", (5, 3), "float32", 60)
    assert [shape for shape in itertools.product(range(7), repeat=2) if fixed.fits(shape)] == [(5, 3)]


def test_one_of_a_shape_is_as_large_as_its_values_and_has_no_open_axes() -> None:
    for rows in range(6):
        one = ROWS.of_shape((rows, 3))
        assert (one.name, one.shape, one.dtype, one.open_axes) == ("rows", (rows, 3), "float32", ())
        assert one.bytes == 4 * prod(one.shape)
    none = WireTensor("none", (0, 3), "float32", 0, (0,))
    assert none.of_shape((0, 3)).bytes == 0


@pytest.mark.parametrize("axes", [(2,), (0, 7)])
def test_an_axis_that_is_not_there_is_no_open_one(axes: tuple[int, ...]) -> None:
    with pytest.raises(CodegenError, match=f"has no axis {axes[-1]} to be open"):
        WireTensor("rows", (5, 3), "float32", 60, axes)
