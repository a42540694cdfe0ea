"""Any weighted sum of the parts of a latency as the latency under other conditions, at which the table is looked up.

An inference consists of five parts: device, uplink, server, downlink, rtt. Each part's seconds are linear in the same five
features of a cut, with the conditions as weights (`cic.decision.objective`). So a price on a part's seconds multiplies a
condition: computing at 4 a second is as computing on a device 4 times slower, sending at 2 a second is as sending over half
the bandwidth. Under these *equivalent conditions* latency in seconds is the weighted sum. To multiply all prices by one
positive number changes no order of cuts. So this number is chosen such that the equivalent conditions lie in the box, if they
can: there the table holds a cut that is optimal among all closed sets, and so one at which the weighted sum is least. QED

Standard library only.
"""

from __future__ import annotations

from math import inf, sqrt

from cic.decision.conditions import Box, Conditions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cic.decision.cut import Cut

    Prices = tuple[float, float, float, float, float]
    """What a second of each part costs: device, uplink, server, downlink, rtt."""

SECONDS: Prices = (1.0, 1.0, 1.0, 1.0, 1.0)


def weighed(prices: Prices, cut: Cut, conditions: Conditions) -> float:
    """What an inference with this cut costs, at these prices of its parts."""
    return sum(price * part for price, part in zip(prices, cut.terms(conditions), strict=True))


def equivalent(prices: Prices, conditions: Conditions, box: Box) -> Conditions:
    """Conditions under which latency orders all cuts as their cost does under the given ones; in the box if any such are."""
    device, uplink, server, downlink, wait = prices
    scale = _scale_into([weight for weight in _weights(prices, conditions, box) if weight[0]])
    return Conditions(
        conditions.uplink_bps / uplink / scale,
        conditions.downlink_bps / downlink / scale,
        conditions.rtt_s * wait * scale,
        conditions.device_slowdown * device * scale,
        conditions.server_slowdown * server * scale,
    )


def covered_range(least: Prices, besides: Prices, conditions: Conditions, box: Box) -> tuple[float, float] | None:
    """For which weights w >= 0 conditions that are equivalent to the prices least + w besides lie in the box; None: for none.

    They do if one scale takes each of four weights into its range, low_j <= scale weight_j <= high_j, and the ratio of the
    links fits. Such a scale exists if and only if low_j / weight_j <= high_k / weight_k for all j and k. Multiplied out, each
    of these and the ratio's two are linear in w, as every weight is. So each holds on one side of one w, and all hold on an
    interval. The infinity at its end stands for all large w.
    """
    start, slope = _weights(least, conditions, box), _weights(besides, conditions, box)
    low, high = 0.0, inf
    rows = [
        (lowest * k - most * j, lowest * k_slope - most * j_slope)
        for (j, lowest, _), (j_slope, _, _) in zip(start, slope, strict=True)
        for (k, _, most), (k_slope, _, _) in zip(start, slope, strict=True)
    ]
    low_ratio, high_ratio = box.edges[2:4]
    up, down = conditions.uplink_bps, conditions.downlink_bps
    rows += [
        (low_ratio * up * least[3] - down * least[1], low_ratio * up * besides[3] - down * besides[1]),
        (down * least[1] - high_ratio * up * least[3], down * besides[1] - high_ratio * up * besides[3]),
    ]
    for constant, factor in rows:
        # constant + factor w <= 0
        if factor > 0:
            high = min(high, -constant / factor)
        elif factor < 0:
            low = max(low, -constant / factor)
        elif constant > 0:
            return None
    return (low, high) if low <= high else None


def _weights(prices: Prices, conditions: Conditions, box: Box) -> tuple[tuple[float, float, float], ...]:
    """Four weights, each with the range in which the box has it."""
    device, uplink, server, _, wait = prices
    return (
        (conditions.device_slowdown * device, *box.device_slowdown),
        (conditions.server_slowdown * server, *box.server_slowdown),
        (conditions.rtt_s * wait, *box.rtt_s),
        (uplink / conditions.uplink_bps, 1 / box.uplink_bps[1], 1 / box.uplink_bps[0]),
    )


def _scale_into(ranges: list[tuple[float, float, float]]) -> float:
    """A factor that takes each value between its low and high; if there is none, one with which the device keeps its place."""
    low = max(least / value for value, least, _ in ranges)
    high = min(most / value for value, _, most in ranges)
    if low > high:
        value, least, most = ranges[0]
        return sqrt(least * most) / value
    # The middle, so that no rounding matters.
    return sqrt(low * high)
