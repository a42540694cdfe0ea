"""What a half of torch returns is the caller's, it refuses what it was not compiled for, and no alias in it is hidden."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from codegen.errors import CodegenError
from codegen.formats.torchscript import quiet_torchscript
from codegen.loading import load_cut
from tests.codegen.formats.sharing_models import FORMATS, Answers, Cells, cuts_of


def plain_runner(path: Path) -> Callable[..., tuple[torch.Tensor, ...]]:
    with quiet_torchscript():
        return torch.jit.load(str(path)) if path.suffix == ".ts" else torch.export.load(str(path)).module()


@pytest.mark.usefixtures("unverified")
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_plain_file_refuses_what_it_was_not_compiled_for(format_name: str, tmp_path: Path):
    x, factor = torch.randn(2, 6), torch.tensor(1.5)
    cuts_of(Answers(), (x, factor), tmp_path / "b", format_name, storage="inline")
    (tail,) = (tmp_path / "b" / "none").glob("tail.*")
    run = plain_runner(tail)
    assert len(run(x, factor)) > 0
    for others in (
        (torch.cat([x, x]), factor),
        (x[0], factor),
        (x.double(), factor),
        (x.to_sparse(), factor),
        (x, factor[None]),
    ):
        with pytest.raises((RuntimeError, AssertionError, torch.jit.Error)):
            run(*others)


class Looks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)

    def forward(self, ids: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.table(ids).sum(0) * x


@pytest.mark.usefixtures("unverified")
@pytest.mark.parametrize("format_name", FORMATS)
def test_halves_take_arrays_and_refuse_with_errors_of_ours(format_name: str, tmp_path: Path):
    model, ids, x = Looks(), torch.tensor([0, 4]), torch.randn(4)
    cut = cuts_of(model, (ids, x), tmp_path / "b", format_name)[-1]
    fixed = x.numpy()[::-1]  # reversed, and then read-only
    for array in (x.numpy(), fixed, np.broadcast_to(fixed, (4,))):
        with torch.no_grad():
            expected = model(ids, torch.from_numpy(array.copy()))
        assert torch.allclose(cut.tail(*cut.head(ids.numpy(), array)), expected)

    class Shaped:
        shape, dtype = (4,), "float32"

    for given, message in (
        ((torch.tensor([0, 5]), x), "the head of cut all cannot run on the values it was called with: .*index out of range"),
        ((ids, x.to("meta")), "runs on the processor, called with a tensor on meta"),
        ((ids, Shaped()), "takes tensors of torch and arrays of numpy, called with a .*Shaped"),
        ((ids, x.numpy().astype(">f4")), "called with >f4"),
        ((ids, [1.0]), "called with a list"),
    ):
        with pytest.raises(CodegenError, match=message):
            cut.head(*given)
    with pytest.raises(CodegenError, match="for a tensor, called with a list"):
        cut.run_head_flat([ids, [1.0]])
    cut.head(ids, x)  # and goes on as before
    grown = replace(cut, head_runner=lambda *_: (torch.zeros(9),))
    with pytest.raises(CodegenError, match=r"answers \w+ with the shape \(9,\), and was compiled for \(4,\)"):
        grown.head(ids, x)


@pytest.mark.usefixtures("unverified")
def test_halves_are_loaded_from_several_threads_at_once(tmp_path: Path):
    x = torch.randn(2, 6)
    with torch.no_grad():
        expected = (model := Cells().eval())(x)
    failures: list[BaseException] = []

    def load(format_name: str) -> None:
        try:
            for answer, other in zip(load_cut(tmp_path / format_name, "none").tail(x), expected, strict=True):
                torch.testing.assert_close(answer, other, rtol=1e-4, atol=1e-5)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    for format_name in FORMATS:
        cuts_of(model, (x,), tmp_path / format_name, format_name)
    threads = [threading.Thread(target=load, args=(name,)) for name in FORMATS for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_verification_finds_halves_that_answer_to_anything(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("codegen.formats.torchscript.add_guard", lambda *_: None)
    with pytest.raises(CodegenError, match=r"as input 0, and answers to torch.float32 of shape \(3, 6\) as well"):
        cuts_of(Cells(), (torch.randn(2, 6),), tmp_path / "b", "torchscript")
