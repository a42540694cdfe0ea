"""The kernel finds a maximum flow and the smallest source side on any network, also on those no DNN makes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

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


ROOT = Path(__file__).resolve().parents[3]

CHECKED = """
import random
import numba
from benchmarks.harness.random_problems import network_shaped, random_prices, to_problem
from mincut.certificate import certify
from mincut.network import build
from mincut.prepared import prepare
from mincut.solver import solve

assert numba.config.BOUNDSCHECK == 1
rng = random.Random(7)
for _ in range(20):
    problem, prices = to_problem(network_shaped(rng, rng.randint(3, 80))), random_prices(rng)
    network = build(problem)
    found = solve(network, prices)
    certify(network, found)
    on_device, cost = prepare(problem).solve(problem.device_ns, problem.server_ns, prices)
    assert cost == found.cost and (on_device == found.on_device).all()
"""


def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    """numba checks every index if asked to, when it compiles; the cache of the usual kernels stays apart."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", CHECKED], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
