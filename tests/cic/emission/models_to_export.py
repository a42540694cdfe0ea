"""Splitting models of every kind that a decision is exported from."""

from __future__ import annotations

import random
from collections.abc import Sequence

from benchmarks.harness.bare_tables import bare_model
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, small_problem
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from tests.cic.hand_made import splitting_model


def model_of_features(features: Sequence[Sequence[int]], **conditions: float) -> SplittingModel:
    return bare_model("by hand", [(f"cut-{index:02d}", row) for index, row in enumerate(features)], Box(), **conditions)


def equal_cuts(step_ns: int, step_bytes: int, *, device_only: bool) -> SplittingModel:
    """The same work shared out in every way: under many conditions many cuts take equally long, but for rounding."""
    shares = [(device, server, 12 - device - server) for device in range(12) for server in range(13 - device)]
    features = [
        (device * step_ns, server * step_ns, upload * step_bytes, 4000 * (upload % 2), 1) for device, server, upload in shares
    ]
    return model_of_features([*features, *[(12 * step_ns, 0, 0, 0, 0)] * device_only], downlink_ratio=2.0)


def pinned_to_server(plain: PlainProblem) -> PlainProblem:
    pinned = [0] * (plain.op_count - 1) + [2]
    return PlainProblem(plain.device_ns, plain.server_ns, plain.download_bytes, pinned, plain.tensors)


def make_model(kind: str) -> SplittingModel:
    rng = random.Random(kind)
    narrow = Box(uplink=("1Mbps", "80Mbps"), downlink_ratio=(3, 3), rtt=("1ms", "1ms"))
    if kind == "network":
        return splitting_model(network_shaped(rng, 60), Box(), 0.01, 3.0)
    if kind == "network in a narrow box":
        return splitting_model(network_shaped(rng, 60), narrow, 0.001, 3.0)
    if kind == "never on the device alone":
        return splitting_model(pinned_to_server(network_shaped(rng, 40)), Box(), 0.02, 1.0)
    if kind == "any graph":
        plain = small_problem(rng, 10, amounts=[0, 100, 12_345, 10**6, 10**8], stuck=0)
        return splitting_model(PlainProblem(*plain_lists(plain), plain.tensors), Box(), 0.0, 10.0)
    if kind == "equal cuts":  # in steps of 2⁻⁹ s, which nothing rounds
        return equal_cuts(1_953_125, 256, device_only=True)
    if kind == "nearly equal cuts":
        return equal_cuts(33_333_333, 4369, device_only=False)
    if kind == "device only":
        return model_of_features([(5_000, 0, 0, 0, 0)])
    if kind == "server only":
        return model_of_features([(0, 5_000, 10**6, 10**3, 1)])
    raise ValueError(kind)


def plain_lists(plain: PlainProblem) -> tuple[list[int], list[int], list[int], list[int]]:
    return list(plain.device_ns), list(plain.server_ns), list(plain.download_bytes), [0] * plain.op_count
