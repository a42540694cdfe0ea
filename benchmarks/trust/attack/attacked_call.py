"""One call under attack: how it ended, how long that took, and how much memory more than before the process held meanwhile."""

from __future__ import annotations

import ctypes
import faulthandler
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import extract_tb

from cic.errors import CicError

# What an attacked call may take above the sizes that its own files declare, and how long it may last.
LARGEST_EXTRA_BYTES = 64 << 20
LONGEST_S = 2.0
# A call that lasts so long is taken for one that never ends: where it stands is written down, and the process ends.
_HOPELESS_S = 300.0

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SCHEDULED = Path("/proc/thread-self/schedstat")


@dataclass(frozen=True)
class Outcome:
    """ending: "answered" or the name of the error's class. foreign: an error that is no CicError. text: its message and place.

    seconds: of the clock on the wall, without those in which other processes had the processor.
    bytes: the most memory that the process held above what it held before.
    """

    ending: str
    foreign: bool
    text: str
    seconds: float
    bytes: int

    def fault(self, declared_bytes: int, longest_s: float = LONGEST_S) -> str | None:
        """What is wrong with it, if anything is. declared_bytes: what the call may hold by right, its results included."""
        if self.foreign:
            return f"{self.ending}: {self.text}"
        if self.bytes > declared_bytes + LARGEST_EXTRA_BYTES:
            return f"{self.bytes:,} bytes taken, {declared_bytes:,} declared ({self.ending}: {self.text})"
        if self.seconds > longest_s:
            return f"{self.seconds:.1f} s taken ({self.ending}: {self.text})"
        return None


@contextmanager
def watched() -> Iterator[None]:
    """Calls are attacked inside; what Python and numpy allocate is counted even if it is never touched."""
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    try:
        yield
    finally:
        if not already:
            tracemalloc.stop()


def attacked(call: Callable[[], object]) -> Outcome:
    """Make the call and tell how it ended; inside `watched()`. Of its answer only its memory counts."""
    return attacked_in_turn([call])[0]


def attacked_in_turn(calls: Sequence[Callable[[], object]]) -> list[Outcome]:
    """As `attacked` for each call. The memory of each is the most that any of them took: measuring it takes a millisecond."""
    _give_back_free_memory()
    held, traced = _resident_bytes(reset=True), tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    faulthandler.dump_traceback_later(_HOPELESS_S, exit=True)
    outcomes = [_ended(call) for call in calls]
    faulthandler.cancel_dump_traceback_later()
    taken = max(0, _resident_bytes() - held, tracemalloc.get_traced_memory()[1] - traced)
    return [replace(outcome, bytes=taken) for outcome in outcomes]


def _ended(call: Callable[[], object]) -> Outcome:
    """How a call ends, its memory apart."""
    ending, foreign, text = "answered", False, ""
    began = time.perf_counter() - _waited_s()
    try:
        call()
    except CicError as error:
        ending, text = type(error).__name__, str(error)
    except Exception as error:  # the very thing that is looked for  # noqa: BLE001
        place = extract_tb(error.__traceback__)[-1]
        ending, foreign, text = type(error).__name__, True, f"{error} ({Path(place.filename).name}:{place.lineno})"
    return Outcome(ending, foreign, text[:500], time.perf_counter() - _waited_s() - began, 0)


def _waited_s() -> float:
    """How long this thread was ready to run and did not, as the kernel counts it. 0 where it does not say."""
    try:
        return int(_SCHEDULED.read_text().split()[1]) * 1e-9
    except OSError:
        return 0.0


def _resident_bytes(*, reset: bool = False) -> int:
    """The most memory held since the last reset, as the kernel counts it: also what C allocated. 0 where it does not say."""
    try:
        if reset:
            _CLEAR.write_text("5")
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024


def _give_back_free_memory() -> None:
    """What the allocator kept from earlier calls would hide what this one takes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
