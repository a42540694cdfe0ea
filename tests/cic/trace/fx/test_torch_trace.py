"""Real models and odd calls trace to valid graphs whose module computes the model; the model stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, fx, nn

from cic.errors import TraceError
from cic.trace.fx.torch_trace import trace
from examples.models.encoder import Encoder, example_call
from tests.cic.trace.fx.traced_networks import Branches, Structured, Twice, assert_good, picture_model
from tests.cic.trace.graph_validity import (
    assert_cuts_are_exact,
)

# Small pictures, and a small vision transformer: `make zoo` traces all of torchvision's at full size.
PICTURE_MODELS = {
    "resnet18": 64,
    "resnet50": 64,
    "mobilenet_v3_large": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "vision_transformer": 64,
    "swin_t": 64,
}


@pytest.mark.parametrize("name", PICTURE_MODELS)
def test_picture_models(name: str) -> None:
    model, side = picture_model(name), PICTURE_MODELS[name]
    traced = trace(model, (torch.randn(1, 3, side, side),))
    assert_good(traced, model)
    assert model.training and all(module.training for module in model.modules())
    assert len(traced.graph.ops) <= len(traced.unfused.ops)
    assert traced.graph.inputs == ("x",)
    assert all(op.source.startswith("/") and ":" in op.source for op in traced.graph.ops)
    assert not any("/torch/nn/" in op.source for op in traced.graph.ops)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_large", "swin_t"])
def test_random_cuts_of_picture_models(name: str) -> None:
    side = 64
    model = picture_model(name)
    with torch.no_grad():
        model(torch.randn(8, 3, side, side))  # gives batch norm statistics, so that activations keep their size
    traced = trace(model, (torch.randn(1, 3, side, side),))
    assert_cuts_are_exact(traced, count=4)


def test_encoder_keeps_kwargs_dict_and_none() -> None:
    args, kwargs = example_call()
    model = Encoder()
    traced = trace(model, args, kwargs)
    assert_good(traced, model)
    assert traced.graph.inputs == ("input_ids", "attention_mask", "token_type_ids")
    assert traced.output_example["hidden_states"] is None
    assert traced.graph.tensor_by_name["input_ids"].dtype == "int64"


def test_random_cuts_of_the_encoder() -> None:
    args, kwargs = example_call(batch=2, length=16, words=50)
    model = Encoder(layers=2, width=32, heads=4, words=50, keep_hidden_states=True)
    assert_good(trace(model, args, kwargs), model, cuts=10)


@pytest.mark.parametrize("form", ["tuple", "dict", "dataclass", "namedtuple", "tensor", "input", "constant", "view"])
def test_structures_are_kept(form: str) -> None:
    model = Structured(form)
    states = {"b": [torch.randn(2, 4)], "a": [torch.randn(4), torch.randn(4)]}
    kwargs = {"unused": torch.ones(1), "states": states, "scale": 2.0}
    traced = trace(model, (torch.randn(2, 4),), kwargs)
    assert_good(traced, model, cuts=5)
    assert traced.graph.inputs == ("x", "unused", "states_b_0", "states_a_0", "states_a_1")
    assert traced.graph.tensor_by_name["unused"].consumers == ()
    assert traced.graph.tensor_by_name["states_a_0"].consumers == ()
    assert type(traced.output_example) is type(model.eval()(*traced.args, **traced.kwargs))


def test_output_that_is_an_input_is_the_input_tensor() -> None:
    traced = trace(Structured("input"), (torch.randn(2, 4),), {"states": {"b": [torch.zeros(4)], "a": [torch.ones(4)] * 2}})
    assert traced.graph.outputs[0] == "x" and traced.graph.tensor_by_name["x"].is_output


@pytest.mark.parametrize(
    ("model", "args", "message"),
    [
        (nn.ReLU(), torch.ones(1), "pass a tuple"),
        (nn.ReLU(), (), "no tensor"),
        (lambda x: x, (torch.ones(1),), "type function, which cannot be traced"),
    ],
)
def test_calls_that_are_no_calls(model: object, args: object, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        trace(model, args)


class Unsendable(nn.Module):
    def forward(self, x: Tensor) -> object:
        return {"x": x * 2, "who": object()}


def test_outputs_that_cannot_be_kept_are_named() -> None:
    with pytest.raises(TraceError, match="who"):
        trace(Unsendable(), (torch.ones(1),))


def test_model_and_inputs_stay_untouched() -> None:
    model = Encoder(layers=1, width=16, heads=2, words=10)
    model.layers[0].eval()  # mixed flags must come back
    before = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    args, kwargs = example_call(length=8, words=10)
    traced = trace(model, args, kwargs)
    assert flags == [module.training for module in model.modules()]
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in traced.module.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    model(*args, **kwargs)["pooler_output"].sum().backward()


def test_flags_come_back_after_a_failure() -> None:
    model = nn.Sequential(Branches()).train()
    with pytest.raises(TraceError):
        trace(model, (torch.ones(3),))
    assert model.training and model[0].training


def test_signature_tells_shapes_and_constants_apart() -> None:
    def signature(model: nn.Module, width: int = 8) -> str:
        return trace(model, (torch.ones(1, 3, width, width),)).graph.ops[0].signature

    base = signature(nn.Conv2d(3, 4, 3))
    assert base == signature(nn.Conv2d(3, 4, 3))
    others = [
        signature(nn.Conv2d(3, 4, 3), width=9),
        signature(nn.Conv2d(3, 4, 3, stride=2)),
        signature(nn.Conv2d(3, 4, 3, bias=False)),
        signature(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())),
        signature(nn.Conv2d(3, 4, 3).half().float().to(torch.float64).float(), width=10),
    ]
    assert len({base, *others}) == len(others) + 1


def test_batch_norm_of_the_batch_is_not_elementwise() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False), nn.ReLU())
    traced = trace(model, (torch.randn(4, 3, 5, 5),))
    assert [op.kinds for op in traced.graph.ops] == [("conv2d",), ("batch_norm_of_batch", "relu")]


def test_module_survives_a_copy_by_fx() -> None:
    traced = trace(Twice(), (torch.ones(1, 3),))
    again = fx.GraphModule(traced.module, traced.module.graph)
    assert torch.equal(again(*traced.args)[0], traced.module(*traced.args)[0])
