"""What a session knows of the speed of one machine: how long the work of a cut takes there now. Standard library only.

`cic.session.load_estimate.LoadEstimate` is that of a machine with a profile, `cic.session.learned_times.LearnedTimes` that of
one of which nothing was known.
"""

from __future__ import annotations

from typing import Protocol


class MachineEstimate(Protocol):
    """One machine. Cuts are known by their labels. Times are those of one monotonic clock, in seconds."""

    def observe(self, cut: str, profiled_s: float, measured_s: float, now_s: float) -> None:
        """See that work of `profiled_s` in the splitting model took `measured_s`."""

    def slowdown(self, now_s: float) -> float:
        """The factor of the machine, 1 for as compiled."""

    def hoped_slowdown(self, now_s: float) -> float:
        """As small as the factor may be now."""

    def seconds(self, cut: str, profiled_s: float, slowdown: float) -> float:
        """What work of `profiled_s` takes for this cut, at that slowdown of the machine."""
