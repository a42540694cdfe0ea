"""A command that is told to end tidies up first: the signal becomes an exception, so every `finally` on the way out runs."""

from __future__ import annotations

import signal
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_TELL_TO_END = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def ending_tidily() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block by SystemExit, with the code a shell gives to a process they end.

    A signal that is ignored, or that has a handler already, keeps that; outside of the main thread nothing changes.
    """

    def end(number: int, _frame: object) -> None:
        for each in _TELL_TO_END:  # a second one must not disturb the tidying
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    ours = [each for each in _TELL_TO_END if signal.getsignal(each) is signal.SIG_DFL]
    try:
        for each in ours:
            signal.signal(each, end)
    except ValueError:
        ours = []
    try:
        yield
    finally:
        for each in ours:
            signal.signal(each, signal.SIG_DFL)
