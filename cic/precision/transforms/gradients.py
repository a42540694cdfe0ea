"""What an answer feels of an error in its tensors: gradients of random directions of the answer. Needs torch.

To second order, an error e in a tensor moves the distribution of classes by a Kullback-Leibler divergence of e' F e / 2. F is
the Fisher information: the mean of g g' over answers drawn as probable as the model finds them, with g the gradient of the
logarithm of the drawn answer's probability (Amari, Information Geometry and Its Applications, 2016, section 1.4). An answer of
other numbers y changes by a relative squared error of e' J'J e / |y|^2 with J the Jacobian; J'J is the mean of g g' for
gradients g of r'y with normally distributed r.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import fx

Gradients = dict[str, torch.Tensor]


def gradients(
    module: fx.GraphModule, inputs: Sequence[Any], names: Collection[str], generator: torch.Generator, *, of_classes: bool
) -> Gradients | None:
    """The gradients of one random direction of the answer, by node; None where the module cannot be differentiated.

    names: of nodes that are wanted; those that the answer does not depend on smoothly have none.
    of_classes: the first tensor of the answer is scores of classes along dimension 1, and nothing else counts.
    """
    run = _Felt(module, frozenset(names))
    try:
        with torch.inference_mode(False), torch.enable_grad():
            answer = run.run(*plain(inputs), enable_io_processing=False)
            direction = _drawn_class(answer[0], generator) if of_classes else _drawn_direction(answer, generator)
            if not direction.requires_grad:
                return {}
            found = torch.autograd.grad(direction, list(run.kept.values()), allow_unused=True)
    except (RuntimeError, NotImplementedError):  # an operator without a derivative, or one that writes into its inputs
        return None
    return {name: each for name, each in zip(run.kept, found, strict=True) if each is not None and bool(each.isfinite().all())}


def plain(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Inputs as gradients take them: those that were made in inference mode as copies, which may be remembered."""
    return [each.clone() if each.is_inference() else each.detach() for each in inputs]


class _Felt(fx.Interpreter):
    """A run that keeps the wanted values in reach of gradients, also where weights and inputs ask for none."""

    def __init__(self, module: fx.GraphModule, names: frozenset[str]) -> None:
        super().__init__(module)
        self.names, self.kept = names, Gradients()

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.names and isinstance(value, torch.Tensor) and value.is_floating_point():
            value = value if value.requires_grad else value.detach().requires_grad_()
            self.kept[n.name] = value
        return value


def _drawn_class(scores: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The mean, over rows and places, of the logarithm of the probability of a drawn class, times the root of their number.

    Draws are independent, so the mean of g g' for the sum over places is the sum of theirs; divided by the number of places
    it is what one place feels.
    """
    logarithms = scores.double().movedim(1, -1).flatten(0, -2).log_softmax(1)
    drawn = torch.multinomial(logarithms.detach().exp(), 1, generator=generator)
    total: torch.Tensor = logarithms.gather(1, drawn).sum()
    return total / math.sqrt(len(logarithms))


def _drawn_direction(answer: Sequence[torch.Tensor], generator: torch.Generator) -> torch.Tensor:
    """The sum, over output tensors, of r'y / |y|."""
    total = torch.zeros((), dtype=torch.float64)
    for each in answer:
        if each.is_floating_point() and (size := float(each.detach().double().norm())) > 0:
            drawn = torch.randn(each.shape, generator=generator, dtype=torch.float64)
            total = total + (drawn * each.double()).sum() / size
    return total
