"""Arrays like those a model was compiled for, drawn from what the splitting model says of them. Needs numpy, and no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cic.codec.tensors import Array, carrier
from cic.decision.stored_graph import StoredCall, StoredInput
from cic.errors import ArtifactError
from codegen.split import WireTensor

SEED = 0


def example_arrays(call: StoredCall, inputs: Sequence[WireTensor], seed: int = SEED) -> tuple[Array, ...]:
    """One array for each flat input of a bundle, in its order; of a type that numpy lacks, the integers that hold its bits.

    Raises ArtifactError if the call is not that of the bundle.
    """
    described = [(tensor.shape, tensor.dtype) for tensor in call.tensors]
    expected = [(wire.shape, wire.dtype) for wire in inputs]
    fits = len(described) == len(inputs) and all(
        wire.fits(shape) and wire.dtype == dtype for wire, (shape, dtype) in zip(inputs, described, strict=True)
    )
    if not fits:
        raise ArtifactError(f"the model was compiled for the inputs {described}, its halves take {expected}; emit again")
    draw = np.random.default_rng(seed)
    return tuple(_drawn(tensor, draw) for tensor in call.tensors)


def _drawn(tensor: StoredInput, draw: np.random.Generator) -> Array:
    held, values = carrier(tensor.dtype, tensor.name), tensor.values
    if tensor.dtype == "bfloat16":
        # Its bits are the upper half of those of a float32.
        wide = _normal(tensor, draw).astype(np.float32)
        return (wide.view(np.uint32) >> 16).astype(held)
    if held.kind in "fc":
        return _normal(tensor, draw).astype(held)
    low, high = int(values.get("low", 0)), int(values.get("high", 1))
    return draw.integers(low, high, tensor.shape, dtype=np.int64, endpoint=True).astype(held)


def _normal(tensor: StoredInput, draw: np.random.Generator) -> Array:
    return draw.normal(tensor.values.get("mean", 0.0), tensor.values.get("deviation", 1.0), tensor.shape)
