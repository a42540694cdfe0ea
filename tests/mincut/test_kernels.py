"""The kernel finds a maximum flow and the smallest source side on any network, also on those no DNN makes."""

from __future__ import annotations

import random

from mincut import problem
from mincut.kernels import pricing
from mincut.solver import flow_kernel
from tests.oracles.maximum_flow import any_networks, check, grids, wide_network

KERNEL = flow_kernel()


def test_any_network() -> None:
    for network in any_networks(random.Random(71), 1500):
        check(KERNEL, *network)


def test_grids_and_ladders_where_paths_are_long() -> None:
    for network in grids(random.Random(72)):
        check(KERNEL, *network)


def test_terminals_far_larger_than_their_sum_allows_in_int64() -> None:
    check(KERNEL, *wide_network())


def test_constants_kept_in_a_closed_file_are_those_of_the_problem() -> None:
    for name in ("LARGEST_AMOUNT", "LARGEST_COST", "ON_DEVICE", "ON_SERVER"):
        assert getattr(pricing, name) == getattr(problem, name)
