"""Writing a half leaves nothing of the model's weights behind in memory."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from codegen.formats.torchscript import TorchScriptEmitter, move_made_tensors, plain_on_card, quiet_torchscript
from tests.codegen.resident_memory import assert_let_go, told_by_linux


@told_by_linux
def test_weights_made_on_the_way_are_let_go(tmp_path: Path) -> None:
    assert_let_go(lambda module, example: TorchScriptEmitter().write(module, example, tmp_path / "half.ts"))


class _Made(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.to("cpu")


def test_a_program_makes_its_tensors_on_the_device_that_runs_it() -> None:
    """A trace says "cpu" wherever a tensor went or was made there."""
    with quiet_torchscript():
        program = torch.jit.freeze(torch.jit.trace(_Made().eval(), torch.zeros(3)))
    move_made_tensors(program, "cpu")
    assert program(torch.zeros(3)).device.type == "cpu"
    move_made_tensors(program, "cuda:1")
    constants = program.graph.findAllNodes("prim::Constant")
    made_on = [node.s("value") for node in constants if node.output().type().kind() == "DeviceObjType"]
    assert made_on == ["cuda:1"]


def test_a_program_on_a_card_is_not_compiled_and_the_executor_is_as_before() -> None:
    """Torch would compile it at its second run, for a minute or more."""

    def program(x: torch.Tensor) -> bool:
        return bool(torch._C._get_graph_executor_optimize())

    before = torch._C._get_graph_executor_optimize()
    assert plain_on_card(program, "cuda:1")(torch.zeros(1)) is False
    assert torch._C._get_graph_executor_optimize() == before
    assert plain_on_card(program, "cpu") is program
