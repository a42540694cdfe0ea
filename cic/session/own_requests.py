"""Requests of this device that the server has not answered yet. It answers them in turn: one waits while others are computed.

That waiting is no slowness of the server, as it would be if others caused it. Standard library only.
"""

from __future__ import annotations

from cic.session.link_estimate import Exchanged


class OwnRequests:
    """Those under way. Not thread-safe. Times are those of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._waiting, self._answered_s = 0, float("-inf")

    def asked(self) -> int:
        """Another one is sent: so many are before it."""
        self._waiting += 1
        return self._waiting - 1

    def ended(self, seen: Exchanged | None, now_s: float) -> float | None:
        """One has its answer, in such an exchange; None: it has none.

        Returns:
            How long the server says that it was at it, without the time in which it was at the one before.
        """
        self._waiting -= 1
        if seen is None:
            return None
        since_s, self._answered_s = now_s - self._answered_s, now_s
        return min(seen.server_s, since_s)
