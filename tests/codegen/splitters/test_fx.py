"""Head and tail of any closed set compute what the whole does, send what must be sent and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from codegen.errors import CodegenError, UnsplittableError
from codegen.split import Split
from codegen.splitters.fx import split
from codegen.torchvision_import import import_torchvision
from tests.codegen.flat_module import FlatModule, flat_module
from tests.codegen.small_models import Residual, TwoTowers, Views, two_towers_call


def traced_residual() -> FlatModule:
    return flat_module(Residual(), (torch.randn(1, 3, 8, 8),))


def traced_towers() -> FlatModule:
    return flat_module(TwoTowers(), *two_towers_call())


def traced_views() -> FlatModule:
    return flat_module(Views(), (torch.randn(2, 12),))


def traced_library_model(name: str, **options: object) -> FlatModule:
    model = getattr(import_torchvision().models, name)(**options)
    return flat_module(model, (torch.randn(1, 3, 64, 64),))


def traced_resnet18() -> FlatModule:
    return traced_library_model("resnet18")


def traced_googlenet() -> FlatModule:
    return traced_library_model("googlenet", init_weights=False, aux_logits=False)


@pytest.fixture(scope="module", params=[traced_residual, traced_towers, traced_views, traced_resnet18, traced_googlenet])
def traced(request: pytest.FixtureRequest) -> FlatModule:
    torch.manual_seed(0)
    return request.param()


def cut(traced: FlatModule, device: frozenset[str]) -> Split:
    return split(traced.source.module, device, traced.tensors)


def assembled(halves: Split, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    on_device = halves.head(*inputs)
    returned = halves.tail(*on_device[: len(halves.crossing)])
    results = {"head": on_device, "tail": returned}
    return [results[source.half][source.position] for source in halves.outputs]


def test_halves_together_are_the_whole(traced: FlatModule):
    inputs = list(traced.source.example_inputs)
    with torch.no_grad():
        whole = traced.source.module(*inputs)
        for device in traced.random_closed_sets(8):
            parts = assembled(cut(traced, device), inputs)
            assert len(parts) == len(whole)
            for part, output in zip(parts, whole, strict=True):
                torch.testing.assert_close(part, output, rtol=1e-5, atol=1e-6)


def test_every_op_runs_in_its_own_half_and_in_no_other(traced: FlatModule):
    for device in traced.random_closed_sets(8):
        halves = cut(traced, device)
        in_head = {node.name for node in halves.head.graph.nodes} & set(traced.ops)
        in_tail = {node.name for node in halves.tail.graph.nodes if node.op == "call_function"} & set(traced.ops)
        assert in_head <= device
        assert not in_tail & device
        assert in_tail == set(traced.ops) - device, "an op of the server is missing"


def test_what_crosses_is_what_the_server_reads_of_the_device(traced: FlatModule):
    for device in traced.random_closed_sets(8):
        halves = cut(traced, device)
        names = [wire.name for wire in halves.crossing]
        assert len(set(names)) == len(names)
        assert set(names) <= traced.tensors
        for node in halves.tail.graph.nodes:
            if node.op == "placeholder":
                assert node.users, f"{node.name} is sent but not read"
        with torch.no_grad():
            sent = halves.head(*traced.source.example_inputs)
        for wire, tensor in zip((*halves.crossing, *halves.kept), sent, strict=True):
            assert wire.shape == tuple(tensor.shape)
            assert wire.dtype == str(tensor.dtype).removeprefix("torch.")
            assert wire.bytes == tensor.numel() * tensor.element_size()


def test_weights_go_where_they_are_used(traced: FlatModule):
    def weights(module: nn.Module) -> set[int]:
        return {id(value) for value in (*module.parameters(), *module.buffers())}

    used = {
        id(operator_attribute(traced.source.module, node.target))
        for node in traced.source.module.graph.nodes
        if node.op == "get_attr" and node.users
    }
    for device in traced.random_closed_sets(4):
        halves = cut(traced, device)
        head, tail = weights(halves.head), weights(halves.tail)
        assert used <= head | tail
        for half, own in ((halves.head, head), (halves.tail, tail)):
            read = {id(operator_attribute(half, node.target)) for node in half.graph.nodes if node.op == "get_attr"}
            assert own == read


def operator_attribute(module: nn.Module, path: str) -> object:
    value: object = module
    for step in path.split("."):
        value = getattr(value, step)
    return value


def test_nothing_crosses_if_all_runs_on_the_device(traced: FlatModule):
    halves = cut(traced, frozenset(traced.ops))
    assert halves.crossing == () and halves.returned == ()
    assert halves.tail() == ()


def test_a_set_that_is_not_closed_is_refused_with_both_names():
    traced = traced_residual()
    with pytest.raises(UnsplittableError, match=r"conv2d_1 is to run on the device but reads relu, which is made on"):
        split(traced.source.module, {"conv2d_1"}, traced.tensors)


def test_a_value_that_may_not_cross_is_refused_with_its_reader():
    traced = traced_residual()
    device = traced.closed_set(["relu"])
    with pytest.raises(UnsplittableError, match=r"on the server reads relu, which is made on the device"):
        split(traced.source.module, device, traced.tensors - {"relu"})


def test_unknown_names_are_refused():
    traced = traced_residual()
    with pytest.raises(CodegenError, match="device node 'nowhere'"):
        split(traced.source.module, {"nowhere"}, traced.tensors)
    with pytest.raises(CodegenError, match="tensor 'nowhere'"):
        split(traced.source.module, set(), {"nowhere", *traced.tensors})


def test_one_of_several_results_crosses_alone():
    class Largest(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            values, places = x.topk(2)
            return values.exp() + places.sum()

    traced = flat_module(Largest(), (torch.randn(3, 5),))
    halves = split(traced.source.module, traced.closed_set(["sum_1"]), traced.tensors)
    assert sorted(wire.dtype for wire in halves.crossing) == ["float32", "int64"]
    halves = split(traced.source.module, traced.closed_set(["exp", "sum_1"]), traced.tensors)
    assert [wire.name for wire in halves.crossing] == ["exp", "sum_1"]


def test_a_view_is_made_again_behind_the_cut():
    traced = traced_views()
    halves = split(traced.source.module, traced.closed_set(["relu"]), traced.tensors)
    assert [wire.name for wire in halves.crossing] == ["relu"]
    assert [source.half for source in halves.outputs] == ["tail", "head", "tail", "tail"], "x.t() is made where x is"


def test_an_input_that_is_an_output_stays_on_the_device():
    traced = traced_towers()
    halves = split(traced.source.module, set(), traced.tensors)
    crossing = [wire.name for wire in halves.crossing]
    given = halves.outputs[1]
    assert given.half == "head" and crossing[given.position] == "y", "sent for the server's sake, returned to the user"
    halves = split(traced.source.module, set(traced.ops), traced.tensors)
    assert "y" in [wire.name for wire in halves.kept]


def test_an_effect_that_would_be_lost_is_refused():
    graph = fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_function(torch.ops.aten.relu.default, (x,))
    graph.call_function(torch.ops.aten.add_.Tensor, (y, 1))
    graph.output((y,))
    for node in (x, y):
        node.meta["val"] = torch.ones(2)
    with pytest.raises(UnsplittableError, match="add__tensor changes relu_default in place"):
        split(fx.GraphModule(nn.Module(), graph), {"relu_default"}, {"x", "relu_default"})
