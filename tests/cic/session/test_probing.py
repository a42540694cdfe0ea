"""While the device answers by itself, probes find out about link and server, and disturb nobody."""

from __future__ import annotations

import time

from cic.engine.engine import Array
from cic.session.session import Session
from tests.cic.session.conftest import Opened, until_remote
from tests.cic.session.small_server import SmallServer


def wait_for(condition: object, seconds: float = 10.0) -> None:
    end_s = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.01)


def link_of(session: Session) -> object:
    return session._means.planner.forecast.link


def test_before_any_inference_the_link_is_known(opened: Opened, server: SmallServer) -> None:
    session = opened(server.url)
    wait_for(lambda: link_of(session).known)  # type: ignore[attr-defined]
    assert set(server.ids) == {"probe"}
    assert session.conditions.rtt_s < 0.5


def test_nobody_is_asked_while_nobody_asks(opened: Opened, server: SmallServer, monkeypatch: object) -> None:
    session = opened(server.url)
    wait_for(lambda: link_of(session).known)  # type: ignore[attr-defined]
    time.sleep(0.3)
    asked = len(server.ids)
    session._means.last_used_s = time.monotonic() - 60
    time.sleep(1.2)
    assert len(server.ids) <= asked + 1


def test_a_probe_that_fails_harms_no_inference(opened: Opened, server: SmallServer, image: Array) -> None:
    server.reply = lambda _: b"garbage"
    session = opened(server.url)
    for _ in range(30):
        assert session.infer(image).outcome == "local"
        time.sleep(0.02)


def test_a_server_that_is_back_is_asked_by_a_probe_first(
    opened: Opened, slow_device: None, server: SmallServer, image: Array
) -> None:
    session = opened(server.url)
    session.warm_up()
    until_remote(session, image)
    with session._means.lock:
        for _ in range(3):
            session._means.breaker.failed("as a test has it", time.monotonic())
    assert session.infer(image).outcome == "local"
    wait_for(lambda: session._means.breaker.closed)
    until_remote(session, image)


def test_what_a_probe_takes_counts_though_nobody_was_promised_it(
    opened: Opened, slow_device: None, server: SmallServer, image: Array
) -> None:
    session = opened(server.url, remote=True)
    planner, scores = session._means.planner, session._means.planner.intervals._server
    assert session._prober is not None and planner.last is not None and session.conditions.rtt_s > 0
    before, label = len(scores), planner.last.label
    session._prober._probe(label, planner.cuts[label])
    assert len(scores) == before + 1
    server.silent = True
    session._prober._probe(label, planner.cuts[label])
    server.silent = False
    assert len(scores) == before + 2 and scores.largest > 0, "one that is given up took as long as it had at least"
