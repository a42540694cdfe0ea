"""Halves of torch run on the threads and the device that they are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import fx, nn

from cic.engine.torch_programs import exported_program, torchscript
from cic.errors import EngineError
from codegen.formats.exported_program import ExportedProgramEmitter
from codegen.formats.torchscript import TorchScriptEmitter
from codegen.split import WireTensor

WIRE = WireTensor("x", (2, 3), "float32", 24)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.last(x) + torch.zeros_like(x), x[:1]


@pytest.fixture(params=["torchscript", "exported_program"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    emitter = TorchScriptEmitter() if request.param == "torchscript" else ExportedProgramEmitter()
    path = tmp_path / f"half{emitter.suffix}"
    emitter.write(fx.symbolic_trace(Plain().eval()), [torch.ones(2, 3)], path)
    return request.param, path


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_threads_are_those_that_were_asked_for(written: tuple[str, Path], threads: int):
    kind, path = written
    loader = (torchscript if kind == "torchscript" else exported_program)("cpu", threads + 1)
    run = loader.load(path, [WIRE], optimize=True)
    torch.set_num_threads(threads)
    run(np.ones((2, 3), np.float32))
    assert torch.get_num_threads() == threads + 1


@pytest.mark.parametrize("place", ["cuda:7", "nowhere", "meta"])
def test_a_device_that_is_not_here_is_refused(place: str):
    for loader in (torchscript, exported_program):
        with pytest.raises(EngineError, match=rf"torch \S+ has no device '{place}' here: ."):
            loader(place, 1)


def test_the_way_to_a_card_and_back_changes_nothing(written: tuple[str, Path]):
    """ "cpu:0" is the processor in a card's place: the program is moved there, tensors go there and come back."""
    kind, path = written
    made = torchscript if kind == "torchscript" else exported_program
    x = np.random.default_rng(0).random((2, 3), np.float32)
    here, there = (made(place, 1).load(path, [WIRE], optimize=True)(x) for place in ("cpu", "cpu:0"))
    for ours, theirs in zip(here, there, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no card here")
def test_a_card_answers_what_the_processor_answers(written: tuple[str, Path]):
    kind, path = written
    made = torchscript if kind == "torchscript" else exported_program
    x = np.random.default_rng(0).random((2, 3), np.float32)
    here, there = (made(place, 1).load(path, [WIRE], optimize=True)(x) for place in ("cpu", "cuda"))
    for ours, theirs in zip(here, there, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
