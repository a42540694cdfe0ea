"""Bodies are read at no less than a least rate, into memory that is counted."""

from __future__ import annotations

import threading
import time

from cic.protocol.spoken_tail import SpokenTail
from cic.serving.body_room import BodyRoom, body_room
from cic.serving.tail_server import TailServer
from tests.cic.serving.conftest import USUAL, Serving
from tests.cic.serving.talking import ask, connect, open_socket, raw_request, status_of, until_closed, wait_until, zeros


def test_a_body_that_stops_is_not_waited_for(server: TailServer, tail: SpokenTail) -> None:
    content = raw_request(tail, zeros(tail))
    with open_socket(server) as link:
        link.sendall(content[:-1])
        began = time.perf_counter()
        said = until_closed(link)
        assert status_of(said) == 408 and b"came in time" in said
        # A second of it is for the refusal to be read; what came before gives no time.
        assert time.perf_counter() - began < USUAL.body_timeout_s + 2


def test_many_slow_bodies_hurt_nobody(serving: Serving, tail: SpokenTail) -> None:
    server = serving(body_timeout_s=0.5, least_bytes_per_s=1e5)
    content = raw_request(tail, zeros(tail))
    links = [open_socket(server) for _ in range(100)]
    for link in links:
        link.sendall(content[:-20])
    told = threading.Event()

    def drip() -> None:
        for _ in range(15):
            for link in links:
                try:
                    link.send(b"\0")
                except OSError:
                    continue
            if told.wait(0.1):
                return

    dripping = threading.Thread(target=drip)
    dripping.start()
    connection = connect(server)
    slowest = 0.0
    for _ in range(20):
        began = time.perf_counter()
        assert ask(connection, tail, zeros(tail)).outputs
        slowest = max(slowest, time.perf_counter() - began)
    said = [status_of(until_closed(link)) for link in links]
    told.set()
    dripping.join()
    assert slowest < 2 and set(said) <= {0, 408}
    wait_until(lambda: server.endpoints.room.taken == 0)


def test_a_slow_body_at_the_least_rate_is_waited_for(serving: Serving, tail: SpokenTail) -> None:
    server = serving(body_timeout_s=0.2, least_bytes_per_s=1000)
    content = raw_request(tail, zeros(tail))
    with open_socket(server) as link:
        link.sendall(content[:-200])
        for place in range(200, 0, -50):
            time.sleep(0.04)
            link.sendall(content[len(content) - place : len(content) - place + 50])
        assert status_of(link.recv(1 << 16)) == 200


def test_bodies_take_no_more_than_the_room_there_is(serving: Serving, tail: SpokenTail) -> None:
    server = serving(body_timeout_s=5)
    content = raw_request(tail, zeros(tail))
    body_bytes = len(content.partition(b"\r\n\r\n")[2])
    server.endpoints.room = BodyRoom(3 * body_bytes)
    links = [open_socket(server) for _ in range(3)]
    for link in links:
        link.sendall(content[:-1])
    wait_until(lambda: server.endpoints.room.taken == 3 * (body_bytes - 1))
    with open_socket(server) as more:
        more.sendall(content)
        assert status_of(more.recv(1 << 16)) == 503
    for link in links:
        link.sendall(content[-1:])
        assert status_of(link.recv(1 << 16)) == 200
    wait_until(lambda: server.endpoints.room.taken == 0)


def test_there_is_room_for_all_that_may_wait() -> None:
    assert body_room(1000, 16).bytes == 64 << 20
    assert body_room(100 << 20, 16).bytes == 20 * (100 << 20)


def test_requests_follow_one_another_however_their_bodies_come(server: TailServer, tail: SpokenTail) -> None:
    """A body that comes in two pieces is not parsed, and what follows it, at once or later, is the next request."""
    content = raw_request(tail, zeros(tail))
    for cut in (content.index(b"\r\n\r\n") + 4, content.index(b"\r\n\r\n") + 9, len(content) - 1):
        with open_socket(server) as link:
            link.sendall(content[:cut])
            time.sleep(0.05)
            link.sendall(content[cut:] + content + content[:cut])
            time.sleep(0.05)
            link.sendall(content[cut:] + b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said = until_closed(link)
        assert [int(part[1:4]) for part in said.split(b"HTTP/1.1")[1:]] == [200] * 4


def test_what_is_refused_for_its_json_leaves_the_connection(server: TailServer, tail: SpokenTail) -> None:
    """Though its JSON was read before its payloads were there."""
    content = raw_request(tail, zeros(tail))
    other = content.replace(tail.spoken_weights.encode(), b"0" * 16)
    with open_socket(server) as link:
        for sent, status in ((other, 409), (content, 200)):
            link.sendall(sent[:-1])
            time.sleep(0.05)
            link.sendall(sent[-1:])
            assert status_of(link.recv(1 << 16)) == status
    assert server.endpoints.room.taken == 0
