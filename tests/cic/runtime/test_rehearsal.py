"""A cut at work in two processes."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import cic
from benchmarks.trust.attack.sound_transforms import transform_of
from cic.codec.form_codec import FormCodec
from cic.codec.registry import codec
from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.errors import ArtifactError, CodecError, LinkError
from cic.runtime.paced_link import MARK, Link, Pacing
from cic.runtime.rehearsal import Rehearsal
from cic.runtime.tail_process import load_tail
from cic.runtime.wire import Message, encode
from tests.cic.conftest import Project
from tests.cic.runtime.small_split import FAST, whole_answer
from tests.cic.runtime.stored_transforms import with_contents


def joined(message: Message) -> bytes:
    return b"".join(map(bytes, encode(message)))


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


def test_a_transform_of_the_bundle_codes_a_crossing_tensor(
    project: Project, model: cic.SplittingModel, image: torch.Tensor, tmp_path: Path
) -> None:
    used, stored = transform_of(3)
    split = with_contents(project.split, tmp_path / "small.split", stored)
    with Rehearsal(split, model.cut_by_id["server-only"], FAST, codecs={"image": used.name}) as session:
        inputs = session.flatten((image,), {})
        answer, timing = session.infer(inputs)
        assert session.error_against_one_process(inputs, answer) <= 1e-5
    assert timing.sent_bytes < 200 + used.largest_bytes((1, 3, 64, 64), "float32") / 2
    expected = whole_answer(project, image)
    assert 1e-5 < float((answer - expected).norm() / expected.norm()) < 0.1
    with pytest.raises(CodecError, match=rf"none with the SHA-256 {next(iter(stored))} are stored here"):
        Rehearsal(project.split, model.cut_by_id["server-only"], FAST, codecs={"image": used.name})


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
        assert session._far is not None
        session._far._link.close()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            session._far._link = Link(socket.create_connection(listener.getsockname()), Pacing(patience_s=10))
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
