"""What an inference that the server answered took by part, from what was timed on the device and what the server told."""

from __future__ import annotations

from cic.session.forecast import Parts
from cic.session.link_estimate import Exchanged


def measured_parts(latency_s: float, device_s: float, seen: Exchanged, rtt_s: float) -> Parts:
    """The parts of an inference that the server answered: they add up to its latency.

    The round trip cannot be seen apart, so it is the one that was estimated, or what there was room for.
    """
    exchange_s = latency_s - device_s
    downlink_s = min(seen.last_byte_s - seen.first_byte_s, exchange_s)
    server_s = min(seen.server_s, exchange_s - downlink_s)
    rest_s = exchange_s - downlink_s - server_s
    rtt_s = min(rtt_s, max(0.0, rest_s - seen.receive_s))
    return Parts(device_s, rest_s - rtt_s, server_s, downlink_s, rtt_s)
