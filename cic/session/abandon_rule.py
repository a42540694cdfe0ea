"""How long to wait for the server: until finishing here is likely to be sooner, and no longer than a deadline allows.

An exchange is first judged when it has taken 1.8 times what was predicted. If the bytes that arrived since the last look show
that the rest would take longer than the local answer, it is given up. What happens after the upload cannot be seen from here.
Once all bytes are seen to have arrived, the server gets the time that it was predicted to need, whatever was late before.
Whoever is late then is likely to stay so, and the rest is taken to be twice as long as the delay so far. So it is given up at
the latest when the delay is half as long as the local answer takes, as in the ski-rental problem (Karlin et al., Algorithmica
3, 1988): no inference takes much more than 1.8 times its predicted time, the server's part of that again, and one and a half
local answers. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

LATE = 1.8
LIKELY_DELAYS = 2.0
_SLACK_S = 2e-3
_SHORTEST_WAIT_S = 2e-3
LOCAL_MARGIN = 1.15
"""By what factor a local answer may take longer than predicted, as long as none was seen."""
# What comes before and after it.
_LOCAL_SLACK_S = 3e-3


@dataclass(frozen=True, slots=True)
class Progress:
    """An exchange under way: since when, and how many bytes of how many have arrived at the other side."""

    elapsed_s: float
    arrived_bytes: int
    total_bytes: int


@dataclass(slots=True)
class Patience:
    """One exchange; all times are seconds since its beginning.

    expected_s: predicted. local_s: what the local answer takes from then on; None if there is none to be had.
    deadline_s: when an answer is due, None if never; with no local answer it is the end, as patience_s is.
    reply_s: predicted from the arrival of all bytes to the end of the reply, as part of `expected_s`.
    margin: by what factor the local answer may take longer; infinite: the deadline does not rely on it.
    """

    expected_s: float
    local_s: float | None
    deadline_s: float | None
    patience_s: float
    reply_s: float = 0.0
    margin: float = LOCAL_MARGIN
    _replied_s: float | None = None
    _looked_s: float = 0.0
    _arrived_bytes: int = 0

    def first_look_s(self) -> float:
        """When to look first."""
        if self.local_s is None:
            return self._end_s()
        return min(LATE * self.expected_s + _SLACK_S, self._end_s())

    def next_look_s(self, progress: Progress) -> float | None:
        """When to look again; None: give up."""
        now_s = progress.elapsed_s
        if now_s >= self._end_s():
            return None
        if self.local_s is None:
            return self._end_s()
        if self._replied_s is None and progress.arrived_bytes >= progress.total_bytes:
            self._replied_s = now_s + self.reply_s
        delay_s = now_s - (self._replied_s or self.expected_s)
        rest_s = self._rest_s(progress, max(delay_s, _SLACK_S))
        self._looked_s, self._arrived_bytes = now_s, progress.arrived_bytes
        if rest_s > self.local_s or LIKELY_DELAYS * delay_s > self.local_s:
            return None
        return min(now_s + max(rest_s / 4, _SHORTEST_WAIT_S), self._end_s())

    def _rest_s(self, progress: Progress, delay_s: float) -> float:
        left = progress.total_bytes - progress.arrived_bytes
        if left <= 0:
            return LIKELY_DELAYS * delay_s
        arrived, seconds = progress.arrived_bytes - self._arrived_bytes, progress.elapsed_s - self._looked_s
        return left * seconds / arrived if arrived > 0 else float("inf")

    def _end_s(self) -> float:
        if self.deadline_s is None:
            return self.patience_s
        if self.local_s is None:
            return min(self.deadline_s, self.patience_s)
        last_start_s = -inf if self.margin == inf else latest_start_s(self.deadline_s, self.local_s, self.margin)
        # If the local answer would be late whenever it began, the server has all the time.
        return last_start_s if last_start_s > 0 else max(self.deadline_s, 0.0)


def latest_start_s(deadline_s: float, local_s: float, margin: float = LOCAL_MARGIN) -> float:
    """When a local answer that is predicted to take `local_s` must begin to be there by the deadline; below 0: it cannot be."""
    return deadline_s - margin * local_s - _LOCAL_SLACK_S
