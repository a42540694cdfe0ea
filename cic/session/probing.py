"""Probes: a session learns of link and server while the device answers by itself, and finds out when a server is back.

A small request for the server's health tells the round trip, once a second while there are inferences and nothing else tells.
A request for a tail with the head's results of the last call tells the bandwidth. One is sent if some other cut would be faster
with as good a link as there may be. Nobody waits for its answer, and all of them together keep device and link busy for a small
share of the time (`cic.session.planning.DEVICE_SHARE`).
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import numpy as np

from cic.codec.tensors import carrier
from cic.decision.cut import Cut
from cic.engine.engine import Array, Engine
from cic.errors import CicError, LinkError
from cic.session.http_connection import OverdueError
from cic.session.inference import AHEAD_S, Means
from cic.session.learnt_file import LearntFile
from cic.session.planning import PROBE_WAIT_S, pause_after_probe_s
from cic.session.remote_server import RemoteServer

HEALTH_S = 1.0

_TICK_S, _IDLE_TICK_S, _ACTIVE_S = 0.1, 1.0, 10.0
_HEALTH_WAIT_S = 2.0
_PROBE_WAIT_RTTS = 4.0


class Prober:
    """Sends probes from a thread of its own, until it is closed; none while there are no inferences, but for the first.

    server: that of `means`. learnt: what is learnt is kept there now and then, since this thread is nobody's answer.
    """

    def __init__(self, means: Means, server: RemoteServer, learnt: LearntFile | None = None) -> None:
        self._means, self._server, self._learnt = means, server, learnt
        self._wake, self._closed = threading.Event(), False
        self._next_probe_s = self._asked_s = float("-inf")
        self._thread = threading.Thread(target=self._work, name="cic-probing", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something has changed: look at once."""
        self._wake.set()

    @property
    def settled(self) -> bool:
        """Is something known of the link, or the server known not to answer?"""
        with self._means.lock:
            return self._means.planner.forecast.link.known or not self._means.breaker.closed

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._thread.join(timeout=5.0)

    def _work(self) -> None:
        while not self._closed:
            with suppress(CicError):
                self.look(time.monotonic())
            self._wake.wait(_TICK_S if self._active(time.monotonic()) else _IDLE_TICK_S)
            self._wake.clear()

    def _active(self, now_s: float) -> bool:
        return not self.settled or now_s - self._means.last_used_s < _ACTIVE_S

    def look(self, now_s: float) -> None:
        """Send what is due: at most one exchange."""
        means, active = self._means, self._active(now_s)
        with means.lock:
            open_again, closed = means.breaker.wants_probe(now_s), means.breaker.closed
            if means.untold or (active and now_s - means.ahead_s > AHEAD_S / 2):
                means.plan_ahead(now_s)
        if open_again or (closed and active and self._health_is_due(now_s)):
            self._ask_health(now_s)
        elif closed and active:
            self._learn_or_probe(now_s)
        if active and self._learnt is not None and self._learnt.due(now_s):
            self._learnt.save(now_s, means.lock, means.tell, means.news)

    def _health_is_due(self, now_s: float) -> bool:
        return now_s - max(self._asked_s, self._means.planner.forecast.link.way_seen_s) >= HEALTH_S

    def _ask_health(self, now_s: float) -> None:
        means, self._asked_s = self._means, now_s
        try:
            seen = self._server.health(_HEALTH_WAIT_S)
        except LinkError as error:
            # Whoever moved is looked up again, and may be another server.
            self._server.pool.forget_places()
            self._server.forget()
            means.failed(error)
            return
        now_s = time.monotonic()
        with means.lock:
            means.breaker.probe_succeeded()
            means.tell()
            means.planner.forecast.link.observe(seen, now_s)
            means.plan_ahead(now_s)

    def _learn_or_probe(self, now_s: float) -> None:
        means = self._means
        with means.lock:
            last = means.planner.last
            label = means.planner.worth_a_probe(self._possible, now_s) if now_s >= self._next_probe_s else None
        if last is not None and last.wished in self._unnamed():
            self._learn(last.wished)
        elif label is not None:
            cut = means.planner.cuts[label]
            if not means.halves.has((cut.id, "head")):
                means.halves.wish(cut.id)
            elif cut.id in self._unnamed():
                self._learn(cut.id)
            else:
                self._probe(label, cut)

    def _possible(self, cut: Cut) -> bool:
        halves, cuts = self._means.halves, self._means.planner.cuts.values()
        if not self._means.loadable(cut):
            return False
        # Where memory is short, a probe must not drive out the head that is in use.
        in_use = halves.limited and any(each.offloads and halves.has((each.id, "head")) for each in cuts)
        return not in_use or halves.has((cut.id, "head"))

    def _unnamed(self) -> set[str]:
        """Ids of loaded cuts of which the server was not asked."""
        cuts = {cut.id for cut in self._means.planner.cuts.values() if cut.offloads}
        return {cut_id for cut_id in cuts if self._means.halves.has((cut_id, "head")) and self._server.known(cut_id) is None}

    def _learn(self, cut_id: str) -> None:
        head = self._means.halves.get((cut_id, "head"))
        if head is None:
            return
        try:
            self._server.learn(cut_id, head.cut.codecs, _HEALTH_WAIT_S)
        except LinkError as error:
            self._means.failed(error)
        else:
            self._means.ahead = None

    def _probe(self, label: str, cut: Cut) -> None:
        """Ask for a tail, with what is known to be a call; see how long it takes."""
        means, began_s = self._means, time.monotonic()
        head, served = means.halves.get((cut.id, "head")), self._server.known(cut.id)
        if head is None or served is None:
            return
        device_s, last_arrays = 0.0, means.last_arrays
        with means.lock:
            expected = means.planner.expected(label, began_s)
        try:
            results = head.run(last_arrays or _made_up(head, means.call.batch))
            device_s = time.monotonic() - began_s
            coded = self._server.encode(served.tail, results[: len(head.cut.crossing)], cut.codecs)
            wait_s = PROBE_WAIT_S + _PROBE_WAIT_RTTS * means.planner.forecast.link.rtt_s
            answered = self._server.ask(served.tail, "probe", coded, wait_s=wait_s)
        except LinkError as error:
            means.failed(error)
            if isinstance(error, OverdueError):
                with means.lock:
                    means.planner.intervals.probed(expected, time.monotonic() - began_s)
        else:
            now_s = time.monotonic()
            with means.lock:
                means.tell()
                if last_arrays is not None:
                    means.planner.intervals.probed(expected, now_s - began_s)
                means.planner.forecast.saw_exchange(label, cut, answered.seen, now_s, real=last_arrays is not None)
                means.plan_ahead(now_s)
        finally:
            now_s = time.monotonic()
            self._next_probe_s = now_s + pause_after_probe_s(device_s, now_s - began_s - device_s)


def _made_up(head: Engine, batch: int | None) -> list[Array]:
    """Values that do not compress well, before there was any call."""
    draw = np.random.default_rng(0)
    made = []
    for wire in head.inputs if batch is None else [wire.at_batch(batch) for wire in head.inputs]:
        held = carrier(wire.dtype)
        # Whole numbers may be ids, of which zero is always one.
        real = held.kind == "f" and held.name == wire.dtype
        made.append(draw.random(wire.shape).astype(held) if real else np.zeros(wire.shape, held))
    return made
