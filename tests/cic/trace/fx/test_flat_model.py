"""Inputs may be called anything: what names them is a name of Python, each once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cic.trace.fx.flat_model import FlatModel, flat_call, input_names

ONE = torch.ones(2)


class Collides(nn.Module):
    def forward(self, self_: Tensor, x: Tensor, x_: Tensor, None_: Tensor, *rest: Tensor, **more: Tensor) -> Tensor:
        return self_ + x


class TakesADictionary(nn.Module):
    """Changes what it is given, which is nobody's business but its caller's."""

    def forward(self, given: dict[str, Tensor]) -> Tensor:
        given["sum"] = given["a.b"] + given["a_b"]
        return given["sum"]


@pytest.mark.parametrize(
    ("model", "args", "kwargs"),
    [
        (Collides(), (ONE,) * 6, {"in": ONE, "class": ONE, "self": ONE, "a-b": ONE, "a.b": ONE, "": ONE}),
        (TakesADictionary(), ({"a.b": ONE, "a_b": ONE, "": ONE, "def": [ONE, (ONE,)]},), {}),
        (nn.Identity(), (ONE,), {}),
    ],
)
def test_every_input_has_a_name_of_its_own(model: nn.Module, args: tuple[object, ...], kwargs: dict[str, Tensor]) -> None:
    names = input_names(model, args, kwargs)
    assert len(names) == len(flat_call(args, kwargs)[1]) == len(set(names))
    for name in (*names, "self"):
        compile(f"def forward(self, {', '.join(names)}): {name} = 1", "a test", "exec")
    assert "self" not in names


def test_a_model_that_adds_to_a_dictionary_it_is_given_is_flattened() -> None:
    call, tensors = flat_call(({"a.b": ONE, "a_b": ONE * 2},), {})
    assert torch.equal(FlatModel(TakesADictionary(), call)(*tensors)[0], ONE * 3)
