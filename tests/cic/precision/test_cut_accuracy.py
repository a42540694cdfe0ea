"""Payload and error that a table states are those of the emitted halves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from cic.codec.registry import codec
from cic.codec.tensors import tensor_of
from cic.decision.splitting_model import SplittingModel


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
