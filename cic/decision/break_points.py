"""From cuts to break points: which cut is best at which bandwidth when everything else is fixed.

With rtt, slowdowns and the ratio of the two links fixed, a cut's latency is a straight line in x = 1 / uplink, so the best
cut over a range of bandwidths is the lower envelope of a few lines.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[float, float, float, float, float]
"""Of one cut: device s, server s, upload bit, download bit, and 1.0 if it uses the server."""


def line(row: Row, rtt_s: float, downlink_ratio: float, device_slowdown: float, server_slowdown: float) -> tuple[float, float]:
    """Latency of a cut as (seconds at x = 0, seconds per unit of x), x in s/bit."""
    device_s, server_s, upload_bits, download_bits, offloads = row
    return (
        device_slowdown * device_s + server_slowdown * server_s + offloads * rtt_s,
        upload_bits + download_bits / downlink_ratio,
    )


def break_points(lines: Sequence[tuple[float, float]], uplink_bps: tuple[float, float]) -> tuple[list[float], list[int]]:
    """The lower envelope of the lines over a range of bandwidths.

    Returns:
        (points, best): ascending bandwidths p_1 < … < p_k inside the range, and k + 1 line indices; best[i] is lowest for
        bandwidths from p_i up to p_(i+1). Of equal lines the first is taken.
    """
    slowest, fastest = uplink_bps
    x = 1 / slowest
    best = [_lowest(lines, x)]
    points: list[float] = []
    while True:
        intercept, slope = lines[best[-1]]
        # Going right on the bandwidth axis x falls; a line takes over where it crosses from above, so it must be steeper.
        meets = [
            ((other_intercept - intercept) / (slope - other_slope), other)
            for other, (other_intercept, other_slope) in enumerate(lines)
            if other_slope > slope and other_intercept < intercept
        ]
        meets = [(at, other) for at, other in meets if 1 / fastest < at]
        if not meets:
            return points, best
        # The first crossing; among lines that cross at the same place the steepest is lowest afterwards.
        at = max(at for at, _ in meets)
        following = max((other for meet, other in meets if meet >= at), key=lambda other: (lines[other][1], -other))
        at = min(at, x)
        if at < x:
            points.append(1 / at)
            best.append(following)
            x = at
        else:
            best[-1] = following


def _lowest(lines: Sequence[tuple[float, float]], x: float) -> int:
    return min(range(len(lines)), key=lambda index: (lines[index][0] + x * lines[index][1], lines[index][1], index))
