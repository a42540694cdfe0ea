"""A circuit breaker: a server that fails is left alone for a while, and asked again by a probe, not by an inference.

As in Nygard, "Release It!" (2007): closed while all is well; open after some failures in a row, for a time that doubles with
each further one; half-open once a probe was answered, when a single failure opens it again. Standard library only.
"""

from __future__ import annotations

FAILURES = 3
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0


class CircuitBreaker:
    """Times are those of one monotonic clock, in seconds.

    failures: in a row, after which it opens. first_wait_s, longest_wait_s: how long it stays open at first, and at most.
    """

    def __init__(
        self, failures: int = FAILURES, first_wait_s: float = FIRST_WAIT_S, longest_wait_s: float = LONGEST_WAIT_S
    ) -> None:
        self._failures, self._first_wait_s, self._longest_wait_s = failures, first_wait_s, longest_wait_s
        self._in_a_row = 0
        self._wait_s = first_wait_s
        self._until_s: float | None = None
        self.reason = ""

    @property
    def closed(self) -> bool:
        """May inferences go to the server?"""
        return self._until_s is None

    def wants_probe(self, now_s: float) -> bool:
        """Is it open, and has its time passed?"""
        return self._until_s is not None and now_s >= self._until_s

    @property
    def opens_until_s(self) -> float | None:
        """When a probe may be sent; None if it is closed."""
        return self._until_s

    def succeeded(self) -> None:
        """An inference was answered."""
        self._in_a_row, self._wait_s, self._until_s, self.reason = 0, self._first_wait_s, None, ""

    def probe_succeeded(self) -> None:
        """The server answered a probe: one failure of an inference opens the breaker again, for longer."""
        if self._until_s is not None:
            self._in_a_row, self._until_s = self._failures - 1, None

    def failed(self, reason: str, now_s: float, wait_s: float | None = None) -> None:
        """An inference or a probe failed.

        wait_s: how long the server asks to be left alone, or its refusal will last: the breaker opens at once, for that long.
        """
        self.reason = reason
        self._in_a_row += 1
        if wait_s is not None:
            self._until_s = now_s + min(max(wait_s, 0.0), self._longest_wait_s)
        elif self._in_a_row >= self._failures:
            self._until_s = now_s + self._wait_s
            self._wait_s = min(2 * self._wait_s, self._longest_wait_s)
