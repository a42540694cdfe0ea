"""A torch model on calibration samples: its flat module and the halves cut from that are run as they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from cic.precision.model_runner import Change, See, Tensors
from cic.precision.transforms.changed_run import changed_run
from cic.precision.transforms.gradients import gradients
from cic.trace.fx.observation import observe
from cic.trace.fx.traced_model import TracedModel
from codegen.split import Split
from codegen.verification.agreement import relative_error

SAME = 1e-4


@dataclass(frozen=True)
class TorchRunner:
    """See `cic.precision.model_runner.ModelRunner`."""

    traced: TracedModel

    def observe(self, sample: Tensors, names: Collection[str], see: See) -> None:
        def shown(node: fx.Node, value: object) -> None:
            if node.name in names and isinstance(value, torch.Tensor):
                see(node.name, value)

        observe(self.traced.module, sample, shown)

    def gradients(
        self, sample: Tensors, names: Collection[str], generator: torch.Generator, *, of_classes: bool
    ) -> Mapping[str, torch.Tensor] | None:
        return gradients(self.traced.module, sample, names, generator, of_classes=of_classes)

    def changed(self, sample: Tensors, name: str, change: Change) -> Sequence[torch.Tensor]:
        return changed_run(self.traced.module, sample, name, change)

    def check_trainable(self) -> None:
        """Of torch all have gradients, but for some operators."""

    def whole(self, sample: Tensors) -> Sequence[torch.Tensor]:
        with torch.no_grad():
            answer: Sequence[torch.Tensor] = self.traced.module(*sample)
        return answer

    def halves(self, device_nodes: Collection[str]) -> Split:
        return self.traced.source.split(device_nodes)

    def most_together(self, samples: Sequence[Tensors], most: int) -> int:
        return most if _runs_together(self.traced.module, samples) else 1


def _runs_together(module: fx.GraphModule, samples: Sequence[Tensors]) -> bool:
    """Do several samples, one after another along the first dimension, give at every node what they give alone?"""
    if len(samples) < 2 or any(not tensor.dim() for tensor in samples[0]):
        return False
    pair = samples[:2]
    try:
        alone = [_values(module, sample) for sample in pair]
        both = _values(module, tuple(torch.cat(parts) for parts in zip(*pair, strict=True)))
    except Exception:  # whatever a graph of fixed shapes makes of others  # noqa: BLE001
        return False
    for name, (first, second) in ((name, (alone[0][name], alone[1][name])) for name in alone[0]):
        if not first.dim() or both[name].shape != (2 * first.shape[0], *first.shape[1:]):
            return False
        if relative_error(both[name], torch.cat((first, second))) > SAME:
            return False
    return True


def _values(module: fx.GraphModule, inputs: Tensors) -> dict[str, torch.Tensor]:
    """Every tensor that depends on the inputs, by node."""
    values: dict[str, torch.Tensor] = {}
    constants: set[fx.Node] = set()

    def see(node: fx.Node, value: object) -> None:
        if node.op not in ("placeholder", "output") and constants.issuperset(node.all_input_nodes):
            constants.add(node)
        elif isinstance(value, torch.Tensor):
            values[node.name] = value

    observe(module, inputs, see)
    return values
