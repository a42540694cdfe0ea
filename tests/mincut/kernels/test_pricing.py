"""The kernels of pricing are closed files; the constants that they keep are those of the problem."""

from __future__ import annotations

from mincut import problem
from mincut.kernels import pricing


def test_constants_kept_in_a_closed_file_are_those_of_the_problem() -> None:
    for name in ("LARGEST_AMOUNT", "LARGEST_COST", "ON_DEVICE", "ON_SERVER"):
        assert getattr(pricing, name) == getattr(problem, name)
