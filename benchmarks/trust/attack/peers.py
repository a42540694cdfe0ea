"""A peer that sends what no device and no server would: frames cut short, lengths and headers changed, payloads damaged.

    OMP_NUM_THREADS=1 python -m benchmarks.trust.attack.peers       # writes benchmarks/results/attack_peers.json

3,000 mutated requests, each followed by a sound one that the server must answer, and 3,000 mutated answers to a device, each
followed by a sound one. Declared are the tensors of the manifest, once as they come and once decoded.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

import cic
from benchmarks.harness.report import shared_options
from benchmarks.trust.attack.attacked_call import LONGEST_S, attacked, watched
from benchmarks.trust.attack.mutations import mutated_bytes, mutated_json
from benchmarks.trust.attack.sound_transforms import coded
from benchmarks.trust.attack.tally import Tally, publish
from cic.errors import LinkError
from cic.runtime.paced_link import MARK, Link, Pacing
from cic.runtime.tail_process import load_tail, serve_all
from cic.runtime.wire import Message, decode, encode, largest_message_bytes
from codegen.loading import LoadedCut
from codegen.split import WireTensor

_PATIENCE_S, _CODECS = 20.0, ("raw", "int8+zstd", "int4-channel+zlib", "fp16")


def main() -> None:
    parser = shared_options(__doc__)
    parser.add_argument("--count", type=int, default=3000, help="messages each way")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tail = _emitted_tail(Path(folder) / "bundle")
    tallies = [attack_server(tail, options.count, seed=0), attack_device(tail, options.count, seed=1)]
    if not publish("attack_peers", tallies, options.results):
        raise SystemExit("peers: not all ended as they must")


def _emitted_tail(folder: Path) -> LoadedCut:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)).eval()
    image = torch.rand(1, 3, 32, 32)
    splitting_model = cic.compile(model, (image,), device="raspberry-pi-4", server="epyc-7742")
    cic.emit(model, coded(splitting_model), folder)
    return load_tail(str(folder), "server-only", None)


def attack_server(tail: LoadedCut, count: int, seed: int, longest_s: float = LONGEST_S, idle_s: float = 20.0) -> Tally:
    """Mutated requests to a server in this process; a fault, too, is a sound request that gets no sound answer."""
    draw, tally = random.Random(seed), Tally("server", longest_s)
    tensors = tuple(torch.rand(wire.shape) for wire in tail.crossing)
    names = (*_CODECS, *(f"transform-0.05@{digest}" for digest in tail.codecs))
    expected = tail.run_tail_flat(tensors)
    with socket.create_server(("127.0.0.1", 0)) as listener, watched():
        arguments = (tail, listener, lambda connection: Link(connection, Pacing(patience_s=_PATIENCE_S)), idle_s)
        thread = threading.Thread(target=serve_all, args=arguments)
        thread.start()

        def connected() -> socket.socket:
            return socket.create_connection(listener.getsockname(), timeout=_PATIENCE_S)

        for number in range(count):
            codecs = tuple(draw.choice(names) for _ in tensors)
            sent, way = mutated_frame(_joined(Message("run", number, tensors, codecs=codecs), tail.codecs), draw)
            outcome = attacked(lambda sent=sent: _send(connected(), sent, tail))
            tally.add(outcome, 2 * _declared(tail.crossing, tail.returned), f"{number}: {way}")
            with Link(connected(), Pacing(patience_s=_PATIENCE_S)) as link:
                link.send(encode(Message("run", number, tensors)))
                reply = decode(link.receive(wait_s=_PATIENCE_S), tail.returned)
                if not all(map(torch.equal, reply.tensors, expected)):
                    tally.faults.append(f"{number}: {way}: the next request was answered otherwise")
        thread.join()
    return tally


def attack_device(tail: LoadedCut, count: int, seed: int, longest_s: float = LONGEST_S) -> Tally:
    """Mutated answers to a device, which reads them as a session does."""
    draw, tally = random.Random(seed), Tally("device", longest_s)
    tensors = tail.run_tail_flat(tuple(torch.rand(wire.shape) for wire in tail.crossing))
    with socket.create_server(("127.0.0.1", 0)) as listener, watched():
        for number in range(count):
            codecs = tuple(draw.choice(_CODECS) for _ in tensors)
            sent, way = mutated_frame(_joined(Message("answer", number, tensors, 0.5, codecs=codecs)), draw)
            peer = socket.create_connection(listener.getsockname())
            connection, _ = listener.accept()
            with Link(connection, Pacing(patience_s=_PATIENCE_S)) as link:
                sender = threading.Thread(target=_send_and_close, args=(peer, sent))
                sender.start()
                outcome = attacked(lambda link=link: _answer(link, tail))
            sender.join()
            tally.add(outcome, 2 * _declared(tail.returned), f"{number}: {way}")
    return tally


def mutated_frame(message: bytes, draw: random.Random) -> tuple[bytes, str]:
    """A frame with some of its parts changed: mark and length, header, or what follows; and how."""
    (length,) = struct.unpack_from("<I", message)
    header, rest = message[4 : 4 + length], message[4 + length :]
    part = draw.choice(("frame", "message", "header", "header", "header", "header text", "tensors"))
    if part == "frame":
        return mutated_bytes(MARK + struct.pack("<I", len(message)) + message, draw)
    if part == "message":
        message, way = mutated_bytes(message, draw)
    elif part == "tensors":
        rest, way = mutated_bytes(rest, draw)
        message = message[: 4 + length] + rest
    else:
        if part == "header":
            changed, way = mutated_json(json.loads(header), draw, draw.choice((1, 1, 2, 5)))
            header = json.dumps(changed).encode()
        else:
            header, way = mutated_bytes(header, draw)
        message = struct.pack("<I", len(header)) + header + rest
    return MARK + struct.pack("<I", len(message)) + message, f"{part}: {way}"


def _send(connection: socket.socket, sent: bytes, tail: LoadedCut) -> None:
    """Send it and read what comes back; a peer that closes is no fault of it."""
    with connection, suppress(OSError):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        with Link(connection, Pacing(patience_s=_PATIENCE_S)) as link:
            reply = decode(link.receive(wait_s=_PATIENCE_S), tail.returned)
        if reply.kind == "failure":
            raise LinkError(reply.text)


def _answer(link: Link, tail: LoadedCut) -> None:
    decode(link.receive(wait_s=_PATIENCE_S, largest_bytes=largest_message_bytes(tail.returned)), tail.returned)


def _send_and_close(peer: socket.socket, sent: bytes) -> None:
    with peer, suppress(OSError):
        peer.sendall(sent)


def _joined(message: Message, stored: Mapping[str, bytes] | None = None) -> bytes:
    return b"".join(map(bytes, encode(message, stored)))


def _declared(*borders: tuple[WireTensor, ...]) -> int:
    return sum(largest_message_bytes(border) for border in borders)


if __name__ == "__main__":
    main()
