"""A breaker opens after some failures in a row, for longer each time, and closes when an inference was answered."""

from __future__ import annotations

from cic.session.circuit_breaker import CircuitBreaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker(failures=3)
    for _ in range(10):
        breaker.failed("no", 0.0)
        breaker.failed("no", 0.0)
        assert breaker.closed
        breaker.succeeded()
    for _ in range(3):
        breaker.failed("no", 5.0)
    assert not breaker.closed and breaker.reason == "no"
    assert not breaker.wants_probe(5.9) and breaker.wants_probe(6.0)


def test_a_probe_lets_one_inference_try_and_each_failure_doubles_the_wait() -> None:
    breaker, now_s, waits = CircuitBreaker(3, 1.0, 60.0), 0.0, []
    for _ in range(3):
        breaker.failed("no", now_s)
    for _ in range(9):
        assert breaker.opens_until_s is not None
        waits.append(breaker.opens_until_s - now_s)
        now_s = breaker.opens_until_s
        breaker.probe_succeeded()
        assert breaker.closed
        breaker.failed("no", now_s)
        assert not breaker.closed
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    breaker.probe_succeeded()
    breaker.succeeded()
    for _ in range(3):
        assert breaker.closed
        breaker.failed("no", now_s)
    assert breaker.opens_until_s == now_s + 1


def test_a_failed_probe_keeps_it_open() -> None:
    breaker = CircuitBreaker(1)
    breaker.failed("no", 0.0)
    breaker.failed("still not", 1.0)
    assert not breaker.wants_probe(2.9) and breaker.wants_probe(3.0)


def test_a_server_that_asks_for_a_while_gets_it_at_once_and_within_bounds() -> None:
    breaker = CircuitBreaker()
    breaker.failed("busy", 0.0, 5.0)
    assert breaker.opens_until_s == 5.0
    breaker.failed("busy", 10.0, 1e9)
    assert breaker.opens_until_s == 70.0
    breaker.failed("busy", 10.0, -3.0)
    assert breaker.opens_until_s == 10.0


def test_a_probe_of_a_closed_one_changes_nothing() -> None:
    breaker = CircuitBreaker(2)
    breaker.probe_succeeded()
    breaker.failed("no", 0.0)
    assert breaker.closed
