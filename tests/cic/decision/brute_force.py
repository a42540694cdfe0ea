"""The lowest latency by trying every closed set."""

from __future__ import annotations

import numpy as np

from benchmarks.harness.plain_problem import PlainProblem
from cic.decision.conditions import Conditions
from tests.oracles.brute_force import closed_sets

AMOUNTS = [0, 1, 100, 12_345, 10**6, 10**8]


def lowest_latency(plain: PlainProblem, conditions: tuple[float, ...]) -> float:
    """Seconds, by trying every closed set."""
    uplink, downlink, rtt, device, server = conditions
    prices = np.array([device * 1e-9, server * 1e-9, 8 / uplink, 8 / downlink, rtt])
    return float((closed_sets(plain).features @ prices).min())


def priced(plain: PlainProblem, conditions: Conditions, prices: tuple[float, ...]) -> np.ndarray:
    """A weighted sum of the parts of every closed set: float64[sets]."""
    uplink, downlink, rtt, device, server = conditions.numbers
    on_device, up, on_server, down, trip = prices
    weights = [device * 1e-9 * on_device, server * 1e-9 * on_server, 8 / uplink * up, 8 / downlink * down, rtt * trip]
    return np.asarray(closed_sets(plain).features @ np.array(weights))


def numbers(plain: PlainProblem) -> PlainProblem:
    """The same without pins, which may leave nothing allowed."""
    return PlainProblem(plain.device_ns, plain.server_ns, plain.download_bytes, [0] * plain.op_count, plain.tensors)
