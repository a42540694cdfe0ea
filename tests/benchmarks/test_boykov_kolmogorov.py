"""The kernel that ours is compared with finds a maximum flow and the smallest source side on any network, too."""

from __future__ import annotations

import random

from benchmarks.peers.boykov_kolmogorov import run as KERNEL
from tests.oracles.maximum_flow import any_networks, check, grids, wide_network


def test_any_network() -> None:
    for network in any_networks(random.Random(71), 1500):
        check(KERNEL, *network)


def test_grids_and_ladders_where_paths_are_long() -> None:
    for network in grids(random.Random(72)):
        check(KERNEL, *network)


def test_terminals_far_larger_than_their_sum_allows_in_int64() -> None:
    check(KERNEL, *wide_network())
