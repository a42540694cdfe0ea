"""What a session expects of its next call: the cut, and within what time it is answered with a given probability."""

from __future__ import annotations

from dataclasses import dataclass

from cic.decision.units import show_seconds


@dataclass(frozen=True, slots=True)
class Expectation:
    """What `Session.decide` answers; it is no inference, and nothing is sent for it.

    cut_id, codecs: what the next call is answered with, if nothing else is learned before. latency_s: predicted.
    upper_s: it takes at most so long with the probability `quantile` (`cic.session.intervals`); None if nothing can be said,
        since too many inferences of late took longer than was said.
    calibrated: as many inferences of this kind were seen as the quantile needs. Before that a prior answers, a factor of 2 for
        the device and of 4 for the server.
    in_time: of a call with a deadline: can it be relied on to keep it? None without one.
    reason: why this cut, for people.
    """

    cut_id: str
    codecs: tuple[str, ...]
    latency_s: float
    quantile: float
    upper_s: float | None
    calibrated: bool
    in_time: bool | None
    reason: str

    @property
    def why(self) -> str:
        """One sentence for people."""
        if self.upper_s is None:
            return f"{self.reason}; no time can be said that {self.quantile:.4g} of all calls keep"
        learned = "" if self.calibrated else ", by a prior, since too few calls were seen"
        return f"{self.reason}; within {show_seconds(self.upper_s)} in {self.quantile:.4g} of all calls{learned}"
