"""A cut at work in two processes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import cic
from benchmarks.trust.attack import peers
from cic.codec.crossing import cross
from cic.codec.form_codec import FormCodec
from cic.codec.registry import codec
from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.emission.bundle_check import check_bundle, emitted_cuts
from cic.errors import ArtifactError, CodecError, LinkError
from cic.inputs.photo import read_photo, sample_photo
from cic.runtime import rehearsal as rehearsal_module
from cic.runtime import tail_process
from cic.runtime.paced_link import MARK, Link, Pacing
from cic.runtime.rehearsal import Rehearsal
from cic.runtime.tail_process import load_tail, main, serve, serve_all
from cic.runtime.wire import Message, decode, encode, identity, largest_message_bytes
from codegen.loading import LoadedCut
from codegen.manifest import signed
from tests.cic.conftest import Project, run_cic

FAST = Conditions(1e9, 1e9, 0.0)


@pytest.fixture
def model(project: Project) -> cic.SplittingModel:
    return cic.load(project.file)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(1, 3, 64, 64)


def joined(message: Message) -> bytes:
    return b"".join(map(bytes, encode(message)))


def whole_answer(project: Project, image: torch.Tensor) -> torch.Tensor:
    return cic.load_cut(project.split, "device-only").head(image)[0]


def test_every_cut_gives_the_answer_of_the_whole(project: Project, model: cic.SplittingModel, image: torch.Tensor) -> None:
    expected = whole_answer(project, image)
    assert float(expected.abs().max()) > 1e-3
    for cut in model.cuts:
        with Rehearsal(project.split, cut, FAST) as session:
            inputs = session.flatten((image,), {})
            session.warm_up(inputs)
            answer, timing = session.infer(inputs)
            assert session.error_against_one_process(inputs, answer) <= 1e-5
        assert torch.allclose(answer, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
        parts = (timing.device_s, timing.uplink_s, timing.server_s, timing.downlink_s, timing.rtt_s)
        assert min(parts) > -1e-9
        assert sum(parts) == pytest.approx(timing.latency_s, abs=1e-6)
        assert timing.sent_bytes >= cut.upload_bytes and timing.received_bytes >= cut.download_bytes


@pytest.mark.parametrize("name", ["raw+zstd", "int8-channel", "int4-clip+zlib"])
def test_crossing_tensors_are_coded(project: Project, model: cic.SplittingModel, image: torch.Tensor, name: str) -> None:
    expected = whole_answer(project, image)
    cut = next(cut for cut in model.cuts if cut.offloads and cut.id != "server-only")
    crossing = {wire.name: wire for wire in load_tail(str(project.split), cut.id, "torchscript").crossing}
    with Rehearsal(project.split, cut, FAST, codecs=dict.fromkeys(crossing, name)) as session:
        inputs = session.flatten((image,), {})
        session.warm_up(inputs)
        answer, timing = session.infer(inputs)
        # The other process decoded exactly what this one would.
        assert session.error_against_one_process(inputs, answer) <= 1e-5
    error = float((answer - expected).norm() / expected.norm())
    assert error <= (1e-5 if codec(name).lossless else 0.02 if "int8" in name else 0.3)
    assert (error > 1e-5) or codec(name).lossless
    largest = sum(1 + codec(name).form.body_bytes(wire.shape, wire.dtype) for wire in crossing.values())
    assert timing.sent_bytes <= largest + 200
    assert timing.sent_bytes < sum(wire.bytes for wire in crossing.values())
    assert cut.download_bytes <= timing.received_bytes <= cut.download_bytes + 200
    parts = (timing.device_s, timing.uplink_s, timing.server_s, timing.downlink_s, timing.rtt_s)
    assert min(parts) > -1e-9
    assert sum(parts) == pytest.approx(timing.latency_s, abs=1e-6)


def test_coding_counts_as_work_of_the_two_sides(
    project: Project, model: cic.SplittingModel, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one side takes longer to encode is found in device_s, and nowhere else."""

    def slow(self: FormCodec, *arguments: Any) -> Any:
        time.sleep(0.2)
        return quick(self, *arguments)

    quick = FormCodec.encode
    with Rehearsal(project.split, model.cut_by_id["server-only"], FAST, codecs={"image": "int8"}) as session:
        inputs = session.flatten((image,), {})
        session.warm_up(inputs)
        monkeypatch.setattr(FormCodec, "encode", slow)
        _, timing = session.infer(inputs)
    assert timing.device_s > 0.2 > 5 * timing.uplink_s


def test_codecs_that_do_not_fit_are_refused_before_anything_is_sent(project: Project, model: cic.SplittingModel) -> None:
    cut = model.cut_by_id["server-only"]
    with pytest.raises(CodecError, match="codecs names the tensor 'picture', which does not"):
        Rehearsal(project.split, cut, FAST, codecs={"picture": "int8"})
    with pytest.raises(CodecError, match="there is no codec 'int3'"):
        Rehearsal(project.split, cut, FAST, codecs={"image": "int3"})
    with pytest.raises(CodecError, match="nothing crosses there"):
        Rehearsal(project.split, model.cut_by_id["device-only"], FAST, codecs={"image": "int8"})


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


def test_links_take_their_time_both_ways(project: Project, model: cic.SplittingModel, image: torch.Tensor) -> None:
    cut = model.cut_by_id["server-only"]
    with Rehearsal(project.split, cut, Conditions(2e6, 4e3, 0.04)) as session:
        inputs = session.flatten((image,), {})
        session.warm_up(inputs)
        _, timing = session.infer(inputs)
    assert timing.rtt_s == 0.04
    assert timing.uplink_s >= 8 * cut.upload_bytes / 2e6
    assert timing.downlink_s >= 8 * cut.download_bytes / 4e3
    assert timing.latency_s >= cut.latency_s(Conditions(2e6, 4e3, 0.04, 1e-9, 1e-9))


def test_device_only_starts_no_process(
    project: Project, model: cic.SplittingModel, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(rehearsal_module, "ServerProcess", refuse)
    with Rehearsal(project.split, model.cut_by_id["device-only"], FAST) as session:
        inputs = session.flatten((image,), {})
        session.warm_up(inputs)
        answer, timing = session.infer(inputs)
    assert torch.equal(answer, whole_answer(project, image))
    assert timing.device_s == timing.latency_s > 0


def test_a_server_that_dies_is_told(project: Project, model: cic.SplittingModel, image: torch.Tensor) -> None:
    with Rehearsal(project.split, model.cut_by_id["server-only"], FAST, patience_s=20.0) as session:
        inputs = session.flatten((image,), {})
        session.infer(inputs)
        assert session._server is not None
        session._server._process.kill()
        session._server._process.wait()
        with pytest.raises(LinkError, match=r"closed the connection|broke"):
            session.infer(inputs)


def test_a_server_that_cannot_start_says_why(project: Project, model: cic.SplittingModel, tmp_path: Path) -> None:
    split = tmp_path / "damaged.split"
    shutil.copytree(project.split, split)
    tail = split / "server-only" / "tail.ts"
    content = bytearray(tail.read_bytes())
    content[len(content) // 2] ^= 1
    tail.write_bytes(content)
    with pytest.raises(LinkError, match=r"did not start: .*tail\.ts has SHA-256"):
        Rehearsal(split, model.cut_by_id["server-only"], FAST)
    tail.unlink()
    with pytest.raises(LinkError, match=r"did not start: .*tail\.ts is missing"):
        Rehearsal(split, model.cut_by_id["server-only"], FAST)


def test_head_and_bundle_are_checked_before_anything_runs(
    project: Project, model: cic.SplittingModel, image: torch.Tensor, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="nowhere"):
        Rehearsal(tmp_path / "nowhere", model.cut_by_id["device-only"], FAST)
    unknown = Cut("cut-77", (1, 0, 0, 0, 0), lambda: ((), ()))
    with pytest.raises(ArtifactError, match="cut-77"):
        Rehearsal(project.split, unknown, FAST)
    with Rehearsal(project.split, model.cut_by_id["device-only"], FAST) as session:
        with pytest.raises(ArtifactError, match="compiled"):
            session.flatten((image, image), {})
        with pytest.raises(ArtifactError, match="shape"):
            session.infer(session.flatten((image[..., :32],), {}))


def test_a_bundle_of_another_model_or_time_is_refused(project: Project, model: cic.SplittingModel, tmp_path: Path) -> None:
    check_bundle(model, project.split, list(model.cut_by_id))
    assert emitted_cuts(model, project.split) == set(model.cut_by_id)
    machines = ("--device", "raspberry-pi-4", "--server", "v100")
    done = run_cic(
        "compile",
        "small_networks:Similar",
        "--input",
        "1x3x64x64",
        *machines,
        "-o",
        tmp_path / "similar.cic",
        cwd=project.directory,
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(ArtifactError, match="another model"):
        check_bundle(cic.load(tmp_path / "similar.cic"), project.split, ["device-only"])
    # The same cut ids, other cuts: the manifest says what it holds.
    split = tmp_path / "renamed.split"
    shutil.copytree(project.split, split)
    manifest = json.loads((split / "manifest.json").read_text())
    manifest["cuts"][-1]["device_ops"].pop()
    renamed = manifest["cuts"][-1]["id"]
    (split / "manifest.json").write_text(json.dumps(signed(manifest)))
    with pytest.raises(ArtifactError, match=renamed):
        check_bundle(model, split, [renamed])
    assert emitted_cuts(model, split) == set(model.cut_by_id) - {renamed}


# --------------------------------------------------------------------------------------------------- the server's side


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


@pytest.fixture(scope="module")
def tail(project: Project) -> LoadedCut:
    return load_tail(str(project.split), "server-only", "torchscript")


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


def test_the_device_refuses_what_no_server_answers(project: Project, model: cic.SplittingModel, image: torch.Tensor) -> None:
    """A peer in the server's place: each answer is refused with a reason, and a sound one after it is taken."""
    tail = load_tail(str(project.split), "server-only", "torchscript")
    good = tail.run_tail_flat((image,))
    answers: dict[bytes, str] = {
        joined(Message("answer", 1, good, seconds=1e6)): "it worked 1e[+]06 s, its answer came within",
        joined(Message("answer", 9, good)): "request 2 was answered by a message of kind 'answer' to number 9",
        joined(Message("run", 3, good)): "request 3 was answered by a message of kind 'run'",
        joined(Message("failure", 4, text="\x1b[2J" + "x" * 5000)): "failed on the server:  .2Jx{996}$",
        joined(Message("answer", 5)): "the manifest has 1 here",
    }
    with Rehearsal(project.split, model.cut_by_id["server-only"], FAST, patience_s=10) as session:
        inputs = session.flatten((image,), {})
        assert session._link is not None
        session._link.close()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            session._link = Link(socket.create_connection(listener.getsockname()), Pacing(patience_s=10))
            connection, _ = listener.accept()
        with Link(connection, Pacing(patience_s=10)) as peer:
            for content, told in answers.items():
                peer.send([content])
                with pytest.raises(LinkError, match=told):
                    session.infer(inputs)
                peer.receive()
            peer.send([joined(Message("answer", 6, good))])
            assert torch.equal(session.infer(inputs)[0], good[0])
            peer.receive()
            connection.sendall(MARK + b"\xff\xff\xff\x7f")
            for told in ("announced a frame of 2147483647 bytes, at most", "broke while sending"):
                with pytest.raises(LinkError, match=told):
                    session.infer(inputs)


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


# ------------------------------------------------------------------------------------------------------------ pictures


def test_the_photograph_is_normalised_and_fits() -> None:
    shown = read_photo(None, [(1, 3, 224, 160)])
    assert shown.shape == (1, 3, 224, 160) and shown.dtype == torch.float32 and shown.is_contiguous()
    # Pixels from 0 to 1, less the mean, over the deviation.
    assert -2.2 < float(shown.min()) < -1 < 1 < float(shown.max()) < 2.7
    assert float(shown.std()) > 0.5
    assert torch.equal(shown, read_photo(sample_photo(), [(1, 3, 224, 160)]))


def test_one_colour_stays_one_colour(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (50, 20), (255, 0, 51)).save(tmp_path / "red.png")
    shown = read_photo(tmp_path / "red.png", [(1, 3, 8, 8)])
    for channel, value, mean, deviation in zip(
        shown[0], (1, 0, 0.2), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True
    ):
        assert torch.allclose(channel, torch.full((8, 8), (value - mean) / deviation), atol=1e-5)


@pytest.mark.parametrize("shapes", [[(1, 128)], [(1, 1, 28, 28)], [(2, 3, 8, 8)], [(1, 3, 8, 8), (1, 3, 8, 8)], []])
def test_a_photograph_does_not_fit_every_model(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(cic.CicError, match="fits a model with one input"):
        read_photo(None, shapes)


def test_pictures_without_pillow_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(cic.CicError, match="pip install pillow"):
        read_photo(None, [(1, 3, 8, 8)])


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
