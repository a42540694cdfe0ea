"""A server that replies what no server would: heads and JSON changed, bytes lost, lengths that lie, and streams without end.

    OMP_NUM_THREADS=1 python -m benchmarks.trust.attack.replies       # writes benchmarks/results/attack_replies.json

3,000 damaged replies to a device's request, and some that never end. Each must be an error of ours or the right answer, in
little memory; a reply that was damaged where it says nothing of the answer may be right.
"""

from __future__ import annotations

import json
import random
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

import cic
from benchmarks.harness.report import shared_options
from benchmarks.trust.attack.attacked_call import LONGEST_S, attacked, watched
from benchmarks.trust.attack.mutations import mutated_bytes, mutated_json
from benchmarks.trust.attack.tally import Tally, publish
from cic.protocol.spoken_tail import largest_answer_bytes
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
from cic.session.remote_server import Answered, RemoteServer
from cic.session.server_address import server_address
from codegen.manifest import Manifest, read_manifest

_WAIT_S = 1.0
_MIB = 1 << 20
# A stream that is not ended by the device is ended here; so much memory must not be taken.
_STREAM_BYTES = 512 * _MIB
Reply = Iterator[bytes]


def main() -> None:
    parser = shared_options(__doc__)
    parser.add_argument("--count", type=int, default=3000, help="damaged replies")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, victim(Path(folder)) as device:
        tallies = [attack_by_damage(device, options.count, seed=0), attack_by_streams(device)]
    if not publish("attack_replies", tallies, options.results):
        raise SystemExit("replies: not all ended as they must")


class Device:
    """The part of a session that asks a server, and a server that replies to it as it is told; otherwise as a sound one."""

    def __init__(self, manifest: Manifest, sound: tuple[str, int], listening: socket.socket) -> None:
        self._sound, self._listening = sound, listening
        host, port = listening.getsockname()
        self._server = RemoteServer(server_address(f"http://{host}:{port}"), manifest, "attacked")
        self._picture = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
        self.reply: Callable[[], Reply] | None = None
        self.said = b""
        threading.Thread(target=self._serve, daemon=True).start()
        self._served = self._server.learn("server-only", {}, 10.0)
        self.expected = self.ask().outputs
        self.declared_bytes = 2 * largest_answer_bytes(self._served.tail)

    def ask(self) -> Answered:
        """Ask for the tail, and wait for a second."""
        coded = self._server.encode(self._served.tail, [self._picture], ())
        return self._server.ask(self._served.tail, "attacked", coded, wait_s=_WAIT_S)

    def ask_damaged(self, reply: Callable[[], Reply]) -> None:
        """Ask, and get that reply; ValueError if it is taken for another answer than the right one."""
        self.reply = reply
        try:
            answered = self.ask()
        finally:
            self.reply = None
        if not all(map(np.array_equal, answered.outputs, self.expected)):
            raise ValueError("the answer is wrong")

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(link,), daemon=True).start()

    def _talk(self, link: socket.socket) -> None:
        with link, suppress(OSError), socket.create_connection(self._sound) as behind:
            while request := _message(link):
                if request.startswith(b"POST") and self.reply is not None:
                    for piece in self.reply():
                        link.sendall(piece)
                    return
                behind.sendall(request)
                self.said = _message(behind)
                link.sendall(self.said)


def _message(link: socket.socket) -> bytes:
    """A whole message of HTTP with a Content-Length or no body."""
    got = bytearray()
    while (end := got.find(b"\r\n\r\n")) < 0:
        if not (piece := link.recv(1 << 16)):
            return b""
        got += piece
    lines = bytes(got[:end]).lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(got) < end + 4 + length:
        if not (piece := link.recv(1 << 16)):
            return b""
        got += piece
    return bytes(got)


@contextmanager
def victim(folder: Path) -> Iterator[Device]:
    """A device that has had a right answer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)).eval()
    splitting_model = cic.compile(model, (torch.rand(1, 3, 32, 32),), device="raspberry-pi-4", server="epyc-7742")
    bundle = folder / "attacked.split"
    cic.emit(model, splitting_model, bundle, formats=["onnx"])
    with ExitStack() as stack:
        server = stack.enter_context(TailServer(bundle, ServerOptions(port=0, grace_s=1)))
        host, _, port = server.address.removeprefix("http://").rpartition(":")
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        device = Device(read_manifest(bundle), (host, int(port)), listening)
        stack.callback(device.close)
        yield device


def attack_by_damage(device: Device, count: int, seed: int, longest_s: float = LONGEST_S) -> Tally:
    """Replies with their head, their JSON or any byte changed, and closed thereafter."""
    draw, tally = random.Random(seed), Tally("device", longest_s)
    device.ask()
    head, _, body = device.said.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"inference-header"))
    text, payload = body[:length], body[length:]
    with watched():
        for number in range(count):
            part = draw.choice(("head", "json", "json", "text", "whole"))
            if part == "json":
                value, way = mutated_json(json.loads(text), draw, draw.choice((1, 1, 2, 5)))
                changed = json.dumps(value).encode("utf-8", "surrogatepass")
                sent = _with_lengths(head, len(changed), len(changed) + len(payload)) + changed + payload
            elif part == "head":
                changed, way = mutated_bytes(head, draw)
                sent = changed + b"\r\n\r\n" + body
            elif part == "text":
                changed, way = mutated_bytes(text, draw)
                sent = _with_lengths(head, len(changed), len(changed) + len(payload)) + changed + payload
            else:
                # The values are not protected: TCP and TLS see to them.
                sent, way = mutated_bytes(device.said[: len(head) + 4 + length], draw)
                sent += payload
            outcome = attacked(lambda sent=sent: device.ask_damaged(lambda: iter([sent])))
            tally.add(outcome, device.declared_bytes, f"{number} {part}: {way}")
            if number % 50 == 0:
                device.ask()
    return tally


def _with_lengths(head: bytes, text: int, whole: int) -> bytes:
    lines = []
    for line in head.split(b"\r\n"):
        name = line.partition(b":")[0]
        lengths = {b"inference-header-content-length": text, b"content-length": whole}
        lines.append(name + b": %d" % lengths[name.lower()] if name.lower() in lengths else line)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def attack_by_streams(device: Device, longest_s: float = LONGEST_S + _WAIT_S) -> Tally:
    """Replies that never end; the device must end them, by their size or by its deadline."""
    tally = Tally("device, streams", longest_s)
    begin = b"HTTP/1.1 200 OK\r\n"
    chunked = begin + b"Transfer-Encoding: chunked\r\n\r\n"
    streams = {
        "a body of 10 TB": (begin + b"Content-Length: 9999999999999\r\n\r\n", b"x" * 65536),
        "a body without length": (begin + b"\r\n", b"x" * 65536),
        "chunks": (chunked, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        "chunks of a byte": (chunked, b"1\r\nx\r\n" * 10_000),
        "a chunk of 2 GB": (chunked + b"7fffffff\r\n", b"x" * 65536),
        "a chunk of less than nothing": (chunked + b"-1\r\n", b"x" * 65536),
        "a chunk of much less than nothing": (chunked + b"-7fffffff\r\n", b"x" * 65536),
        "a chunk whose extension never ends": (chunked + b"1;", b"x" * 65536),
        "trailers": (chunked + b"0\r\n", b"X: y\r\n" * 10_000),
        "a status line": (b"HTTP/1.1 200 ", b"O" * 65536),
        "a header line": (begin + b"X: ", b"y" * 65536),
        "header lines": (begin, b"X: y\r\n" * 10_000),
        "a folded header": (begin + b"X: y", b"\r\n " * 10_000),
        "Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
        "Continue with headers": (b"", b"HTTP/1.1 100 Continue\r\n" + b"X: y\r\n" * 90 + b"\r\n"),
    }
    with watched():
        for name, (first, rest) in streams.items():

            def endless(first: bytes = first, rest: bytes = rest) -> Reply:
                yield first
                for _ in range(_STREAM_BYTES // len(rest)):
                    yield rest

            outcome = attacked(lambda endless=endless: device.ask_damaged(endless))
            tally.add(outcome, device.declared_bytes, name)
            if outcome.ending == "answered":
                tally.faults.append(f"{name}: taken for an answer")
            device.ask()
    return tally


if __name__ == "__main__":
    main()
