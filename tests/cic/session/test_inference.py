"""Whatever the server does, the answer is right, comes once, and in time: each fault with its criterion."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cic
from cic.errors import CicWarning
from cic.session.inference import AHEAD_S
from cic.session.inference_result import Inference
from cic.session.intervals import SETTLING
from cic.session.link_estimate import Exchanged
from cic.session.measured_parts import measured_parts
from cic.session.session import Session
from tests.cic.session.conftest import DEVICE_S, Opened
from tests.cic.session.scripted_server import scripted
from tests.cic.session.small_server import SmallServer

Array = np.ndarray
# Of this machine, when it has other things to do.
LATE_S = 0.5


def check(inference: Inference, expected: Array) -> None:
    """Right, and not later than what the device takes and twice what was predicted, whatever happened."""
    assert np.allclose(inference.output, expected, rtol=1e-4, atol=1e-5)
    predicted_s = inference.record.predicted.latency_s
    assert inference.latency_s < 2 * predicted_s + 1.5 * DEVICE_S + LATE_S


def header_and_json(reply: bytes) -> tuple[bytes, bytes, bytes]:
    head, _, body = reply.partition(b"\r\n\r\n")
    length = next(int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"Inference-Header"))
    return head, body[:length], body[length:]


def with_json(change: Callable[[dict], None]) -> Callable[[bytes], bytes]:  # type: ignore[type-arg]
    """A reply whose JSON was changed, with lengths that fit."""

    def changed(reply: bytes) -> bytes:
        _, text, payload = header_and_json(reply)
        answer = json.loads(text)
        change(answer)
        text = json.dumps(answer).encode()
        head = (
            f"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: {len(text)}\r\nContent-Length: {len(text + payload)}\r\n\r\n"
        )
        return head.encode() + text + payload

    return changed


def other(**fields: object) -> Callable[[bytes], bytes]:
    return with_json(lambda answer: answer["outputs"][0].update(fields))


class Reset(bytes):
    """A reply after which the connection is reset."""


WRONG_REPLIES = {
    "another id": with_json(lambda answer: answer.update(id="17")),
    "no id": with_json(lambda answer: answer.pop("id")),
    "another shape": other(shape=[10, 1]),
    "more values": other(shape=[1, 1000]),
    "another type": other(datatype="FP64"),
    "another name": other(name="OUTPUT__7"),
    "no outputs": with_json(lambda answer: answer.update(outputs=[])),
    "size that lies": other(parameters={"binary_data_size": 4000}),
    "times that lie": with_json(lambda answer: answer["parameters"].update(compute_us=-5)),
    "a page": lambda reply: b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
    "garbage": lambda reply: bytes(range(256)) * 10,
    "a deep one": lambda reply: b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"[" * 3000,
    "half of it": lambda reply: reply[: len(reply) // 2],
    "nothing": lambda reply: None,
    "much too long": lambda reply: b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 1000,
    "an error without words": lambda reply: b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
}


@pytest.fixture
def session(opened: Opened, slow_device: None, server: SmallServer) -> Session:
    return opened(server.url, remote=True)


def provoke(session: Session, server: SmallServer, image: Array, expected: Array) -> Inference:
    """Ask until the server is asked once more, and what it does has had its effect."""
    asked = len(server.ids)
    for _ in range(20):
        inference = session.infer(image)
        check(inference, expected)
        if len(server.ids) > asked and inference.outcome != "local":
            return inference
    raise AssertionError("the server was not asked again")


def test_a_wrong_reply_is_never_an_answer(
    opened: Opened, slow_device: None, server: SmallServer, image: Array, expected: Array
) -> None:
    session = opened(server.url, cuts=["server-only", "device-only"], remote=True)
    for fault, reply in WRONG_REPLIES.items():
        server.reply = reply  # type: ignore[assignment]
        outcomes = [provoke(session, server, image, expected).outcome for _ in range(2)]
        assert all(outcome.startswith("fallback: ") for outcome in outcomes), fault
        server.reply = lambda content: content
        session._means.breaker.succeeded()


def test_a_server_that_keeps_failing_is_left_alone(
    session: Session, server: SmallServer, image: Array, expected: Array
) -> None:
    server.reply = lambda _: None
    outcomes = []
    for _ in range(12):
        inference = session.infer(image)
        check(inference, expected)
        outcomes.append(inference.outcome.partition(":")[0])
    assert outcomes[0] == "fallback" and outcomes.count("fallback") <= 4 and outcomes[-5:] == ["local"] * 5


def test_a_reply_that_is_reset_at_any_part_is_no_answer(
    session: Session, server: SmallServer, image: Array, expected: Array
) -> None:
    """`test_http_connection` tries every offset of a reply; here they are those at which it has one part more."""
    parts: list[Callable[[bytes], int]] = [
        lambda _: 0,
        lambda _: 1,
        lambda reply: len(header_and_json(reply)[0]) - 3,
        lambda reply: len(header_and_json(reply)[0]) + 4,
        lambda reply: len(reply) - len(header_and_json(reply)[2]),
        lambda reply: len(reply) - 1,
    ]
    for offset in parts:
        server.reply = lambda reply, offset=offset: Reset(reply[: offset(reply)])  # type: ignore[misc]
        assert provoke(session, server, image, expected).outcome.startswith("fallback: ")
        session._means.breaker.succeeded()


def test_a_server_that_is_killed_is_missed_by_nobody(
    opened: Opened, slow_device: None, server: SmallServer, image: Array, expected: Array
) -> None:
    ended = threading.Event()

    def until_ended(connection: socket.socket) -> None:
        if not ended.is_set():
            server.talk(connection)

    with scripted(until_ended) as url:
        session = opened(url, remote=True)
    ended.set()
    outcomes = []
    for _ in range(10):
        inference = session.infer(image)
        check(inference, expected)
        outcomes.append(inference.outcome.partition(":")[0])
    assert "remote" not in outcomes and outcomes[-3:] == ["local"] * 3 and outcomes.count("fallback") <= 4


def test_a_black_hole_costs_no_more_than_the_deadline(
    opened: Opened, slow_device: None, server: SmallServer, image: Array, expected: Array
) -> None:
    deadline_s = DEVICE_S * 5
    session = opened(server.url, remote=True, deadline_s=deadline_s)
    server.silent = True
    for _ in range(10):
        inference = session.infer(image)
        check(inference, expected)
        assert inference.latency_s < 1.1 * deadline_s
    assert inference.outcome == "local"


def test_a_server_that_is_busy_is_left_alone_as_long_as_it_says(
    session: Session, server: SmallServer, image: Array, expected: Array
) -> None:
    server.refuse = (503, "Retry-After: 30\r\n")
    inference = session.infer(image)
    check(inference, expected)
    assert "status 503" in inference.outcome
    asked = len(server.ids)
    for _ in range(5):
        assert session.infer(image).outcome == "local"
    assert len(server.ids) == asked
    assert session._means.breaker.opens_until_s is not None
    assert 25 < session._means.breaker.opens_until_s - time.monotonic() < 31


def test_another_bundle_on_the_server_is_told_once_and_the_device_answers(
    opened: Opened, slow_device: None, server: SmallServer, image: Array, expected: Array
) -> None:
    session = opened(server.url, remote=True)
    server.tails = {
        name: (type(tail)(tail.name, tail.cut_id, tail.inputs, tail.outputs, tail.model_digest, "0" * 64), engine)
        for name, (tail, engine) in server.tails.items()
    }
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        inference = session.infer(image)
        check(inference, expected)
        assert "status 409" in inference.outcome
        for _ in range(10):
            check(session.infer(image), expected)
    words = [str(each.message) for each in told if each.category is CicWarning]
    assert len(words) == 1 and "answers are computed on the device" in words[0] and "the same bundle" in words[0]


def test_another_bundle_on_the_server_is_found_before_anything_is_sent(
    opened: Opened, slow_device: None, server: SmallServer, image: Array, expected: Array
) -> None:
    server.tails = {
        name: (type(tail)(tail.name, tail.cut_id, tail.inputs, tail.outputs, "0" * 64, tail.weights_digest), engine)
        for name, (tail, engine) in server.tails.items()
    }
    with pytest.warns(CicWarning, match="give both sides the same bundle"):
        session, end_s = opened(server.url), time.monotonic() + 20
        while not session._means.told and time.monotonic() < end_s:
            session.warm_up(0.1)
        session.warm_up(0.1)
    check(session.infer(image), expected)
    assert session.infer(image).outcome == "local" and not server.ids


def test_the_tail_finishes_here_what_the_head_began(
    opened: Opened, server: SmallServer, model: cic.SplittingModel, image: Array, expected: Array, heads: Path
) -> None:
    """With the tail at hand the head's results are used; without it, and without device-only, nobody can answer."""
    session = opened(server.url, cuts=["cut-01"])
    session(image)
    end_s = time.monotonic() + 20
    while not session._means.halves.has(("cut-01", "tail")) and time.monotonic() < end_s:
        time.sleep(0.01)
    server.refuse = (500, "")
    inference = session.infer(image)
    check(inference, expected)
    assert inference.outcome.startswith("fallback")


def test_parts_add_up_whatever_the_server_says() -> None:
    for server_s, receive_s, rtt_s in ((0.0, 0.0, 0.0), (0.01, 0.02, 0.5), (5.0, 5.0, 5.0), (0.03, 0.0, 0.005)):
        parts = measured_parts(0.1, 0.04, Exchanged(1000, 1000, 0.05, 0.055, server_s, receive_s), rtt_s)
        assert parts.latency_s == pytest.approx(0.1)
        assert min(parts.device_s, parts.uplink_s, parts.server_s, parts.downlink_s, parts.rtt_s) >= -1e-12


def test_a_plan_made_ahead_is_used_until_something_changes(session: Session, image: Array, expected: Array) -> None:
    means = session._means
    check(session.infer(image), expected)
    with means.lock:
        now_s = time.monotonic()
        ahead = means.plan_ahead(now_s)
        assert means.planned(now_s) is means.planned(now_s + 0.5 * AHEAD_S) is ahead
        assert means.planned(now_s + 1.5 * AHEAD_S) is not ahead
        ahead = means.plan_ahead(now_s)
        means.breaker.failed("as a test has it", now_s, 30.0)
        assert ahead.cut.offloads and not means.planned(now_s).cut.offloads


def test_nobody_waits_until_the_forecast_is_told_and_the_next_plan_knows(
    session: Session, image: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    means, told = session._means, list[float]()
    assert session._prober is not None
    session._prober.close()
    with means.lock:
        means.tell()
    monkeypatch.setattr(means.planner.forecast, "saw_device", lambda _label, _cut, seconds, _now_s: told.append(seconds))
    first = session.infer(image)
    assert not told
    second = session.infer(image)
    assert told == pytest.approx([first.record.measured.device_s], abs=1e-3)
    assert session.conditions.device_slowdown == second.record.conditions.device_slowdown
    assert len(told) == 2
    assert not means.untold


def test_a_plan_is_not_lost_when_a_head_becomes_loaded_meanwhile(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    means, loading = session._means, threading.Thread(target=session._loaded, args=("cut-01",))

    def usable(_: object) -> bool:
        loading.start()
        loading.join(0.2)
        return True

    with means.lock:
        now_s = time.monotonic()
        ahead = means.plan_ahead(now_s)
        monkeypatch.setattr(means, "usable", usable)
        assert means.planned(now_s) is ahead
    loading.join()
    assert means.ahead is None


def test_each_call_may_have_a_deadline_of_its_own(session: Session, image: Array, expected: Array) -> None:
    for deadline, due_s in (("5s", 5.0), (2.5, 2.5), (None, None), ("100us", 1e-4)):
        inference = session.infer(image, deadline=deadline)
        check(inference, expected)
        assert inference.record.deadline_s == (None if due_s is None else pytest.approx(due_s))
    assert "no cut is sure to keep the deadline" in inference.why
    assert np.allclose(session(image, deadline="5s"), expected, rtol=1e-4, atol=1e-5)
    for wrong in ("80", "soon", -1, 0, float("nan"), [], True, 1e9):
        with pytest.raises(cic.CicError, match="deadline"):
            session.infer(image, deadline=wrong)


def test_a_server_that_is_slow_now_and_then_does_not_cost_the_deadline(
    session: Session, server: SmallServer, image: Array, expected: Array
) -> None:
    due_s, draw = DEVICE_S * 5, random.Random(0)
    for _ in range(16):
        server.delay_s = draw.choice([0.0, 0.0, 0.05, 0.5])
        with session._means.lock:
            session._means.breaker.succeeded()
        inference = session.infer(image, deadline=due_s)
        check(inference, expected)
        assert inference.latency_s < 1.1 * due_s
        assert server.delay_s < 0.5 or inference.outcome != "remote"


def test_what_a_call_is_expected_to_take_is_told_before(session: Session, image: Array) -> None:
    for _ in range(12):
        last = session.infer(image)
    usual, rare = session.decide(0.5), session.decide(0.99)
    assert usual.cut_id == last.cut_id and usual.codecs == last.record.codecs
    assert usual.calibrated and usual.in_time is None and "in 0.5 of all calls" in usual.why
    assert not rare.calibrated and rare.why.endswith("by a prior, since too few calls were seen")
    assert usual.upper_s is not None and rare.upper_s is not None and rare.upper_s > 3.9 * rare.latency_s > 0
    assert usual.upper_s < rare.upper_s
    upper_s = session.decide().upper_s
    assert session.infer(image).record.upper_s == pytest.approx(upper_s)
    assert session.decide(deadline="10s").in_time and not session.decide(deadline="50us").in_time
    for wrong in (0.0, 1.0, "95%", True, None):
        with pytest.raises(cic.ArgumentError, match="quantile"):
            session.decide(wrong)  # type: ignore[arg-type]


def test_local_answers_teach_how_long_they_take(session: Session, server: SmallServer, image: Array, expected: Array) -> None:
    """Those after a failure, too, whose beginning is late."""
    means = session._means
    server.refuse = (500, "")
    for _ in range(SETTLING + 2):
        inference = session.infer(image)
        assert inference.outcome.startswith("fallback")
        with means.lock:
            means.tell()
            means.breaker.succeeded()
    assert len(means.planner.intervals._local) == 2
    assert 1.0 <= means.planner.intervals.local_margin <= 2.0
