"""The lowest latency by trying every closed set."""

from __future__ import annotations

import numpy as np

from benchmarks.harness.plain_problem import PlainProblem
from tests.oracles.brute_force import closed_sets

AMOUNTS = [0, 1, 100, 12_345, 10**6, 10**8]


def lowest_latency(plain: PlainProblem, conditions: tuple[float, ...]) -> float:
    """Seconds, by trying every closed set."""
    uplink, downlink, rtt, device, server = conditions
    prices = np.array([device * 1e-9, server * 1e-9, 8 / uplink, 8 / downlink, rtt])
    return float((closed_sets(plain).features @ prices).min())


def numbers(plain: PlainProblem) -> PlainProblem:
    """The same without pins, which may leave nothing allowed."""
    return PlainProblem(plain.device_ns, plain.server_ns, plain.download_bytes, [0] * plain.op_count, plain.tensors)
