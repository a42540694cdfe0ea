"""Two halves made at two batches become one that answers at any batch as the model does, or are refused by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from codegen.errors import CodegenError
from codegen.split import WireTensor, common_batch, shown_shape
from codegen.splitters.fx import split
from codegen.splitters.open_batch import Batches, at_batch, open_wire, opened, with_open_wires
from tests.codegen.flat_module import flat_module

BATCHES = Batches((0,), 2, 4, 64)


class Mixed(nn.Module):
    """The batch stands in sizes, in multiples of it, and in a constant with a row for each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 12), nn.Linear(12, 5)
        self.token = nn.Parameter(torch.randn(1, 1, 12))

    def forward(self, x: Tensor) -> Tensor:
        batch = x.shape[0]
        rows = torch.cat([self.token.expand(batch, -1, -1), self.first(x)], 1)
        heads = rows.reshape(batch * 4, 3, 3, -1)[: batch * 4].relu()
        return self.last(heads.reshape(batch, 3, 12) + torch.ones(batch, 1, 12)).sum(1)


def example(batch: int) -> Tensor:
    return torch.randn(batch, 2, 6)


@pytest.mark.parametrize("place", [0, 3, 6, 100])
def test_halves_answer_at_other_batches_as_the_model_does(place: int) -> None:
    torch.manual_seed(0)
    model = Mixed().eval()
    here, there = (flat_module(model, (example(batch),)) for batch in (2, 4))
    nodes = here.closed_set(here.ops[:place])
    halves = with_open_wires(
        split(here.source.module, nodes, here.tensors), split(there.source.module, nodes, there.tensors), BATCHES
    )
    assert halves.other is not None
    head, tail = (
        opened(one, two, BATCHES) for one, two in ((halves.head, halves.other.head), (halves.tail, halves.other.tail))
    )
    for batch in (1, 2, 3, 7):
        x = example(batch)
        results = head(x)
        returned = tail(*results[: len(halves.crossing)])
        (source,) = halves.outputs
        answer = (results if source.half == "head" else returned)[source.position]
        torch.testing.assert_close(answer, model(x))
        assert all(wire.at_batch(batch).shape == result.shape for wire, result in zip(halves.crossing, results, strict=False))


def test_the_example_is_left_as_it_was() -> None:
    model = Mixed().eval()
    here, there = (flat_module(model, (example(batch),)).source.module for batch in (2, 4))
    code = here.code
    opened(here, there, BATCHES)
    assert here.code == code


REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "a share of the batch": (lambda x: x * (1 / x.shape[0]), "has 0.5 at batch 2, 0.25 at batch 4"),
    "a row more": (lambda x: sum(x.unbind(0)) + x, "differ in"),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_line_in_the_batch_is_refused_by_name(function: Callable[[Tensor], Tensor], message: str) -> None:
    class Function(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    here, there = (flat_module(Function().eval(), (torch.randn(batch, 3),)).source.module for batch in (2, 4))
    with pytest.raises(CodegenError, match=message):
        opened(here, there, BATCHES)


def test_a_wire_has_the_greatest_shape_and_knows_its_batch() -> None:
    mine, theirs = WireTensor("t", (3, 8, 5), "float16", 240), WireTensor("t", (3, 16, 5), "float16", 480)
    wire = open_wire(mine, theirs, BATCHES)
    assert (wire.shape, wire.bytes, wire.open_axes, wire.batch) == ((3, 256, 5), 7680, (1,), 64)
    assert wire.at_batch(2) == mine and wire.at_batch(4) == theirs
    for shape, batch in (((3, 4, 5), 1), ((3, 256, 5), 64)):
        assert wire.fits(shape) and wire.batch_of(shape) == batch
        assert wire.of_shape(shape).bytes == 2 * shape[0] * shape[1] * shape[2]
    for shape in ((3, 0, 5), (3, 6, 5), (3, 260, 5), (2, 4, 5), (3, 4), (3, -4, 5)):
        assert not wire.fits(shape)
    assert shown_shape(wire) == "(3, 4 x batch up to 64, 5)" and shown_shape(mine) == "(3, 8, 5)"
    plain = WireTensor("p", (64,), "bool", 64, (0,), 64)
    assert common_batch((wire, plain), ((3, 8, 5), (2,))) == 2
    assert common_batch((wire, plain), ((3, 8, 5), (3,))) is None


def test_a_wire_that_does_not_grow_in_proportion_is_refused() -> None:
    mine = WireTensor("t", (3, 8), "uint8", 24)
    assert open_wire(mine, mine, BATCHES) == mine
    for shape in ((3, 9), (6, 16), (3, 16, 1)):
        size = 1
        for each in shape:
            size *= each
        with pytest.raises(CodegenError, match="t has the shapes"):
            open_wire(mine, WireTensor("t", shape, "uint8", size), BATCHES)
    with pytest.raises(CodegenError, match="no multiple of the batch"):
        WireTensor("t", (7, 3), "uint8", 21, (0,), 2)
    with pytest.raises(CodegenError, match="has no axis 2 to be open"):
        WireTensor("t", (7, 3), "uint8", 21, (2,))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_rows_are_repeated_in_the_same_layout(batch: int) -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    changed = at_batch(x, 0, batch)
    assert changed.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(changed[row], x[row % 2]) for row in range(batch))
    assert at_batch(x, None, batch) is x
