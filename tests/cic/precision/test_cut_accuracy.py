"""What a table states of its cuts is what their emitted halves do, and no cut is run further than its verdict takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from cic.codec.registry import codec
from cic.codec.tensors import tensor_of
from cic.decision.splitting_model import SplittingModel
from cic.precision.accuracy import judge, parse_target
from cic.precision.calibration import calibration_of
from cic.precision.cut_accuracy import examiner
from cic.precision.early_verdict import sure_miss
from cic.precision.model_runner import runner_of


def test_stated_payload_and_error_are_those_of_the_emitted_halves(
    compiled: SplittingModel, network: nn.Module, images: torch.Tensor, tmp_path: Path
) -> None:
    cuts = [cut for cut in compiled.cuts if cut.offloads and any(not codec(name).lossless for name in cut.codecs)]
    cic.emit(network, compiled, tmp_path / "split", cuts=sorted({cut.id for cut in cuts}))
    assert cuts
    with torch.no_grad():
        whole = network(images)
        for cut in cuts:
            halves, answers, sizes = cic.load_cut(tmp_path / "split", cut.id), [], []
            for image in images:
                sent = halves.head(image[None])
                received, size = [], 0
                for wire, value in zip(halves.crossing, sent, strict=True):
                    used = codec(cut.codec_of[wire.name])
                    payload = used.encode(value, wire.name)
                    size += len(payload)
                    received.append(tensor_of(used.decode(payload, wire.shape, wire.dtype, wire.name), wire.dtype))
                answers.append(halves.tail(*received))
                sizes.append(size)
            error = float((torch.cat(answers) - whole).norm() / whole.norm())
            assert cut.accuracy is not None
            assert error == pytest.approx(cut.accuracy["error"], rel=0.02)
            assert sum(sizes) / len(sizes) == pytest.approx(cut.upload_bytes, rel=0.05)


@pytest.mark.parametrize("text", ["top1>=0.8", "rel<=0.0001"])
def test_a_cut_is_run_no_further_than_its_verdict_is_open(network: nn.Module, images: torch.Tensor, text: str) -> None:
    """After every op under two codecs: as judged on all samples, with fewer of them run where the target is missed."""
    traced = cic.trace_model(network, (images[:1],))
    calibration, target = calibration_of(traced, [images]), parse_target(text)
    alone = replace(examiner(runner_of(traced), calibration, target), together=1)
    ops, stopped, met = traced.graph.ops, 0, 0
    for count in range(1, len(ops)):
        head = frozenset(node for op in ops[:count] for node in op.members)
        # No number of these samples shows anything at the lower level.
        codecs, level = dict.fromkeys(traced.graph.crossable, ["int4", "int8"][count % 2]), [1e-4, 0.05][count // 2 % 2]
        answers = alone.answers(head, codecs)
        missed = sure_miss(target, alone.whole, None, level, alone.order)
        assert missed is not None
        told = [missed([answers[number]]) for number in alone.order]
        part = alone._answers(head, codecs, sure_miss(target, alone.whole, None, level, alone.order))
        assert list(part) == list(alone.order[: 1 + told.count(False)])
        reached = alone.reached(head, codecs, level)
        assert reached.met == judge(target, answers, alone.whole, None, level).met
        assert all(torch.equal(answer[0], answers[number][0]) for number, answer in part.items())
        assert len(part) == len(images) or not reached.met
        stopped += len(part) < len(images)
        met += reached.met
    assert stopped and met, (stopped, met)
