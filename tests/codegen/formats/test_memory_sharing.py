"""What a half returns is the caller's: it shares no memory with constants, weights or another answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.errors import MismatchError
from codegen.verification.tensor_memory import elements_between, overlapping
from tests.codegen.formats.sharing_models import FORMATS, Answers, Cells, cuts_of


class HiddenAliases(nn.Module):
    """Operators that return their argument without saying so, and then are written to."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        sums = [function(torch.zeros(6)) for function in (self.dropped, torch.atleast_2d, lambda zeros: zeros.sum_to_size(6))]
        for total in sums:
            total.add_(x.sum(0))
        return *sums, torch.atleast_1d(x + 1), torch.atleast_1d(x + 1)

    def dropped(self, zeros: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(zeros, 0.5, self.training)


@pytest.mark.usefixtures("unverified")
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("model", [Answers(), Cells(), HiddenAliases()], ids=lambda model: type(model).__name__)
def test_an_answer_that_is_overwritten_changes_no_later_one(model: nn.Module, format_name: str, tmp_path: Path):
    example = (torch.randn(2, 6), torch.tensor(1.5))[: 2 if isinstance(model, Answers) else 1]
    cuts = cuts_of(model, example, tmp_path / "b", format_name, storage="shared")
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


def test_verification_finds_halves_that_hand_out_their_constants(monkeypatch, tmp_path: Path):
    example = torch.randn(2, 6), torch.tensor(1.5)
    monkeypatch.setattr("codegen.formats.torchscript.give_own_answers", lambda *_, **__: None)
    with pytest.raises(MismatchError, match=r"the halves differ from the whole model|share memory, in the whole"):
        cuts_of(Answers(), example, tmp_path / "b", "torchscript")
