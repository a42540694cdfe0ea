"""Ops have the names of their modules, results their producers, and a value crosses only where a wire can carry it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cic.errors import TraceError
from cic.trace.fx.torch_trace import trace
from tests.cic.trace.fx.traced_networks import Twice, assert_good, picture_model


class Several(nn.Module):
    """Ops with several results, and slices beside free views."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        a, b, c = x.chunk(3, 1)
        values, places = (a * b).topk(2, dim=1)
        largest, _ = c.max(dim=1)
        return values, places, largest.unsqueeze(0).expand(3, -1), x[:, 1:].permute(1, 0), torch.complex(a, b).abs()


def test_results_belong_to_their_producer() -> None:
    traced = trace(Several(), (torch.randn(4, 9),))
    assert_good(traced, Several(), cuts=20)
    chunk = traced.unfused.ops[0]
    assert chunk.kinds == ("chunk",) and len(chunk.outputs) == 3 and len(chunk.members) == 4
    kinds = {op.kinds[0] for op in traced.unfused.ops}
    assert {"topk", "max", "slice", "expand"} <= kinds and not {"unsqueeze", "permute", "getitem"} & kinds
    assert [tensor.name for tensor in traced.unfused.tensors if not tensor.may_cross] == ["complex_1"]


def test_names_follow_the_modules() -> None:
    traced = trace(picture_model("resnet18"), (torch.randn(1, 3, 32, 32),))
    names = [op.name for op in traced.graph.ops]
    assert names[:5] == ["conv1", "maxpool", "layer1.0.conv1", "layer1.0.conv2", "layer1.0.add"]
    assert {"bn1", "relu", "layer1.0.relu", "layer1.0.relu_1", "fc"} <= set(traced.unfused.op_by_name)


def test_repeated_modules_get_a_suffix_and_share_a_signature() -> None:
    ops = trace(Twice(), (torch.ones(1, 3),)).unfused.ops
    assert [op.name for op in ops] == ["layer", "add", "layer_1", "add_1"]
    assert ops[0].signature == ops[2].signature and ops[1].signature == ops[3].signature
    assert ops[0].signature != ops[1].signature


class Peculiar(nn.Module):
    """Values that cannot be sent, or whose size only the data tells."""

    def __init__(self, body: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.body = nn.Linear(4, 4), body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.layer, x)


def under_modes(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        y = layer(x)
    with torch.autocast("cpu", enabled=False):
        return layer(y)


# torch 2.9 says "quantized nyi in meta tensors".
OLDEST_THAT_TRACES_QUANTISED = "2.13"

PECULIAR = {
    "item": (lambda layer, x: layer(x) * x.sum().item(), {"item"}),
    "nonzero": (lambda layer, x: layer(x)[x[:, 0] > 0].sum(0), {"index"}),
    "sparse": (lambda layer, x: torch.sparse.mm(layer(x).to_sparse(), torch.ones(4, 4)), {"to_sparse"}),
    "quantised": (
        lambda layer, x: torch.quantize_per_tensor(layer(x), 0.1, 0, torch.qint8).dequantize(),
        {"quantize_per_tensor"},
    ),
    "modes": (under_modes, set()),
    "branch": (lambda layer, x: torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (layer(x),)), set()),
}


@pytest.mark.parametrize("name", PECULIAR)
@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor.*")
def test_values_that_cannot_be_sent_stay(name: str) -> None:
    body, unsendable = PECULIAR[name]
    model = Peculiar(body)
    try:
        traced = trace(model, (torch.randn(2, 4),))
    except TraceError as error:
        if name == "quantised" and torch.__version__ < OLDEST_THAT_TRACES_QUANTISED and "quantize_per_tensor" in str(error):
            pytest.skip(f"torch {torch.__version__} cannot trace quantised tensors; the model is refused by the op's name")
        raise
    assert_good(traced, model, cuts=10)
    assert {tensor.name for tensor in traced.unfused.tensors if not tensor.may_cross} == unsendable


def test_view_that_needs_the_models_own_strides_survives_the_wire() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).permute(0, 2, 3, 1).view(len(x), -1) * 2

    model = Flat().to(memory_format=torch.channels_last)
    picture = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    assert_good(trace(model, (picture,)), model, cuts=10)
