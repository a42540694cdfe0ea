"""Conditions of the box as whole numbers for solvers that take integers, and draws of such conditions."""

from __future__ import annotations

import math
import random

from cic.decision.conditions import Box
from mincut.problem import Prices

Numbers = tuple[float, float, float, float, float]
"""uplink_bps, downlink_bps, rtt_s, device_slowdown, server_slowdown: the order in which a model decides."""

NS_PER_S, BITS_PER_BYTE = 1e9, 8
LOWEST_RTT_S = 1e-4


def draw(rng: random.Random, box: Box | None = None) -> Numbers:
    """Conditions inside the box, each evenly in the logarithm; a range that starts at zero starts at 0.1 ms there."""
    box = box or Box()

    def evenly(low: float, high: float) -> float:
        return min(max(low * math.exp(rng.random() * math.log(high / low)), low), high)

    uplink = evenly(*box.uplink_bps)
    return (
        uplink,
        uplink * evenly(*box.downlink_ratio),
        evenly(max(box.rtt_s[0], LOWEST_RTT_S), box.rtt_s[1]),
        evenly(*box.device_slowdown),
        evenly(*box.server_slowdown),
    )


def weights(numbers: Numbers) -> tuple[float, float, float, float, float]:
    """Nanoseconds per device ns, server ns, byte up, byte down and use of the server."""
    uplink_bps, downlink_bps, rtt_s, device_slowdown, server_slowdown = numbers
    return (
        device_slowdown,
        server_slowdown,
        BITS_PER_BYTE * NS_PER_S / uplink_bps,
        BITS_PER_BYTE * NS_PER_S / downlink_bps,
        NS_PER_S * rtt_s,
    )


def prices(numbers: Numbers, scale: float) -> Prices:
    """Weights times `scale`, rounded once."""
    return Prices(*(round(weight * scale) for weight in weights(numbers)))
