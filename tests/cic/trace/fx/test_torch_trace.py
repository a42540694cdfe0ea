"""Real models and odd calls trace to valid graphs whose module computes the model; the model stays as it was."""

from __future__ import annotations

import copy
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, fx, nn

from cic.errors import TraceError
from cic.trace.fx import from_export, from_fx
from cic.trace.fx.agreement import first_difference
from cic.trace.fx.flat_model import FlatModel, evaluating, flat_tensors, input_names
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from examples.models.encoder import Encoder, example_call
from examples.models.torchvision_beside_cpu_torch import import_torchvision
from tests.cic.trace.graph_validity import (
    assert_cuts_are_exact,
    assert_equals_model,
    assert_graph_valid,
    assert_members_cover_module,
)

HERE = Path(__file__).name
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


def picture_model(name: str) -> nn.Module:
    torch.manual_seed(0)
    models = import_torchvision().models
    if name == "vision_transformer":
        return models.VisionTransformer(64, patch_size=16, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128)
    given = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, **given)


def assert_good(traced: TracedModel, model: nn.Module, cuts: int = 0) -> None:
    assert_graph_valid(traced.graph)
    assert_graph_valid(traced.unfused)
    assert_members_cover_module(traced)
    assert_equals_model(traced, model)
    if cuts:
        assert_cuts_are_exact(traced, cuts)


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


@dataclass
class Answer:
    score: Tensor
    extra: dict[str, Tensor | None]
    label: str = "cat"
    nothing: None = None


Pair = namedtuple("Pair", "first second")


class Structured(nn.Module):
    """Takes and returns everything that has a structure."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.layer = form, nn.Linear(4, 4)
        self.register_buffer("table", torch.arange(4.0))

    def forward(self, x: Tensor, *, states: dict[str, list[Tensor]], scale: float = 1.0, unused: Tensor | None = None):
        y = self.layer(x) * scale + states["b"][0] - states["a"][1]
        z = y.relu()
        return {
            "tuple": (y, (z, None), [x]),
            "dict": {"z": z, "a": y, "none": None, "text": "t", "number": 3},
            "dataclass": Answer(score=z, extra={"y": y, "n": None}),
            "namedtuple": Pair(second=y, first=z),
            "tensor": z,
            "input": (x, z.t(), x),
            "constant": (self.table, z),
            "view": (y.view(-1), y, z[:, None]),
        }[self.form]


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


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        if y.sum() > 0:  # the line the error names
            return y
        return -y


def test_control_flow_on_values_names_op_and_line() -> None:
    line = next(i for i, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "# the line the error" in text)
    with pytest.raises(TraceError) as caught:
        trace(Branches(), (torch.ones(3),))
    message = str(caught.value)
    assert f"{HERE}:{line}" in message and "if y.sum() > 0" in message and "__bool__" in message
    assert "torch.where" in message and "Branches cannot be traced" in message


def test_wrong_arguments_name_the_line() -> None:
    with pytest.raises(TraceError, match=HERE):
        trace(Structured("tensor"), (torch.ones(2, 5),), {"states": {"a": [], "b": []}})


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


def test_names_follow_the_modules() -> None:
    traced = trace(picture_model("resnet18"), (torch.randn(1, 3, 32, 32),))
    names = [op.name for op in traced.graph.ops]
    assert names[:5] == ["conv1", "maxpool", "layer1.0.conv1", "layer1.0.conv2", "layer1.0.add"]
    assert {"bn1", "relu", "layer1.0.relu", "layer1.0.relu_1", "fc"} <= set(traced.unfused.op_by_name)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x) + 1) + 1


def test_repeated_modules_get_a_suffix_and_share_a_signature() -> None:
    ops = trace(Twice(), (torch.ones(1, 3),)).unfused.ops
    assert [op.name for op in ops] == ["layer", "add", "layer_1", "add_1"]
    assert ops[0].signature == ops[2].signature and ops[1].signature == ops[3].signature
    assert ops[0].signature != ops[1].signature


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


def test_exported_program_gives_the_same_graph() -> None:
    args, kwargs = example_call(length=8, words=10)
    kwargs = dict(reversed(kwargs.items()))
    model = Encoder(layers=1, width=16, heads=2, words=10).eval()
    program = torch.export.export(model, args, kwargs, strict=False)
    from_model, from_file = trace(model, args, kwargs), trace(program, name="Encoder")
    assert_graph_valid(from_file.graph)
    assert_members_cover_module(from_file)
    assert_cuts_are_exact(from_file, 5)
    assert from_file.graph.inputs == from_model.graph.inputs
    assert [op.name for op in from_file.graph.ops] == [op.name for op in from_model.graph.ops]


def test_exported_program_refuses_another_call() -> None:
    program = torch.export.export(Twice().eval(), (torch.ones(1, 3),), strict=False)
    with pytest.raises(TraceError, match="exported for the arguments"):
        trace(program, (), {"x": torch.ones(1, 3)})


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


def test_batch_norm_of_the_batch_is_not_elementwise() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False), nn.ReLU())
    traced = trace(model, (torch.randn(4, 3, 5, 5),))
    assert [op.kinds for op in traced.graph.ops] == [("conv2d",), ("batch_norm_of_batch", "relu")]


def test_module_survives_a_copy_by_fx() -> None:
    traced = trace(Twice(), (torch.ones(1, 3),))
    again = fx.GraphModule(traced.module, traced.module.graph)
    assert torch.equal(again(*traced.args)[0], traced.module(*traced.args)[0])
