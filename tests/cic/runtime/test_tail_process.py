"""A tail answers every request that is one, says of any other what is wrong with it, and serves whoever comes next."""

from __future__ import annotations

import dataclasses
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from benchmarks.trust.attack import peers
from benchmarks.trust.attack.sound_transforms import transform_of
from cic.codec.crossing import cross
from cic.codec.registry import codec
from cic.errors import LinkError
from cic.runtime import tail_process
from cic.runtime.paced_link import MARK, Link, Pacing
from cic.runtime.tail_process import load_tail, main, serve, serve_all
from cic.runtime.wire import Message, decode, encode, identity, largest_message_bytes
from codegen.loading import LoadedCut
from tests.cic.conftest import Project
from tests.cic.runtime.small_split import whole_answer
from tests.cic.runtime.stored_transforms import with_contents


def test_a_tail_decodes_each_tensor_under_the_codec_named(
    project: Project, image: torch.Tensor, links: tuple[Link, Link]
) -> None:
    device, server = links
    cut = load_tail(str(project.split), "server-only", "torchscript")
    thread = threading.Thread(target=serve, args=(cut, server))
    thread.start()
    for number, name in enumerate(("raw", "int8+zlib", "fp16"), start=1):
        device.send(encode(Message("run", number, (image,), codecs=(name,), names=("image",))))
        reply = decode(device.receive(wait_s=20), cut.returned)
        assert (reply.kind, reply.number) == ("answer", number)
        assert torch.allclose(reply.tensors[0], whole_answer(project, cross(image, name)[0]), rtol=1e-4, atol=1e-5)
    device.close()
    thread.join(20)


def test_a_tail_decodes_under_transforms_of_its_own_bundle_alone(project: Project, image: torch.Tensor, tmp_path: Path) -> None:
    """What a peer names is looked up here: another transform, or one of another tensor, is answered by a failure."""
    used, own = transform_of(3)
    _, wider = transform_of(7)
    stranger, strange = transform_of(3, seed=1)
    cut = load_tail(str(with_contents(project.split, tmp_path / "small.split", own | wider)), "server-only", "torchscript")

    def asked(number: int, name: str, stored: dict[str, bytes]) -> Message:
        payload = bytes(codec(name, stored).encode(image))
        header = {"kind": "run", "number": number, "tensors": [["float32", [1, 3, 64, 64]]], "codecs": [[name, len(payload)]]}
        text = json.dumps(header).encode()
        device.send([struct.pack("<I", len(text)), text, payload])
        return decode(device.receive(wait_s=20), cut.returned)

    with serving(cut) as connect, connect() as device:
        reply = asked(1, used.name, own)
        assert reply.kind == "answer"
        expected = whole_answer(project, cross(image, used.name, stored=own)[0])
        assert torch.allclose(reply.tensors[0], expected, rtol=1e-4, atol=1e-5)
        assert len(bytes(used.encode(image))) < 0.5 * 4 * image.numel()
        unknown = asked(2, stranger.name, strange)
        assert unknown.kind == "failure" and f"{next(iter(strange))} are stored here" in unknown.text
        # As they are, a payload of any transform has the same bytes.
        header = {"kind": "run", "number": 3, "tensors": [["float32", [1, 3, 64, 64]]]}
        header["codecs"] = [[f"transform-0.05@{next(iter(wider))}", 1 + 4 * image.numel()]]
        text = json.dumps(header).encode()
        device.send([struct.pack("<I", len(text)), text, b"\1", image.numpy().tobytes()])
        failure = decode(device.receive(wait_s=20), cut.returned)
        assert failure.kind == "failure" and "was made for another tensor" in failure.text
        assert asked(4, used.name, own).kind == "answer"


@pytest.fixture
def links() -> Iterator[tuple[Link, Link]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with Link(near, Pacing(patience_s=10)) as device, Link(far, Pacing(patience_s=10)) as server:
        yield device, server


def test_the_tail_answers_until_the_device_leaves(project: Project, image: torch.Tensor, links: tuple[Link, Link]) -> None:
    device, server = links
    cut = load_tail(str(project.split), "server-only", "torchscript")
    assert cut.head_runner is None
    thread = threading.Thread(target=serve, args=(cut, server))
    thread.start()
    for number in (5, 6):
        device.send(encode(Message("run", number, (image,))))
        reply = decode(device.receive(wait_s=20), cut.returned)
        assert (reply.kind, reply.number) == ("answer", number)
        assert torch.allclose(reply.tensors[0], whole_answer(project, image), rtol=1e-4, atol=1e-5)
    device.close()
    thread.join(20)
    assert not thread.is_alive()


def test_a_tail_that_fails_says_so_and_goes_on(project: Project, image: torch.Tensor, links: tuple[Link, Link]) -> None:
    device, server = links
    cut = load_tail(str(project.split), "server-only", "torchscript")
    good, calls = cut.tail_runner, []

    def fails_once(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        calls.append(tensors)
        if len(calls) == 1:
            raise RuntimeError("out of memory")
        assert good is not None
        return good(*tensors)

    object.__setattr__(cut, "tail_runner", fails_once)
    thread = threading.Thread(target=serve, args=(cut, server))
    thread.start()
    device.send(encode(Message("run", 1, (image,))))
    failure = decode(device.receive(wait_s=20), cut.returned)
    assert failure.kind == "failure" and "out of memory" in failure.text
    device.send(encode(Message("run", 2, (image,))))
    assert decode(device.receive(wait_s=20), cut.returned).kind == "answer"
    device.close()
    thread.join(20)


@contextmanager
def serving(cut: LoadedCut) -> Iterator[Callable[[], Link]]:
    """A server of that tail in this process; yields what connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = (cut, listener, lambda connection: Link(connection, Pacing(patience_s=10)), 0.2)
        thread = threading.Thread(target=serve_all, args=arguments)
        thread.start()
        yield lambda: Link(socket.create_connection(listener.getsockname()), Pacing(patience_s=10))
        thread.join(20)
        assert not thread.is_alive()


def assert_answers(cut: LoadedCut, device: Link, image: torch.Tensor) -> None:
    device.send(encode(Message("run", 77, (image,))))
    reply = decode(device.receive(wait_s=20), cut.returned)
    assert (reply.kind, reply.number) == ("answer", 77)


@pytest.mark.parametrize(
    "message", [Message("answer", 1, (torch.zeros(1, 3, 64, 64),)), Message("failure", 1), Message("run", 1)]
)
def test_what_is_no_request_is_answered_by_a_failure_and_the_next_one_is_served(
    tail: LoadedCut, image: torch.Tensor, message: Message
) -> None:
    with serving(tail) as connect, connect() as device:
        device.send(encode(message))
        failure = decode(device.receive(wait_s=20), tail.returned)
        assert failure.kind == "failure" and ("expected is 'run'" in failure.text or "the manifest has" in failure.text)
        assert_answers(tail, device, image)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        MARK + b"\x10",
        MARK + (5000).to_bytes(4, "little"),
        MARK + (5000).to_bytes(4, "little") + b"short",
        MARK + b"\xff\xff\xff\x7f",
    ],
)
def test_a_broken_connection_harms_no_other(
    tail: LoadedCut, image: torch.Tensor, nonsense: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tail) as connect, connect() as before:
        assert_answers(tail, before, image)
        with connect() as peer:
            peer._connection.sendall(nonsense)
        with connect() as after:
            assert_answers(tail, after, image)
        assert_answers(tail, before, image)
    # Only an end between two frames is how a conversation ends.
    assert capsys.readouterr().err.count("a connection was closed: ") == bool(nonsense)


def test_who_says_nothing_keeps_nobody_else_waiting(tail: LoadedCut, image: torch.Tensor) -> None:
    with serving(tail) as connect, connect(), connect() as slow, connect() as device:
        slow._connection.sendall(MARK)
        assert_answers(tail, device, image)


def test_when_all_places_are_taken_one_that_is_silent_leaves(
    tail: LoadedCut, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tail_process, "_MOST_CONNECTIONS", 2)
    monkeypatch.setattr(tail_process, "_SILENT_S", 0.1)
    with serving(tail) as connect, connect() as first, connect() as second:
        assert_answers(tail, first, image)
        # Longer than it takes to be silent: nobody needs the place.
        time.sleep(0.25)
        for device in (first, second):
            assert_answers(tail, device, image)
        with connect() as third:
            assert_answers(tail, third, image)
            left = [device for device in (first, second) if _has_left(device)]
            assert len(left) == 1
            assert_answers(tail, first if left == [second] else second, image)
    assert "a connection was closed: nothing came for 0.1 s while waiting for a frame" in capsys.readouterr().err


def _has_left(device: Link) -> bool:
    """Has the other side of a connection on which nothing is to come closed it?"""
    device._connection.settimeout(0.3)
    try:
        return device._connection.recv(1) == b""
    except TimeoutError:
        return False


def test_eight_bytes_take_no_memory(tail: LoadedCut, links: tuple[Link, Link]) -> None:
    device, server = links
    device._connection.sendall(MARK + (2**31 - 1).to_bytes(4, "little"))
    with pytest.raises(LinkError, match=f"2147483647 bytes, at most {largest_message_bytes(tail.crossing)} are accepted"):
        serve(tail, server)
    assert largest_message_bytes(tail.crossing) < 3 * 64 * 64 * 4 + 200_000


@pytest.mark.parametrize("error", [IndexError("index out of range in self"), ValueError("shape"), MemoryError(), KeyError("x")])
def test_a_tail_may_fail_with_any_error(
    tail: LoadedCut, image: torch.Tensor, links: tuple[Link, Link], error: Exception
) -> None:
    """Ids out of range are an IndexError of a program of torch.export, and other operators raise others."""

    def fails(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise error

    device, server = links
    cut = dataclasses.replace(tail, tail_runner=fails)
    thread = threading.Thread(target=serve, args=(cut, server))
    thread.start()
    for number in (1, 2):
        device.send(encode(Message("run", number, (image,))))
        failure = decode(device.receive(wait_s=20), cut.returned)
        assert (failure.kind, failure.number) == ("failure", number) and type(error).__name__ in failure.text
    device.close()
    thread.join(20)


def test_peers_that_send_what_nobody_would(tail: LoadedCut) -> None:
    server = peers.attack_server(tail, 40, seed=7, longest_s=20, idle_s=3)
    for tally in (server, peers.attack_device(tail, 40, seed=7, longest_s=20)):
        assert not tally.faults
        assert tally.endings["LinkError"] > 20


def test_the_tail_process_ends_with_one_line(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--directory", str(project.split), "--cut", "cut-77"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("cic: tail of cut-77: ") and captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_tail_of_another_training_is_found_out_before_anything_is_asked(tail: LoadedCut, image: torch.Tensor) -> None:
    mine = identity(tail.manifest, tail.id)
    for other in (
        dataclasses.replace(tail.manifest, weights_digest="0" * 64),
        dataclasses.replace(tail.manifest, model_digest="0" * 64),
    ):
        with serving(tail) as connect, connect() as device:
            device.send(encode(Message("greet", 0, text=identity(other, tail.id))))
            failure = decode(device.receive(wait_s=20), tail.returned)
            assert failure.kind == "failure" and "the device has the head of" in failure.text and mine in failure.text
            device.send(encode(Message("greet", 0, text=mine)))
            assert decode(device.receive(wait_s=20), tail.returned).text == mine
