"""The one thread that decodes, computes and encodes, and the bounded queue of requests before it.

One at a time, since an engine uses the threads it is given for each; whoever finds the queue full is told to come again.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from cic.codec.codec import Payload
from cic.errors import EngineError, ProtocolError
from cic.protocol.answer import ServerTimes, coded_outputs, write_answer
from cic.protocol.request import RequestHead, decoded_inputs
from cic.serving.loaded_tails import LoadedTail, load_tails
from cic.serving.server_options import ServerOptions

STUCK = "the server is stuck in an inference"

# So many failures of tails are told on stderr: a peer may not fill the disk.
_MOST_LINES = 100


@dataclass(frozen=True)
class Answered:
    """What is sent for a request, and what it took."""

    headers: dict[str, str]
    buffers: list[Payload]
    times: ServerTimes


@dataclass(eq=False)
class Job:
    """A request that waits for its answer; where the future is done already, nobody waits for it any more."""

    tail: LoadedTail
    head: RequestHead
    payloads: memoryview
    receive_us: int
    answer: asyncio.Future[Answered]
    entered_s: float = field(default_factory=time.perf_counter)


class InferenceWorker:
    """A thread that computes what is submitted, in order. places: so many requests may wait."""

    def __init__(self, places: int) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._places = places
        self._pending: set[Job] = set()
        self._computing_since_s: float | None = None
        self._failures = 0
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait; that which is computed is not among them."""
        return self._jobs.qsize()

    @property
    def full(self) -> bool:
        return self.waiting >= self._places

    def start(self, bundle: Path, options: ServerOptions) -> Future[dict[str, LoadedTail]]:
        """Begin, first with loading all tails in the thread that then computes, since torch keeps settings for each thread.

        What is returned has them, or the error of `load_tails`.
        """
        loaded: Future[dict[str, LoadedTail]] = Future()
        # From now on nobody can cancel it, and it can be set.
        loaded.set_running_or_notify_cancel()

        def load() -> None:
            try:
                loaded.set_result(load_tails(bundle, options))
            except Exception as error:  # whatever it is, who waits must be told  # noqa: BLE001
                loaded.set_exception(error)

        self.begin(load)
        return loaded

    def begin(self, prepare: Callable[[], None]) -> None:
        """Compute what is submitted, after `prepare` in the same thread."""
        self._thread = threading.Thread(target=self._work, args=(prepare,), name="cic-inference", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Let a job be done; its future is set in the loop it belongs to. Raises ProtocolError if the queue is full."""
        self._check_full()
        self._pending.add(job)
        job.answer.add_done_callback(lambda _: self._pending.discard(job))
        self._jobs.put(job)

    def check_room(self, limit_s: float) -> None:
        """Raise ProtocolError if no job can be taken now: one has taken longer than that, or as many wait as may."""
        if self.stuck(limit_s):
            raise ProtocolError(STUCK, 503)
        self._check_full()

    def _check_full(self) -> None:
        if self.full:
            raise ProtocolError("as many requests wait as may; come again in a second", 503)

    def stuck(self, limit_s: float) -> bool:
        """Has one inference taken longer than that, and does still?"""
        since = self._computing_since_s
        return since is not None and time.perf_counter() - since > limit_s

    def give_up_all(self, error: ProtocolError) -> None:
        """Answer everything that waits by an error; from the loop."""
        for job in list(self._pending):
            if not job.answer.done():
                job.answer.set_exception(error)

    def stop(self, patience_s: float) -> None:
        """End the thread after what it computes, at the latest after that long without it."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(patience_s)

    def _work(self, prepare: Callable[[], None]) -> None:
        prepare()
        while (job := self._jobs.get()) is not None:
            if job.answer.done():
                continue
            self._computing_since_s = time.perf_counter()
            try:
                outcome: Answered | ProtocolError = _answered(job)
            except ProtocolError as error:
                outcome = error
            except Exception as error:  # an engine raises whatever its operators raise  # noqa: BLE001
                outcome = self._failure(job, error)
            self._computing_since_s = None
            try:
                job.answer.get_loop().call_soon_threadsafe(_settle, job.answer, outcome)
            except RuntimeError:  # the loop was closed while this was computed
                return
            del job, outcome

    def _failure(self, job: Job, error: Exception) -> ProtocolError:
        """What a peer is told of a tail that failed: which values make it fail is told on stderr, and not to everybody."""
        self._failures += 1
        if self._failures <= _MOST_LINES:
            told = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
            print(f"cic: {job.tail.spoken.name}: {' '.join(told.split())[:500]}", file=sys.stderr, flush=True)
        if isinstance(error, MemoryError):
            return ProtocolError(f"there was no memory to compute {job.tail.spoken.name}", 503)
        return ProtocolError(f"{job.tail.spoken.name} cannot be computed on these tensors; the server's log says why", 500)


def _answered(job: Job) -> Answered:
    spoken, began = job.tail.spoken, time.perf_counter()
    arrays = decoded_inputs(job.head, job.payloads, spoken)
    decoded = time.perf_counter()
    outputs = job.tail.engine.run(arrays)
    computed = time.perf_counter()
    given = coded_outputs(spoken, job.head, outputs)
    encoded = time.perf_counter()
    times = ServerTimes(
        job.receive_us,
        _microseconds(began - job.entered_s),
        _microseconds(decoded - began),
        _microseconds(computed - decoded),
        _microseconds(encoded - computed),
    )
    return Answered(*write_answer(spoken, job.head, given, times), times)


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e6))


def _settle(answer: asyncio.Future[Answered], outcome: Answered | ProtocolError) -> None:
    if answer.done():  # whoever asked is gone
        return
    if isinstance(outcome, ProtocolError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
