"""The testbed shapes what it says and holds the device back; its proxy does faults to the byte; its traces add up."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread
from time import monotonic, perf_counter, sleep

import pytest

from benchmarks.testbed.fault_proxy import FaultProxy, Faults
from benchmarks.testbed.testbed import Testbed, TestbedMissingError
from benchmarks.testbed.traces import DURATION_S, Trace, all_traces, made, replay

SERVER = """
import socket
waiting = socket.create_server(("", 5000))
print("ready", flush=True)
peer, _ = waiting.accept()
while size := int.from_bytes(peer.recv(4, socket.MSG_WAITALL), "big"):
    while size:
        size -= len(peer.recv(min(size, 1 << 16)))
    peer.sendall(b"k")
"""
DEVICE = """
import socket, sys, time
peer = socket.create_connection(("10.77.0.2", 5000))
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for line in sys.stdin:
    size, started = int(line), time.perf_counter()
    if size > 0:
        peer.sendall(size.to_bytes(4, "big") + bytes(size))
        peer.recv(1)
    else:
        until = time.process_time() - size / 1e3
        while time.process_time() < until:
            pass
    print(time.perf_counter() - started, flush=True)
peer.sendall(bytes(4))
"""


@pytest.mark.real_interpreter
def test_testbed_shapes_the_first_bytes_and_a_running_connection_and_slows_the_device() -> None:
    try:
        with Testbed(0.25) as testbed:
            server = testbed.run_on_server([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
            assert server.stdout.readline() == "ready\n"
            device = testbed.run_on_device(
                [sys.executable, "-c", DEVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )

            def asked(number: int) -> float:
                device.stdin.write(f"{number}\n")
                device.stdin.flush()
                return float(device.stdout.readline())

            asked(1000)
            for rate, size in ((10e6, 100_000), (50e6, 300_000), (4e6, 50_000)):
                testbed.shape(rate)
                assert min(asked(size) for _ in range(4)) == pytest.approx(8 * size / rate, rel=0.06)
            # 40 ms of processor time, and 2 ms: neither waits for a slot, or has one to its credit.
            assert 0.155 < min(asked(-40) for _ in range(3)) < 0.19
            assert 0.007 < min(asked(-2) for _ in range(5)) < 0.0105
            testbed.slow_down(None)
            assert min(asked(-40) for _ in range(3)) < 0.08
            device.stdin.close()
            assert device.wait(10) == server.wait(10) == 0
            for pipe in (device.stdout, server.stdout):
                pipe.close()
    except TestbedMissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets, and ends a connection when its peer does."""
    waiting = socket.create_server(("127.0.0.1", 0))

    def serve(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            while piece := peer.recv(65536):
                peer.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                Thread(target=serve, args=(waiting.accept()[0],), daemon=True).start()

    Thread(target=accept, daemon=True).start()
    yield waiting.getsockname()
    waiting.close()


def received(peer: socket.socket, enough: int, sure: int | None = None) -> tuple[bytes, str]:
    """What came, and how it ended. sure: bytes that may take long to come on a busy machine; None: all of them."""
    got = b""
    try:
        while len(got) < enough:
            peer.settimeout(20 if len(got) < (enough if sure is None else sure) else 0.1)
            piece = peer.recv(65536)
            if not piece:
                return got, "end"
            got += piece
    except ConnectionResetError:
        return got, "reset"
    except TimeoutError:
        return got, "nothing"
    return got, "all"


@pytest.mark.parametrize("at", [0, 1, 700, 4095])
@pytest.mark.parametrize(("fault", "end"), [("reset_at", "reset"), ("truncate_at", "end"), ("stall_at", "nothing")])
def test_exactly_so_many_bytes_pass_before_a_fault(echo: tuple[str, int], fault: str, end: str, at: int) -> None:
    message = bytes(range(256)) * 16
    with FaultProxy(echo) as proxy, socket.create_connection(proxy.address) as peer:
        peer.sendall(message)
        assert received(peer, len(message)) == (message, "all")
        proxy.set(down=Faults(**{fault: at}))
        peer.sendall(message)
        assert received(peer, len(message), at if end == "nothing" else None) == (message[:at], end)


def test_a_stall_passes_when_the_faults_do_and_a_reset_is_felt_on_both_sides(echo: tuple[str, int]) -> None:
    with FaultProxy(echo) as proxy:
        with socket.create_connection(proxy.address) as peer:
            proxy.set(up=Faults(stall_at=3))
            peer.sendall(b"abcdef")
            assert received(peer, 6, 3) == (b"abc", "nothing")
            proxy.set(up=Faults())
            assert received(peer, 3) == (b"def", "all")
            proxy.drop_all()
            assert received(peer, 1) == (b"", "reset")
        proxy.refusing = True
        with socket.create_connection(proxy.address) as peer:
            assert received(peer, 1) == (b"", "reset")


def test_delay_and_rate_hold_for_what_is_sent_after_them(echo: tuple[str, int]) -> None:
    with FaultProxy(echo) as proxy, socket.create_connection(proxy.address) as peer:

        def took(size: int) -> float:
            started = perf_counter()
            peer.sendall(bytes(size))
            assert received(peer, size)[0] == bytes(size)
            return perf_counter() - started

        proxy.set(up=Faults(delay_s=0.03), down=Faults(delay_s=0.01, jitter_s=0.01))
        assert all(0.04 <= took(100) < 1 for _ in range(3))
        proxy.set(up=Faults(rate_bps=8e6), down=Faults())
        # A busy machine can only make it slower.
        assert 0.09 < min(took(100_000) for _ in range(3)) < 0.3
        proxy.set(up=Faults(rate_bps=80e6))
        assert min(took(100_000) for _ in range(3)) < 0.09


@pytest.mark.real_interpreter
def test_the_proxy_is_a_command(echo: tuple[str, int]) -> None:
    command = [sys.executable, "-m", "benchmarks.testbed.fault_proxy", f"127.0.0.1:{echo[1]}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        host, _, port = process.stdout.readline().split()[-1].partition(":")
        process.stdin.write('{"down": {"reset_at": 2}}\n')
        process.stdin.flush()
        assert process.stdout.readline().startswith("{")
        with socket.create_connection((host, int(port)), timeout=1) as peer:
            peer.sendall(b"abcd")
            assert received(peer, 4) == (b"ab", "reset")
        process.stdin.close()
        assert process.wait(5) == 0


def test_traces_are_at_least_twelve_and_add_up() -> None:
    traces = all_traces()
    assert len({trace.name for trace in traces}) == len(traces) >= 12
    for trace in traces:
        assert trace.source and trace.duration_s == DURATION_S
        total = trace.bits_between(0, DURATION_S)
        assert total == pytest.approx(sum(trace.at(step / 100) / 100 for step in range(int(DURATION_S * 100))), rel=0.02)
        assert trace.sent_at(0, total) == pytest.approx(DURATION_S, rel=1e-6)
        for start, bits in ((0.0, 1e5), (17.3, 4e6)):
            assert trace.bits_between(start, trace.sent_at(start, bits)) == pytest.approx(bits, rel=1e-6)
        scaled = trace.with_median(7e6).first(30)
        assert scaled.duration_s == 30
        assert scaled.at(20) == pytest.approx(trace.at(20) * scaled.at(0) / trace.at(0))
    step, ramp, outage, _ = made()
    assert step.at(10) == step.at(50) == 20 * step.at(30)
    assert ramp.at(30) == min(ramp.bps) and outage.at(22) == 0


@pytest.mark.parametrize("seconds", [(0.1, 0.2), (0.0, 2.0), (0.0, 0.0)])
def test_a_trace_that_makes_no_sense_is_refused(seconds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Trace("wrong", "nowhere", seconds, (1.0, 1.0), 1.0)


def test_replay_gives_each_bandwidth_at_its_time_and_stops_when_told() -> None:
    trace, told, stop = Trace("short", "here", (0.0, 0.15, 0.16, 0.4), (1.0, 2.0, 3.0, 4.0), 0.5), [], Event()
    started = monotonic()
    replay(trace, lambda bps: told.append((bps, monotonic() - started)), stop)
    assert [bps for bps, _ in told] == [1.0, 3.0, 4.0]
    assert all(due - 0.001 <= at for (_, at), due in zip(told, (0.0, 0.16, 0.4), strict=True))
    thread = Thread(target=replay, args=(trace, lambda bps: None, stop))
    thread.start()
    sleep(0.01)
    stop.set()
    thread.join(0.1)
    assert not thread.is_alive()
