"""A half that an engine has loaded: arrays are checked on their way in and out, and what goes wrong names cut and half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cic.codec.tensors import carrier
from cic.engine.engine import Array
from cic.errors import EngineError
from codegen.errors import CodegenError
from codegen.formats.emitter import Runner
from codegen.loading import LoadedCut, run_half
from codegen.split import Half, WireTensor, common_batch, shown_shape


@dataclass(frozen=True)
class LoadedHalf:
    """See `cic.engine.engine.Engine`. runner: takes and gives contiguous arrays of the types that carry the tensors."""

    name: str
    cut: LoadedCut
    half: Half
    inputs: tuple[WireTensor, ...]
    outputs: tuple[WireTensor, ...]
    runner: Runner

    def run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        if len(arrays) != len(self.inputs):
            raise EngineError(f"the {self.half} of cut {self.cut.id} takes {len(self.inputs)} tensors, got {len(arrays)}")
        given = [self._taken(array, wire) for array, wire in zip(arrays, self.inputs, strict=True)]
        batch = common_batch(self.inputs, [array.shape for array in given])
        if batch is None and any(wire.batch is not None for wire in self.inputs):
            shapes = ", ".join(f"{wire.name} {array.shape}" for wire, array in zip(self.inputs, given, strict=True))
            raise EngineError(f"the {self.half} of cut {self.cut.id} takes tensors of one batch, got {shapes}")
        if not self.outputs:  # formats that cannot express a half without results return one that nobody asked for
            return ()
        try:
            what = f"the {self.half} of cut {self.cut.id} in {self.name}"
            results = run_half(self.runner, given, what, self.outputs, batch)
        except CodegenError as error:
            about = f"the {self.half} of cut {self.cut.id}"
            raise EngineError(str(error) if about in str(error) else f"{about}: {error}") from error
        if len(results) != len(self.outputs):
            raise EngineError(
                f"the {self.half} of cut {self.cut.id} in {self.name} gives {len(results)} tensors, its manifest has"
                f" {len(self.outputs)}; emit again"
            )
        return tuple(self._given(array, wire, given) for array, wire in zip(results, self.outputs, strict=True))

    def _taken(self, array: Array, wire: WireTensor) -> Array:
        held = np.asarray(array, order="C")
        if not wire.fits(held.shape) or held.dtype != carrier(wire.dtype):
            raise EngineError(
                f"the {self.half} of cut {self.cut.id} takes {wire.name} as {_described(wire)}, got {held.dtype} of shape"
                f" {held.shape}"
            )
        return held

    def _given(self, array: Array, wire: WireTensor, given: Sequence[Array]) -> Array:
        if array.dtype != carrier(wire.dtype):
            raise EngineError(
                f"the {self.half} of cut {self.cut.id} in {self.name} gives {wire.name} as {array.dtype}, its manifest has"
                f" {_described(wire)}; emit again"
            )
        # A half may hand an input on, or a part of it, which whoever called may change or reuse.
        shared = any(np.may_share_memory(array, one) for one in given)
        return np.array(array, copy=True) if shared else np.asarray(array, order="C")


def _described(wire: WireTensor) -> str:
    held = carrier(wire.dtype).name
    return f"{wire.dtype} of shape {shown_shape(wire)}" + ("" if held == wire.dtype else f", its bits in {held}")
