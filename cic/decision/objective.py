"""The objective: what one unit of each feature of a cut costs in a state of the world. Latency is linear in the features."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cic.decision.conditions import Conditions

NS_PER_S = 10**9
BITS_PER_BYTE = 8


def weights(conditions: Conditions) -> tuple[float, float, float, float, float]:
    """Nanoseconds per ns on the device and on the server, per byte up and down, and for using the server at all."""
    return (
        conditions.device_slowdown,
        conditions.server_slowdown,
        BITS_PER_BYTE * NS_PER_S / conditions.uplink_bps,
        BITS_PER_BYTE * NS_PER_S / conditions.downlink_bps,
        NS_PER_S * conditions.rtt_s,
    )
