"""A stream answers in order, tells errors in their place, overlaps device and server, and ends when it is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cic.decision.throughput import Throughput
from cic.engine.engine import Array
from cic.errors import InputError
from cic.session import loaded_halves
from cic.session.session import Session
from tests.cic.session.conftest import Opened, SlowEngine, until_remote
from tests.cic.session.small_server import SmallServer


def images(count: int) -> list[Array]:
    return [np.random.default_rng(seed).random((1, 3, 64, 64), np.float32) for seed in range(count)]


def same(one: Array, other: Array) -> bool:
    return bool(np.allclose(one, other, rtol=1e-4, atol=1e-5))


def test_answers_come_in_the_order_of_the_inputs(opened: Opened, server: SmallServer) -> None:
    given, alone = images(12), opened()
    for session in (opened(server.url, cuts=["cut-01"]), alone):
        for ahead in (1, 4):
            answers = [inference.output for inference in session.stream(given, ahead=ahead)]
            assert len(answers) == 12 and all(same(answer, alone(image)) for answer, image in zip(answers, given, strict=True))


def test_inputs_come_in_three_forms(opened: Opened) -> None:
    (image,) = images(1)
    session = opened()
    (as_tuple, alone), expected = session.stream([(image,), image]), session(image)
    assert same(as_tuple.output, expected) and same(alone.output, expected)
    with pytest.raises(InputError):
        next(session.stream([{"image": image}]))  # this model takes it by position


def test_an_error_stands_in_its_place_and_the_next_answer_behind_it(opened: Opened) -> None:
    first, second = images(2)
    stream = opened().stream([first, "no image", second])
    next(stream)
    with pytest.raises(InputError):
        next(stream)
    assert next(stream).outcome == "local"
    with pytest.raises(StopIteration):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)


def test_what_the_inputs_raise_is_raised(opened: Opened) -> None:
    def inputs() -> Iterator[Array]:
        yield images(1)[0]
        raise KeyError("camera")

    stream = opened().stream(inputs())
    next(stream)
    with pytest.raises(KeyError, match="camera"):
        next(stream)
    assert list(stream) == []


def test_device_and_server_work_at_the_same_time(opened: Opened, server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = loaded_halves.open_half
    monkeypatch.setattr(loaded_halves, "open_half", lambda *given: SlowEngine(opening(*given), 0.05))
    session = opened(server.url, cuts=["cut-01"])
    server.delay_s = 0.05
    given = images(10)
    session(given[0])
    began_s = time.monotonic()
    for image in given:
        session(image)
    one_by_one_s, began_s = time.monotonic() - began_s, time.monotonic()
    assert len(list(session.stream(given))) == 10
    assert time.monotonic() - began_s < 0.75 * one_by_one_s


def test_no_more_inputs_are_taken_than_may_be_ahead(opened: Opened) -> None:
    taken = []

    def inputs() -> Iterator[Array]:
        for number, image in enumerate(images(20)):
            taken.append(number)
            yield image

    with opened().stream(inputs(), ahead=3) as stream:
        next(stream)
        time.sleep(0.3)
        assert len(taken) <= 1 + 3 + 2
    assert list(stream) == []


def test_a_stream_that_is_left_ends_its_thread(opened: Opened) -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("cic-device")}

    before = threads()  # of tests before, which may end meanwhile
    session: Session = opened()
    stream = session.stream(iter(images(1) * 1000))
    next(stream)
    del stream
    end_s = time.monotonic() + 5
    while threads() - before and time.monotonic() < end_s:
        time.sleep(0.01)
    assert not threads() - before


def test_faults_are_survived_in_a_stream_as_well(opened: Opened, slow_device: None, server: SmallServer) -> None:
    given, alone = images(30), opened()
    session = opened(server.url)
    session.warm_up()
    until_remote(session, given[0])
    numbers = iter(range(10**6))
    server.reply = lambda reply: None if next(numbers) % 5 == 0 else reply
    expected = [alone(image) for image in given[:5]]
    answers = list(session.stream([given[index % 5] for index in range(30)]))
    assert all(same(answer.output, expected[index % 5]) for index, answer in enumerate(answers))
    assert len({answer.record.request_id for answer in answers}) == 30


def test_by_throughput_more_is_under_way_and_waiting_for_ones_own_is_not_the_servers_slowness(
    opened: Opened, server: SmallServer
) -> None:
    session = opened(server.url, cuts=["cut-01"], objective="throughput")
    session(images(1)[0])
    # So long each answer takes, and so long the server says that it was busy with it; four are there at once.
    server.delay_s = server.claims_s = 0.08
    began_s = time.monotonic()
    answered = list(session.stream(images(24)))
    took_s = time.monotonic() - began_s
    assert {inference.outcome for inference in answered} == {"remote"}
    assert took_s < 24 * server.delay_s / 2, "more than two are under way"
    profiled_s = next(cut.row[1] for cut in session._means.planner.cuts.values())
    assert session.conditions.server_slowdown * profiled_s < 0.75 * server.claims_s


@pytest.mark.parametrize("bad", ["energy", 1])
def test_an_objective_that_a_session_has_not_is_refused(opened: Opened, bad: Any) -> None:
    with pytest.raises(InputError, match="the objective of a session"):
        opened(objective=bad)
    assert opened(objective=Throughput()).stream(images(1)) is not None
