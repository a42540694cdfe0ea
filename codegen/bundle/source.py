"""A `Source`: the model that a bundle is made from, of whatever kind it is. It can be run whole, and be cut into two halves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from codegen.calls.structure import Structure
from codegen.operator_libraries import Need
from codegen.rounding import Step
from codegen.split import Half, Split, WireTensor

if TYPE_CHECKING:
    import torch

    from codegen.splitters.open_batch import Batches

Whole = Callable[..., "Sequence[torch.Tensor]"]
"""A model as a function from its flat input tensors to its flat output tensors."""


@dataclass(frozen=True, slots=True)
class Program:
    """One half as an `Emitter` writes it, tensors that it accepts, the libraries whose operators its file calls, and the
    open axes of each input; none if all shapes are fixed."""

    half: Any
    example: Sequence[torch.Tensor]
    needs: tuple[Need, ...] = ()
    open_axes: tuple[tuple[int, ...], ...] = ()


class Source(Protocol):
    """`codegen.bundle.torch_source` and `codegen.bundle.onnx_source` are the two there are."""

    @property
    def called(self) -> str:
        """The words for the model in a message, such as the path of its file."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats its halves can be written in, first the usual one."""

    @property
    def model_digest(self) -> str:
        """The text that names the model in a manifest."""

    @property
    def weights_digest(self) -> str:
        """A SHA-256 over all weights, which tells two trainings of one model apart."""

    @property
    def inputs(self) -> tuple[WireTensor, ...]:
        """The model's flat inputs, in the order in which the halves take them."""

    @property
    def example_inputs(self) -> Sequence[torch.Tensor]:
        """A tensor for each of the inputs."""

    @property
    def batches(self) -> Batches | None:
        """At which batches the model was traced; None if all shapes are fixed."""

    @property
    def input_structure(self) -> Structure:
        """The structure of {"args": (...), "kwargs": {...}}, whose leaves are the inputs (`codegen.calls.structure`)."""

    @property
    def output_structure(self) -> Structure:
        """The structure of the model's answer, whose leaves are its outputs."""

    @property
    def nodes(self) -> frozenset[str]:
        """The names of the nodes of its graph."""

    def whole(self, *, optimize: bool = True) -> Whole:
        """Return the model as its own runtime runs it, uncut: the halves are compared with its answers.

        optimize: with all optimisations that the runtime has for this machine, if it has any.
        """

    def steps(self) -> Sequence[Step]:
        """Return for each output how far one rounding step moves it; nothing if no value is quantised."""

    def split(self, device_nodes: Collection[str]) -> Split:
        """Cut the model so that these nodes of its graph run in the head; UnsplittableError if that is not possible."""

    def onward(self, split: Split) -> Source:
        """Return the tail of a split as a source of its own, which can be cut again: its inputs are the crossing tensors, its
        outputs what the tail returns."""

    def programs(self, split: Split, format_name: str) -> Mapping[Half, Program]:
        """Return both halves of a split as the emitter of a format takes them."""


def onward_digest(model_digest: str, split: Split) -> str:
    """The text that names the tail of a split in a manifest: of the model, and of where it is cut."""
    borders = [tensor.name for tensor in (*split.crossing, *split.returned)]
    return hashlib.sha256("\n".join((model_digest, *borders)).encode()).hexdigest()
