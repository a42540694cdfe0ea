"""What an answer feels: Fisher information and Jacobians of models small enough to write them down."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from cic.precision.transforms.gradients import gradients


class Linear(nn.Module):
    """Scores that are linear in what comes before them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 12).reshape(4, 3), requires_grad=False)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor]:
        return (torch.relu(values + 1) @ self.weight,)


def graph() -> tuple[fx.GraphModule, str]:
    module = fx.symbolic_trace(Linear())
    return module, next(node.name for node in module.graph.nodes if node.target is torch.relu)


def mean_product(rows: int, *, of_classes: bool, draws: int = 3000) -> torch.Tensor:
    module, name = graph()
    generator, total = torch.Generator().manual_seed(0), torch.zeros(4, 4)
    values = torch.arange(4.0).repeat(rows, 1)
    for _ in range(draws):
        found = gradients(module, (values,), {name}, generator, of_classes=of_classes)
        assert found is not None
        total += found[name].T @ found[name]
    return total / draws


@pytest.mark.parametrize("rows", [1, 3])
def test_classes_give_the_fisher_information_of_one_row(rows: int) -> None:
    weight = Linear().weight
    chances = (torch.arange(1.0, 5.0) @ weight).softmax(0)
    fisher = weight @ (torch.diag(chances) - torch.outer(chances, chances)) @ weight.T
    assert torch.allclose(mean_product(rows, of_classes=True), fisher, atol=0.06 * float(fisher.abs().max()))


def test_other_numbers_give_the_jacobian_relative_to_the_answer() -> None:
    weight = Linear().weight
    answer = torch.arange(1.0, 5.0) @ weight
    expected = weight @ weight.T / answer.square().sum()
    assert torch.allclose(mean_product(1, of_classes=False), expected, atol=0.08 * float(expected.abs().max()))


def test_inference_mode_changes_nothing() -> None:
    module, name = graph()
    found = gradients(module, (torch.arange(4.0)[None],), {name}, torch.Generator().manual_seed(0), of_classes=True)
    with torch.inference_mode():
        again = gradients(module, (torch.arange(4.0)[None],), {name}, torch.Generator().manual_seed(0), of_classes=True)
    assert found and again and torch.equal(found[name], again[name])


def test_the_model_s_weights_and_inputs_are_left_as_they_are() -> None:
    module, name = graph()
    values = torch.arange(4.0).repeat(2, 1)
    gradients(module, (values,), {name}, torch.Generator(), of_classes=True)
    assert not values.requires_grad and all(weight.grad is None for weight in module.parameters())


def test_what_cannot_be_differentiated_has_none() -> None:
    class Rounded(nn.Module):
        def forward(self, values: torch.Tensor) -> tuple[torch.Tensor]:
            return (torch.argsort(values, 1).float(),)

    class Written(nn.Module):
        def forward(self, values: torch.Tensor) -> tuple[torch.Tensor]:
            kept = torch.sigmoid(values)
            kept.mul_(2)
            return (kept * kept,)

    inputs = (torch.arange(4.0)[None],)
    rounded, written = fx.symbolic_trace(Rounded()), fx.symbolic_trace(Written())
    assert gradients(rounded, inputs, {"values"}, torch.Generator(), of_classes=False) == {}
    assert gradients(written, inputs, {"sigmoid"}, torch.Generator(), of_classes=False) is None
