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

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError, MismatchError
from codegen.formats.torchscript import quiet_torchscript
from codegen.loading import LoadedCut, load_cut
from codegen.verification.tensor_memory import elements_between, overlapping
from tests.codegen.flat_module import flat_module

FORMATS = ("torchscript", "exported_program")


class Answers(nn.Module):
    """Constants made at each call, also a large one, weights and views of them; an input, and views that share memory."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 6))
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x: torch.Tensor, factor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = (x @ self.weight).relu() * factor
        positions = torch.arange(12.0)
        made = positions, positions.view(3, 4), torch.full((), 2.0), torch.zeros(1).expand(4)
        return y, y[0], x, *made, self.weight, self.weight.t(), self.scale, torch.zeros(40, 30)


class Cells(nn.Module):
    """Recurrent cells that start from constants, twice from the same one."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.lstm = nn.GRUCell(6, 5), nn.LSTMCell(6, 5)
        self.state = nn.Parameter(torch.randn(2, 5))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.gru(x), self.gru(2 * x), self.gru(x, self.state), *self.lstm(x, (self.state, self.state))


class HiddenAliases(nn.Module):
    """Operators that return their argument without saying so, and then are written to."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        sums = [function(torch.zeros(6)) for function in (self.dropped, torch.atleast_2d, lambda zeros: zeros.sum_to_size(6))]
        for total in sums:
            total.add_(x.sum(0))
        return *sums, torch.atleast_1d(x + 1), torch.atleast_1d(x + 1)

    def dropped(self, zeros: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(zeros, 0.5, self.training)


@pytest.fixture(autouse=True)
def small_constants(monkeypatch) -> None:
    """What is larger than this, tracing leaves to be made at each call."""
    monkeypatch.setattr("cic.trace.fx.constants.FOLD_LIMIT_BYTES", 4096)


@pytest.fixture
def unverified(monkeypatch) -> None:
    """What emit would check in fresh processes is checked here."""
    monkeypatch.setattr("codegen.bundle.bundle._verified", lambda building, manifest, *_: manifest)


def cuts_of(model: nn.Module, example: tuple[torch.Tensor, ...], folder: Path, format_name: str, **options) -> list[LoadedCut]:
    traced = flat_module(model.eval(), example)
    plans = [CutPlan("none", frozenset(), ()), CutPlan("all", frozenset(traced.ops), ())]
    write_bundle(folder, traced.source, plans, formats=(format_name,), **options)
    return [load_cut(folder, plan.id) for plan in plans]


@pytest.mark.usefixtures("unverified")
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("model", [Answers(), Cells(), HiddenAliases()], ids=lambda model: type(model).__name__)
def test_an_answer_that_is_overwritten_changes_no_later_one(model: nn.Module, format_name: str, tmp_path: Path):
    example = (torch.randn(2, 6), torch.tensor(1.5))[: 2 if isinstance(model, Answers) else 1]
    cuts = cuts_of(model, example, tmp_path / "b", format_name, weights="shared")
    for _ in range(3):
        for cut in cuts:
            inputs = [torch.randn_like(tensor) for tensor in example]
            with torch.no_grad():
                expected = model(*inputs)
            between = cut.head(*[tensor.clone() for tensor in inputs])
            answer = cut.tail(*between)
            assert all(torch.allclose(*pair, rtol=1e-4, atol=1e-5) for pair in zip(answer, expected, strict=True))
            assert set(overlapping(answer)) == set(overlapping(expected))
            for tensor in (*answer, *between):
                tensor.as_strided((elements_between(tensor),), (1,)).fill_(7)


class Sums(nn.Module):
    """Products added to constant matrices, which torch's executor takes for as large as a factor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(torch.ones(2, 6), x, torch.eye(6)) + torch.addmm(torch.ones(6), x, torch.eye(6), beta=2)


@pytest.mark.usefixtures("unverified")
def test_products_are_added_to_constant_matrices(tmp_path: Path):
    model, x = Sums(), torch.randn(2, 6)
    cut = cuts_of(model, (x,), tmp_path / "b", "torchscript")[0]
    for _ in range(2):
        assert torch.allclose(cut.tail(*cut.head(x)), model(x))


def plain_runner(path: Path) -> Callable[..., tuple[torch.Tensor, ...]]:
    with quiet_torchscript():
        return torch.jit.load(str(path)) if path.suffix == ".ts" else torch.export.load(str(path)).module()


@pytest.mark.usefixtures("unverified")
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_plain_file_refuses_what_it_was_not_compiled_for(format_name: str, tmp_path: Path):
    x, factor = torch.randn(2, 6), torch.tensor(1.5)
    cuts_of(Answers(), (x, factor), tmp_path / "b", format_name, weights="inline")
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


def test_verification_finds_halves_that_hand_out_their_constants(monkeypatch, tmp_path: Path):
    example = torch.randn(2, 6), torch.tensor(1.5)
    monkeypatch.setattr("codegen.formats.torchscript.give_own_answers", lambda *_, **__: None)
    with pytest.raises(MismatchError, match=r"the halves differ from the whole model|share memory, in the whole"):
        cuts_of(Answers(), example, tmp_path / "b", "torchscript")


def test_verification_finds_halves_that_answer_to_anything(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("codegen.formats.torchscript.add_guard", lambda *_: None)
    with pytest.raises(CodegenError, match=r"as input 0, and answers to torch.float32 of shape \(3, 6\) as well"):
        cuts_of(Cells(), (torch.randn(2, 6),), tmp_path / "b", "torchscript")
