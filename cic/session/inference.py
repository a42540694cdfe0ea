"""One inference in three steps: on the device, over the link, and together again. What fails on the way the device answers.

The steps are apart so that a stream can have one inference on the device while another is on the link.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
import time
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any, NamedTuple

from cic.codec.tensors import Array
from cic.decision.cut import DEVICE_ONLY, Cut
from cic.engine.engine import Engine
from cic.errors import ArtifactError, CicError, CicWarning, CodecError, InputError, LinkError, ProtocolError
from cic.protocol.metadata import ServedTail
from cic.protocol.request import Coded
from cic.session.abandon_rule import Patience
from cic.session.circuit_breaker import CircuitBreaker
from cic.session.forecast import Parts
from cic.session.http_connection import OverdueError
from cic.session.inference_result import Inference
from cic.session.intervals import Promise
from cic.session.link_estimate import Exchanged
from cic.session.loaded_halves import LoadedHalves
from cic.session.measured_parts import measured_parts
from cic.session.model_call import ModelCall
from cic.session.own_requests import OwnRequests
from cic.session.planning import Plan, Planner
from cic.session.record import FALLBACK, LOCAL, REMOTE, Record, Terms
from cic.session.remote_server import Answered, RefusedError, RemoteServer

PATIENCE_S = 60.0
"""How long a server is waited for where the device cannot answer."""

AHEAD_S = 1.0
"""A plan that was made ahead is good for so long, unless something else was found out meanwhile."""

_LASTING = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}  # fmt: skip
_LASTING_S = 60.0
_BUSY_S = 1.0
# By so much of their usual differences may round trips be late before they are.
_NOISES = 2.0


@dataclass(slots=True)
class Running:
    """An inference under way; times are those of `time.monotonic`. disturbed: halves were being loaded when it began.

    due_s: seconds from the beginning that the answer is due in, None if it is not.
    """

    request_id: str
    began_s: float
    wall_s: float
    plan: Plan
    arrays: list[Array]
    as_torch: bool
    head: Engine
    disturbed: bool
    due_s: float | None
    results: tuple[Array, ...] = ()
    tail: ServedTail | None = None
    coded: tuple[Coded, ...] = ()
    device_s: float = 0.0
    exchange_s: float = 0.0
    served_s: float | None = None
    answered: Answered | None = None
    failure: CicError | None = None


class Seen(NamedTuple):
    """What one inference showed. device_s: None if other halves were loaded meanwhile, which slows the device down by itself.

    exchanged: None if no server was asked. served_s: as of `Forecast.saw_exchange`. parts: what it took, loading included; None
    if it was not answered as it was planned. at_s: when it was over. promise, latency_s: what was said of it, and what it took.
    local: what a local answer was predicted to take and took, if there was one.
    """

    label: str
    cut: Cut
    device_s: float | None
    exchanged: Exchanged | None
    served_s: float | None
    parts: Parts | None
    at_s: float
    promise: Promise
    latency_s: float
    local: tuple[float, float] | None


@dataclass
class Means:
    """What inferences are made with; shared by all threads of a session. lock: held to read or change planner and breaker.

    server: None if there is none. deadline_s: from the beginning of an inference; None: none. due_s: that of the last one, for
        which the next is planned ahead.
    ahead: the plan of the next inference, and when it was made; None: something has changed since.
    untold: what was seen of inferences and the forecast was not told yet. Nobody waits for that: it is told when the next plan
        is made, between inferences by the prober, else at the beginning of the next one.
    process: the id of the one that the session was opened in.
    """

    call: ModelCall
    halves: LoadedHalves
    planner: Planner
    server: RemoteServer | None
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    deadline_s: float | None = None
    due_s: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    last_arrays: list[Array] | None = None
    last_used_s: float = float("-inf")
    ahead: Plan | None = None
    ahead_s: float = float("-inf")
    untold: deque[Seen] = field(default_factory=deque)
    told: set[int] = field(default_factory=set)
    news: deque[str] = field(default_factory=deque)
    process: int = field(default_factory=os.getpid)

    def check_process(self) -> None:
        """Raise InputError in a fork of the process that the session was opened in.

        Its connections are there twice and its threads not at all, so that answers to the one would be read by the other.
        """
        if os.getpid() != self.process:
            raise InputError(
                f"the session was opened in process {self.process}, and this is process {os.getpid()}; open one in each"
            )

    def usable(self, cut: Cut) -> bool:
        """Can this cut be run at once?"""
        if not self.halves.has((cut.id, "head")):
            return False
        if not cut.offloads:
            return True
        return self.server is not None and self.server.known(cut.id) is not None and self.loadable(cut)

    def loadable(self, cut: Cut) -> bool:
        """Could this cut be run, once its head is loaded and the server was asked for its names?"""
        if not self.halves.fits(cut.id):
            return False
        if not cut.offloads:
            return True
        if self.server is None or (not self.breaker.closed and self.answers_alone):
            return False
        served = self.server.known(cut.id)
        return served is None or served.codecs or all(name == "raw" for name in cut.codecs)

    @cached_property
    def answers_alone(self) -> bool:
        """Can the device answer without any server?"""
        return any(not cut.offloads for cut in self.planner.cuts.values())

    def planned(self, now_s: float, due_s: float | None = None) -> Plan:
        """The plan of an inference that begins now and is due in so many seconds. The lock is held."""
        if due_s != self.due_s:
            self.ahead, self.due_s = None, due_s
        if self.ahead is None or self.untold or now_s - self.ahead_s > AHEAD_S or not self.usable(self.ahead.cut):
            return self.plan_ahead(now_s)
        return self.ahead

    def tell(self) -> None:
        """Tell forecast, policy and intervals all that was seen, in its order. The lock is held."""
        forecast, intervals = self.planner.forecast, self.planner.intervals
        while self.untold:
            seen = self.untold.popleft()
            intervals.saw(seen.promise, seen.latency_s)
            if seen.local is not None:
                intervals.saw_local(*seen.local)
            if seen.device_s is not None:
                forecast.saw_device(seen.label, seen.cut, seen.device_s, seen.at_s)
            if seen.exchanged is not None:
                forecast.saw_exchange(seen.label, seen.cut, seen.exchanged, seen.at_s, served_s=seen.served_s)
            if seen.parts is not None:
                self.planner.rule.saw(seen.label, seen.cut, seen.parts, seen.at_s)

    def plan_ahead(self, now_s: float) -> Plan:
        """Plan the next inference, since its beginning is where the device can spare time least. The lock is held."""
        self.tell()
        plan = self.planner.plan(self.usable, self.loadable, now_s, self.due_s)
        if not self.breaker.closed and not plan.cut.offloads:
            plan = replace(plan, why=f"{plan.why}; the server is left alone: {self.breaker.reason}")
        self.ahead, self.ahead_s = plan, now_s
        return plan

    def failed(self, error: LinkError) -> None:
        """Learn from an exchange that failed."""
        now_s = time.monotonic()
        with self.lock:
            self.tell()
            self.ahead = None
            if isinstance(error, OverdueError) and error.slow_link:
                self.planner.forecast.link.observe_unfinished(error.arrived_bytes, error.elapsed_s, now_s)
            if isinstance(error, RefusedError):
                lasting = error.status in _LASTING
                busy_s = _BUSY_S if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
                self.breaker.failed(str(error), now_s, _LASTING_S if lasting else error.wait_s or busy_s)
                if lasting and error.status not in self.told:
                    self.told.add(error.status)
                    self.news.append(f"answers are computed on the device: {error}")
            elif not isinstance(error, OverdueError) or not error.slow_link:
                self.breaker.failed(str(error), now_s)

    def tell_news(self) -> None:
        """Warn of what was found out since, in the thread and at the place of whoever asks for an answer."""
        # Another thread may take the last of it first.
        with suppress(IndexError):
            while True:
                warnings.warn(self.news.popleft(), CicWarning, stacklevel=3)


class Steps:
    """The three steps. Thread-safe."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._prefix, self._numbers = secrets.token_hex(3), itertools.count()
        self._own = OwnRequests()

    def on_device(self, args: Sequence[Any], kwargs: Mapping[str, Any], due_s: float | None = None) -> Running:
        """Decide, run the head, and encode what crosses. due_s: seconds until an answer is due; None: as the session says.

        Raises:
            InputError: the call is not the model's, or the session is closed or another process's. EngineError: the head cannot
            compute with these values.
            LinkError, ArtifactError: there is no cut that can be run.
        """
        means, began_s, wall_s = self._means, time.monotonic(), time.time()
        means.check_process()
        arrays, as_torch = means.call.flatten(args, kwargs)
        due_s = means.deadline_s if due_s is None else due_s
        with means.lock:
            plan = means.planned(began_s, due_s)
            means.last_arrays, means.last_used_s = arrays, began_s
        means.halves.wish(plan.wished)
        head = means.halves.get((plan.cut.id, "head")) or means.halves.load((plan.cut.id, "head"))
        request_id = f"{self._prefix}-{next(self._numbers):x}"
        running = Running(request_id, began_s, wall_s, plan, arrays, as_torch, head, means.halves.busy, due_s)
        running.results = head.run(arrays)
        if plan.cut.offloads:
            self._encode(running)
        running.device_s = time.monotonic() - began_s
        return running

    def _encode(self, running: Running) -> None:
        server, cut = self._server(), running.plan.cut
        try:
            running.tail = server.known(cut.id) or server.learn(cut.id, running.head.cut.codecs, PATIENCE_S)
            crossing = running.results[: len(running.head.cut.crossing)]
            running.coded = server.encode(running.tail.tail, crossing, cut.codecs)
        except (CodecError, ProtocolError, LinkError) as error:
            running.failure = error

    def on_link(self, running: Running, turn: AbstractContextManager[Any] | None = None) -> None:
        """Ask the server, if the cut uses it. Whatever fails is kept for the last step. turn: entered for the upload."""
        if not running.plan.cut.offloads or running.failure is not None:
            return
        assert running.tail is not None
        means, began_s = self._means, time.monotonic()
        with means.lock:
            patience = self._patience(running, self._own.asked())
        try:
            running.answered = self._server().ask(
                running.tail.tail,
                running.request_id,
                running.coded,
                wait_s=patience.first_look_s(),
                look=patience.next_look_s,
                turn=turn,
            )
        except LinkError as error:
            running.failure = error
            self._means.failed(error)
            if isinstance(error, OverdueError):
                with self._means.lock:
                    self._means.planner.rule.failed(running.plan.label, time.monotonic())
                    self._means.ahead = None
        running.exchange_s = (now_s := time.monotonic()) - began_s
        with means.lock:
            running.served_s = self._own.ended(None if running.answered is None else running.answered.seen, now_s)

    def finish(self, running: Running) -> Inference:
        """The model's own answer, computed here if the server gave none.

        Raises the LinkError, CodecError or ProtocolError that kept the server from answering if the device cannot either, and
        InputError if the session was closed meanwhile.
        """
        began_s, expected_s = time.monotonic(), self._local_s(running)
        outcome = LOCAL
        if running.failure is not None:
            output = self._local_answer(running, running.failure)
            outcome = f"{FALLBACK}: {running.failure}"
        else:
            returned = running.answered.outputs if running.answered is not None else ()
            output = self._assembled(running, running.head, running.results, returned)
            outcome = LOCAL if running.answered is None else REMOTE
        now_s = time.monotonic()
        measured = self._learn(running, now_s - began_s, expected_s, now_s)
        return Inference(output, self._record(running, measured, outcome))

    def _patience(self, running: Running, before: int) -> Patience:
        """before: so many requests of this device the server has to answer first."""
        means, now_s = self._means, time.monotonic()
        deadline_s = None if running.due_s is None else running.began_s + running.due_s - now_s
        parts = running.plan.parts
        expected_s = parts.exchange_s + _NOISES * means.planner.forecast.link.rtt_noise_s + before * parts.server_s
        reply_s = (1 + before) * parts.server_s + parts.downlink_s
        return Patience(expected_s, self._local_s(running), deadline_s, PATIENCE_S, reply_s, running.plan.margin)

    def _local_s(self, running: Running) -> float | None:
        """How long the device would take to finish by itself; None if it cannot."""
        plan = running.plan
        if plan.local_s is None:
            return None
        if self._means.halves.has((plan.cut.id, "tail")):
            return max(plan.local_s - plan.parts.device_s, 0.0)
        return plan.local_s

    def _local_answer(self, running: Running, failure: CicError) -> Any:
        """The rest of the network run here: the tail of the same cut if it is loaded, else all of it."""
        halves, head = self._means.halves, running.head
        tail = halves.get((running.plan.cut.id, "tail"))
        if tail is not None:
            return self._assembled(running, head, running.results, tail.run(running.results[: len(head.cut.crossing)]))
        whole = halves.get((DEVICE_ONLY, "head"))
        if whole is None:
            halves.check_open()
            raise failure
        return self._assembled(running, whole, whole.run(running.arrays), ())

    def _assembled(self, running: Running, head: Engine, results: Sequence[Array], returned: Sequence[Array]) -> Any:
        return self._means.call.assemble(head.cut.record, results, returned, as_torch=running.as_torch)

    def _learn(self, running: Running, finish_s: float, expected_s: float | None, now_s: float) -> Terms:
        """What the inference took, which the forecast is told later. expected_s: what a local answer was predicted to take."""
        means, plan, answered = self._means, running.plan, running.answered
        latency_s, failed = now_s - running.began_s, running.failure is not None
        disturbed = running.disturbed or means.halves.busy
        device_s = None if disturbed or failed else running.device_s + finish_s
        local = None
        if answered is None and expected_s is not None and not disturbed:
            local = (expected_s, finish_s) if failed else (plan.parts.device_s, latency_s)
        exchanged = None if answered is None else answered.seen
        parts = None if failed else Parts(latency_s)
        if answered is not None:
            parts = measured_parts(latency_s, latency_s - running.exchange_s, answered.seen, plan.conditions.rtt_s)
        with means.lock:
            seen = Seen(
                plan.label, plan.cut, device_s, exchanged, running.served_s, parts, now_s, plan.promise, latency_s, local
            )
            means.untold.append(seen)
            if answered is not None:
                means.breaker.succeeded()
        return Terms(running.device_s, None, None, None, None, latency_s) if parts is None else parts.terms

    def _record(self, running: Running, measured: Terms, outcome: str) -> Record:
        plan, answered = running.plan, running.answered
        return Record(
            request_id=running.request_id,
            started_s=running.began_s,
            wall_time_s=running.wall_s,
            cut_id=plan.cut.id,
            codecs=plan.cut.codecs,
            why=plan.why,
            conditions=plan.conditions,
            predicted=plan.parts.terms,
            device_only_s=plan.local_s,
            server_only_s=plan.server_only_s,
            measured=measured,
            upload_bytes=0 if answered is None else answered.seen.bytes_up,
            download_bytes=0 if answered is None else answered.seen.bytes_down,
            outcome=outcome,
            deadline_s=running.due_s,
            upper_s=plan.promise.upper_s,
        )

    def _server(self) -> RemoteServer:
        if self._means.server is None:
            raise ArtifactError("no cut can be run: there is no server, and device-only was not emitted; emit it, or name one")
        return self._means.server
