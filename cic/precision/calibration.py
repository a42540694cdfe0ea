"""Calibration inputs: real ones, on which payloads are measured and answers compared. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch

from cic.errors import CodecError, CompileError
from cic.precision.batch import batch_of, batches_in, flat_inputs
from cic.precision.model_runner import Tensors
from cic.trace.traced import Traced


@dataclass(frozen=True)
class Calibration:
    """Inputs of the shape that a model was compiled for.

    samples: for each, the model's flat input tensors. labels: for each, what the answer should be, or None.
    """

    samples: tuple[Tensors, ...]
    labels: tuple[torch.Tensor, ...] | None

    def parted(self, count: int) -> tuple[Calibration, Calibration]:
        """So many samples spread over all, and the others, each with their labels."""
        others = self.others(count)
        return self.some(sorted(set(range(len(self.samples))).difference(others))), self.some(others)

    def others(self, count: int) -> list[int]:
        """The numbers of the samples that are left where so many are taken that are spread over all."""
        taken = {number * len(self.samples) // count for number in range(count)}
        return [number for number in range(len(self.samples)) if number not in taken]

    def some(self, numbers: Sequence[int]) -> Calibration:
        """The samples of these numbers, with their labels."""
        labels = None if self.labels is None else tuple(self.labels[number] for number in numbers)
        return Calibration(tuple(self.samples[number] for number in numbers), labels)

    def distinct(self) -> int:
        """How many of the samples differ from all before them."""
        return len({b"".join(map(_bytes_of, sample)) for sample in self.samples})


def calibration_of(traced: Traced, batches: Sequence[Any] | None) -> Calibration:
    """Batches as a person gives them, cut to the batch size of the compiled call.

    Args:
        batches: each a tensor or an array (the one input), a pair (tensor, labels), or a dict with "args", "kwargs" and
            "labels", of which any may be missing. For an ONNX model, whose inputs have names, a dict of inputs by name, and
            perhaps "labels", does as well. A batch may be several times as large along the first dimension as the example
            inputs. None: the example inputs are the only sample.

    Raises:
        CompileError: a batch does not fit the model's inputs, or holds what is not finite; says which, and the shapes.
        CodecError: the model takes pixels, and a batch holds floats that none give.
    """
    structure, example = traced.source.input_structure, traced.source.example_inputs
    if batches is None:
        return Calibration((tuple(example),), None)
    samples: list[Tensors] = []
    labels: list[torch.Tensor] = []
    for number, given in enumerate(batches_in(batches, example)):
        batch = batch_of(number, given, structure)
        tensors = [_tensor_of(number, value) for value in flat_inputs(number, given, batch, structure)]
        tensors = _as_pixels(traced, number, tensors)
        pieces = _pieces(number, tensors, example)
        samples.extend(pieces)
        if batch.labels is not None:
            labels.extend(_labels_of(number, batch.labels, len(pieces)))
    if not samples:
        raise CompileError("calibration holds no batch; pass some inputs, or None to use the example inputs")
    if labels and len(labels) != len(samples):
        raise CompileError(f"calibration has labels for {len(labels)} of {len(samples)} samples; give all of them, or none")
    return Calibration(tuple(samples), tuple(labels) or None)


def _as_pixels(traced: Traced, number: int, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Pixels where the model takes those; they may be given normalised."""
    if traced.pixel_inputs is None:
        return tensors
    try:
        return traced.pixel_inputs.pixels(tensors)
    except CodecError as error:
        raise CodecError(f"calibration batch {number}: {error}") from error


def _bytes_of(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return blake2b(flat.numpy().data).digest()


def _tensor_of(number: int, value: Any) -> torch.Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CompileError(
            f"calibration batch {number} holds a {type(value).__name__} of {value.dtype}, of which torch can make no tensor: "
            f"{error}"
        ) from error


def _pieces(number: int, tensors: Sequence[torch.Tensor], example: Sequence[torch.Tensor]) -> list[Tensors]:
    """The batch as samples of the example's shapes."""
    counts = set()
    for tensor, expected in zip(tensors, example, strict=True):
        if tensor.is_meta:
            raise CompileError(f"calibration batch {number} holds a tensor on the meta device, which has no values")
        if tensor.layout != torch.strided:
            raise CompileError(
                f"calibration batch {number} has a tensor of the layout {tensor.layout}; give it dense, as its to_dense() does"
            )
        fits = tensor.dtype == expected.dtype and tensor.dim() == expected.dim()
        if not fits or (tensor.shape != expected.shape and (not tensor.dim() or tensor.shape[1:] != expected.shape[1:])):
            raise CompileError(
                f"calibration batch {number} holds a {tensor.dtype} tensor of shape {tuple(tensor.shape)}, the model was "
                f"compiled for {expected.dtype} {tuple(expected.shape)}; only the first dimension may be a multiple"
            )
        if (tensor.is_floating_point() or tensor.is_complex()) and not bool(tensor.isfinite().all()):
            raise CompileError(
                f"calibration batch {number} holds NaN or infinity in an input of shape {tuple(tensor.shape)}; accuracy can "
                "only be measured on finite inputs: leave such samples out, or write a large number for infinity"
            )
        counts.add(1 if tensor.shape == expected.shape else tensor.shape[0] / max(expected.shape[0], 1))
    count = next(iter(counts))
    if len(counts) != 1 or not count or not float(count).is_integer():
        raise CompileError(
            f"calibration batch {number} is {sorted(counts)} times as large as the compiled inputs; it must be a whole multiple"
        )
    count = int(count)
    if count == 1:
        return [tuple(tensors)]
    split = [tensor.split(expected.shape[0]) for tensor, expected in zip(tensors, example, strict=True)]
    return list(zip(*split, strict=True))


def _labels_of(number: int, labels: Any, count: int) -> list[torch.Tensor]:
    try:
        tensor = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CompileError(
            f"the labels of calibration batch {number} are {type(labels).__name__}, which is no tensor of classes: {error}"
        ) from error
    if tensor.is_meta or not tensor.numel() or not tensor.dim() or tensor.shape[0] % count:
        raise CompileError(
            f"calibration batch {number} has labels of shape {tuple(tensor.shape)} on {tensor.device} for {count} samples; "
            "give each its own row"
        )
    return list(tensor.split(tensor.shape[0] // count))
