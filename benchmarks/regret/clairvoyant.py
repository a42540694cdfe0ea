"""What would have been possible on a trace: one cut all the time, or at each inference the cut that the trace makes fastest.

Computed from what each cut was measured to take on device and server, the bytes that it sends, and the trace. Each inference
begins when the one before it is answered, until the trace ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from benchmarks.testbed.testbed import SLOWEST_BPS
from benchmarks.testbed.traces import Trace


@dataclass(frozen=True)
class CutParts:
    """Seconds on device and server, bits up and down with all of HTTP. offloads: does it use the link?"""

    device_s: float
    server_s: float
    up_bits: float
    down_bits: float

    def answered_at(self, trace: Trace, began: float, rtt_s: float) -> float:
        """When an inference is answered that begins then."""
        if self.up_bits == 0:
            return began + self.device_s
        arrived = trace.sent_at(began + self.device_s, self.up_bits)
        return trace.sent_at(arrived + self.server_s, self.down_bits) + rtt_s


def shaped(trace: Trace) -> Trace:
    """The trace as the testbed makes it: a bucket cannot stand still."""
    return replace(trace, bps=tuple(max(rate, SLOWEST_BPS) for rate in trace.bps))


def static_mean_s(trace: Trace, cut: CutParts, rtt_s: float) -> float:
    """The mean latency if one cut is used all the time."""
    return _mean_s(trace, lambda began: cut.answered_at(trace, began, rtt_s))


def clairvoyant_mean_s(trace: Trace, cuts: Mapping[str, CutParts], rtt_s: float) -> float:
    """The mean latency of whoever knows the trace and takes the cut that answers first, each time."""
    return _mean_s(trace, lambda began: min(cut.answered_at(trace, began, rtt_s) for cut in cuts.values()))


def _mean_s(trace: Trace, answered_at: Callable[[float], float]) -> float:
    now, count = 0.0, 0
    while now < trace.duration_s:
        now, count = answered_at(now), count + 1
    return now / count
