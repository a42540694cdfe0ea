"""Frames arrive whole, at the pace asked for, or an error says why not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from benchmarks.trust.attack.attacked_call import attacked, watched
from cic.errors import LinkError
from cic.runtime.paced_link import HEADER_BYTES, MARK, ClosedError, Link, Pacing


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        yield near, far


def received_in(far: Link, received: list[bytearray], count: int = 1) -> threading.Thread:
    thread = threading.Thread(target=lambda: received.extend(far.receive() for _ in range(count)))
    thread.start()
    return thread


def test_frames_arrive_whole_and_in_order(sockets: tuple[socket.socket, socket.socket]) -> None:
    near, far = (Link(end) for end in sockets)
    payloads = [b"", b"x", bytes(range(256)) * 4000]
    received: list[bytearray] = []
    thread = received_in(far, received, len(payloads))
    for payload in payloads:
        half = len(payload) // 2
        assert near.send([payload[:half], memoryview(payload)[half:]]) == HEADER_BYTES + len(payload)
    thread.join()
    assert received == payloads


@pytest.mark.parametrize(("bandwidth_bps", "size"), [(50e3, 1000), (5e6, 60_000), (200e6, 3_000_000)])
def test_a_frame_takes_its_time_on_the_link(
    sockets: tuple[socket.socket, socket.socket], bandwidth_bps: float, size: int
) -> None:
    near, far = Link(sockets[0], Pacing(bandwidth_bps=bandwidth_bps)), Link(sockets[1])
    received: list[bytearray] = []
    for _ in range(2):  # a pause saves up nothing for the next frame
        time.sleep(0.05)
        thread = received_in(far, received)
        began = time.perf_counter()
        near.send([bytes(size)])
        thread.join()
        took_s = time.perf_counter() - began
        expected_s = 8 * size / bandwidth_bps
        assert took_s >= expected_s
        assert took_s < 2 * expected_s + 1  # the machine may be busy


def test_a_slow_frame_flows_evenly(sockets: tuple[socket.socket, socket.socket]) -> None:
    near, far = Link(sockets[0], Pacing(bandwidth_bps=400e3)), sockets[1]
    sender = threading.Thread(target=near.send, args=([bytes(10_000)],))  # 0.2 s
    began = time.perf_counter()
    sender.start()
    got = 0
    while got < 10_000 + HEADER_BYTES:
        got += len(far.recv(65536))
        # Never more than the link could have carried by now.
        assert got <= 50_000 * (time.perf_counter() - began) + 1
    sender.join()


def test_the_delay_comes_before_the_first_byte_and_unshaped_frames_skip_it(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    near, far = Link(sockets[0], Pacing(bandwidth_bps=80.0, delay_s=0.1)), Link(sockets[1])
    received: list[bytearray] = []
    thread = received_in(far, received)
    began = time.perf_counter()
    near.send([bytes(100)], shaped=False)  # shaped, this would take ten seconds
    thread.join()
    assert time.perf_counter() - began < 5
    delayed = Link(sockets[0], Pacing(delay_s=0.1))
    thread = received_in(far, received)
    began = time.perf_counter()
    delayed.send([b"late"])
    thread.join()
    assert time.perf_counter() - began >= 0.1


def test_oversize_frames_are_refused_at_both_ends(sockets: tuple[socket.socket, socket.socket]) -> None:
    near, far = Link(sockets[0]), Link(sockets[1], largest_bytes=1000)
    near.send([bytes(1001)])
    with pytest.raises(LinkError, match=r"1001 bytes, at most 1000"):
        far.receive()
    with pytest.raises(LinkError, match=r"1001 bytes .* at most 1000"):
        far.send([bytes(1001)])


def test_what_is_announced_takes_no_memory_until_it_comes(sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[0].sendall(MARK + (2**31 - 1).to_bytes(4, "little") + bytes(1000))
    sockets[0].shutdown(socket.SHUT_WR)
    with watched():
        outcome = attacked(Link(sockets[1]).receive)
    assert outcome.ending == "LinkError" and "after 1000 of 2147483647 bytes" in outcome.text
    assert outcome.bytes < 2**22


def test_a_receiver_says_how_much_it_takes(sockets: tuple[socket.socket, socket.socket]) -> None:
    near, far = (Link(end) for end in sockets)
    near.send([b"four"])
    assert far.receive(largest_bytes=4) == b"four"
    near.send([b"fives"])
    with pytest.raises(LinkError, match=r"5 bytes, at most 4"):
        far.receive(largest_bytes=4)


def test_a_peer_that_sends_a_byte_now_and_then_comes_to_an_end(sockets: tuple[socket.socket, socket.socket]) -> None:
    def drip() -> None:
        with suppress(OSError):
            for byte in MARK + (100).to_bytes(4, "little") + bytes(100):
                sockets[0].sendall(bytes((byte,)))
                time.sleep(0.02)

    thread = threading.Thread(target=drip)
    thread.start()
    with Link(sockets[1], Pacing(patience_s=0.2)) as far, pytest.raises(LinkError, match="of 100 bytes are here"):
        far.receive()
    sockets[0].shutdown(socket.SHUT_WR)
    thread.join()


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (MARK + (5000).to_bytes(4, "little"), r"closed after 0 of 5000 bytes"),
        (b"GET / HTTP/1.1\r\n", "speaks something else"),
        (MARK + b"\x10\x00", r"closed after 6 of 8 bytes"),
        (MARK + (5000).to_bytes(4, "little") + b"short", r"closed after 5 of 5000 bytes"),
    ],
)
def test_nonsense_and_short_frames_are_told(sockets: tuple[socket.socket, socket.socket], sent: bytes, told: str) -> None:
    far = Link(sockets[1])
    sockets[0].sendall(sent)
    sockets[0].shutdown(socket.SHUT_WR)
    with pytest.raises(LinkError, match=told) as raised:
        far.receive()
    assert not isinstance(raised.value, ClosedError)


def test_the_end_of_a_conversation_is_told_apart(sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[0].close()
    with pytest.raises(ClosedError):
        Link(sockets[1]).receive()


def test_silence_is_told(sockets: tuple[socket.socket, socket.socket]) -> None:
    far = Link(sockets[1], Pacing(patience_s=0.05))
    with pytest.raises(LinkError, match=r"nothing came for 0.05 s while waiting for a frame"):
        far.receive(wait_s=0.05)
    sockets[0].sendall(MARK + (100).to_bytes(4, "little") + b"some")
    with pytest.raises(LinkError, match=r"4 of 100 bytes"):
        far.receive(wait_s=1.0)


def test_a_peer_that_takes_nothing_is_told(sockets: tuple[socket.socket, socket.socket]) -> None:
    near = Link(sockets[0], Pacing(patience_s=0.1))
    with pytest.raises(LinkError, match=r"took nothing for 0.1 s"):
        near.send([bytes(64 * 2**20)])


def test_sending_to_nobody_is_told(sockets: tuple[socket.socket, socket.socket]) -> None:
    near = Link(sockets[0], Pacing(patience_s=1.0))
    sockets[1].close()
    with pytest.raises(LinkError, match="broke while sending"):
        for _ in range(50):
            near.send([bytes(2**20)])
