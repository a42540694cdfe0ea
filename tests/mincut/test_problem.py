"""The one door: every malformed array is refused by name."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from mincut.errors import BadProblemError, InfeasibleError, MincutError
from mincut.network import build, price
from mincut.problem import ON_DEVICE, ON_SERVER, Prices, Problem, make_problem
from mincut.solver import solve


def chain() -> Problem:
    return make_problem([5, 5, 5], [1, 1, 1], [(-1, [0], 9), (0, [1, 2], 4), (1, [2], 4)], download_bytes=[0, 0, 2])


@pytest.mark.parametrize("field", [field.name for field in fields(Problem) if field.name != "codecs"])
def test_wrong_dtype_shape_and_length_are_refused_by_name(field: str) -> None:
    good = getattr(chain(), field)
    for bad in (good.astype(np.float64), good.reshape(1, -1), list(good)):
        with pytest.raises(BadProblemError, match=field):
            replace(chain(), **{field: bad})
    with pytest.raises(BadProblemError):
        replace(chain(), **{field: good[:-1]})


@pytest.mark.parametrize(
    ("field", "index", "value"),
    [
        ("device_ns", 0, -1),
        ("server_ns", 1, 2**48),
        ("download_bytes", 2, -7),
        ("wire_bytes", 0, -1),
        ("pinned", 0, 3),
        ("producer", 0, -2),
        ("producer", 1, 3),
        ("producer", 2, 2),
        ("consumers", 0, 3),
        ("consumers", 0, -1),
        ("consumers", 1, 2),
        ("consumer_start", 0, 1),
        ("consumer_start", 1, 0),
    ],
)
def test_values_out_of_range_are_refused(field: str, index: int, value: int) -> None:
    array = getattr(chain(), field).copy()
    array[index] = value
    with pytest.raises(BadProblemError):
        replace(chain(), **{field: array})


def test_pins_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InfeasibleError, match="op 0"):
        build(replace(chain(), pinned=np.array([ON_SERVER, 0, ON_DEVICE], dtype=np.int8)))


def test_a_private_input_pins_its_readers() -> None:
    problem = make_problem([100, 50], [1, 1], [(-1, [0], 1), (0, [1], 1)], may_cross=[False, True])
    assert solve(problem, Prices(1, 1, 1, 1, 0)).on_device.tolist() == [True, False]


def test_prices_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MincutError, match="scale the prices down"):
        price(build(chain()), Prices(2**59, 2**59, 1, 1, 1))
    with pytest.raises(MincutError, match="negative"):
        price(build(chain()), Prices(1, -1, 1, 1, 1))


def test_a_problem_without_ops_costs_nothing() -> None:
    assert solve(make_problem([], [], []), Prices(1, 1, 1, 1, 1)).cost == 0
