"""torch.fx gives what torch.export gives, and takes over where that gives up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cic.trace.fx import from_export, from_fx
from cic.trace.fx.agreement import first_difference
from cic.trace.fx.flat_model import FlatModel, evaluating, flat_tensors, input_names
from cic.trace.fx.torch_trace import trace
from tests.cic.trace.fx.traced_networks import assert_good, picture_model


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vision_transformer"])
def test_both_front_ends_give_the_same_thing(name: str) -> None:
    model, picture = picture_model(name), torch.randn(1, 3, 64, 64)
    call, tensors = flat_tensors(((picture,), {}), "arguments")
    with evaluating(model):
        expected = flat_tensors(model(picture), "output")[1]
        for front_end in (from_export, from_fx):
            module = front_end.capture(FlatModel(model, call), tensors, input_names(model, (picture,), {}))
            assert first_difference(module(picture), expected) is None
            assert {node.op for node in module.graph.nodes} == {"placeholder", "get_attr", "call_function", "output"}
            weights = {node.target for node in module.graph.nodes if node.op == "get_attr"}
            assert {"conv_proj.weight", "conv1.weight", "conv1.conv.weight"} & weights


def test_fx_takes_over_where_export_gives_up() -> None:
    library = torch.library.Library("cic_test_trace", "DEF")  # an operator without a fake implementation
    library.define("double(Tensor x) -> Tensor")
    library.impl("double", lambda x: x * 2, "CPU")

    class Foreign(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))

        def forward(self, x: Tensor) -> Tensor:
            y = torch.ops.cic_test_trace.double(self.layer(x))
            y += x
            return y.view(-1)

    model = Foreign()
    traced = trace(model, (torch.randn(2, 4),))
    assert_good(traced, model, cuts=10)
    assert "cic_test_trace.double" in {op.kinds[0] for op in traced.unfused.ops}
