"""A model's own call as flat arrays, and flat arrays as its own answer: arrays of numpy, or tensors of torch if those came."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cic.codec.tensors import Array, array_of, carrier, tensor_of
from cic.errors import CodecError, InputError
from codegen.calls.call import flatten_call
from codegen.calls.structure import is_tensor, leaf_names, rebuild
from codegen.errors import codegen_error_as
from codegen.manifest import CutRecord, Manifest
from codegen.split import WireTensor


class ModelCall:
    """Calls of the model that a bundle was emitted from.

    batch: that all calls have; None if shapes are fixed.
    """

    def __init__(self, manifest: Manifest, batch: int | None = None) -> None:
        self._manifest, self.batch = manifest, batch
        self._names = leaf_names(manifest.input_structure)
        self._inputs = manifest.inputs if batch is None else tuple(wire.at_batch(batch) for wire in manifest.inputs)

    def flatten(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Array], bool]:
        """The tensors of a call in the order of the heads, and whether there is one of torch among them.

        Raises InputError naming the argument that is not what the model was compiled for.
        """
        with codegen_error_as(InputError):
            tensors = flatten_call(self._manifest.input_structure, args, kwargs)
        arrays = [_array(tensor, wire, name) for tensor, wire, name in zip(tensors, self._inputs, self._names, strict=True)]
        return arrays, "torch" in sys.modules and any(type(each).__module__.startswith("torch") for each in tensors)

    def takes(self, name: str) -> bool:
        """Do calls give an argument by this name?"""
        _, named = self._manifest.input_structure["items"]
        return name in named["keys"]

    def assemble(self, record: CutRecord, head_results: Sequence[Array], returned: Sequence[Array], *, as_torch: bool) -> Any:
        """The model's own answer, from the results of both halves of a cut."""
        halves = {"head": head_results, "tail": returned}
        flat: list[Any] = [halves[source.half][source.position] for source in record.outputs]
        if as_torch:
            flat = [_tensor(array, wire.dtype) for array, wire in zip(flat, record.output_wires, strict=True)]
        return rebuild(self._manifest.output_structure, flat)


def _array(tensor: Any, wire: WireTensor, name: str) -> Array:
    if not is_tensor(tensor):
        raise InputError(f"{name}: the model was compiled for a tensor, called with a {type(tensor).__qualname__}")
    try:
        array, dtype = array_of(tensor, name)
    except CodecError as error:
        raise InputError(str(error)) from None
    # The bits of a type that numpy lacks may come as the integers that hold them.
    if array.shape != wire.shape or dtype not in (wire.dtype, carrier(wire.dtype).name):
        raise InputError(
            f"{name}: the model was compiled for {wire.dtype} of shape {wire.shape}, called with {dtype} of shape"
            f" {tuple(array.shape)}; compile again for it"
        )
    return array


def _tensor(array: Array, dtype: str) -> Any:
    return tensor_of(array if array.flags.writeable else array.copy(), dtype)
