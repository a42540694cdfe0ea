"""A model runner: a traced model run on calibration samples: whole, cut in two, or with its tensors shown. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import Protocol

import torch

from cic.errors import CompileError
from cic.trace.traced import Runtime, Traced
from codegen.errors import needing
from codegen.split import Split

Tensors = tuple[torch.Tensor, ...]
See = Callable[[str, torch.Tensor], None]
"""Told the name of a tensor and its value, which it must not change."""

Change = Callable[[torch.Tensor], torch.Tensor]
"""Given the value of a tensor, returns another in its place."""


class ModelRunner(Protocol):
    """`cic.precision.torch_runner` and `cic.precision.onnx_runner` are the two there are.

    Samples and answers are tensors of torch. Raises CompileError, naming the model, where it does not run on a sample.
    """

    def observe(self, sample: Tensors, names: Collection[str], see: See) -> None:
        """Run the whole model on a sample and show each of the named tensors of its graph, in the order of the graph."""

    def gradients(
        self, sample: Tensors, names: Collection[str], generator: torch.Generator, *, of_classes: bool
    ) -> Mapping[str, torch.Tensor] | None:
        """See `cic.precision.transforms.gradients.gradients`; None where this runtime, or this model, has none."""

    def changed(self, sample: Tensors, name: str, change: Change) -> Sequence[torch.Tensor]:
        """See `cic.precision.transforms.changed_run.changed_run`; raises as `check_trainable` does."""

    def check_trainable(self) -> None:
        """Raise CompileError, naming the model, where its runtime has no gradients."""

    def whole(self, sample: Tensors) -> Sequence[torch.Tensor]:
        """Return the flat answer of the whole model."""

    def halves(self, device_nodes: Collection[str]) -> Split:
        """Return the model cut as it is emitted; head and tail are functions of flat tensors.

        device_nodes: members of the head's ops.
        """

    def most_together(self, samples: Sequence[Tensors], most: int) -> int:
        """How many samples, at most `most`, may be run as one, joined along the first dimension, with the answers unchanged."""


# The packages of a runtime are imported when a model is for it: onnx and its friends are needed for ONNX files only.
_RUNNERS: dict[Runtime, tuple[str, str]] = {
    "torch": ("cic.precision.torch_runner", "TorchRunner"),
    "onnxruntime": ("cic.precision.onnx_runner", "OnnxRunner"),
}


def runner_of(traced: Traced) -> ModelRunner:
    """The runner of the runtime that a traced model is for. Raises CompileError if a package of that runtime is missing."""
    module, name = _RUNNERS[traced.runtime]
    with needing(f"running {traced.source.called} on calibration inputs", "onnx", CompileError):
        runner: ModelRunner = getattr(import_module(module), name)(traced)
    return runner
