"""An engine: one loaded half that takes arrays of numpy and gives arrays, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from codegen.loading import LoadedCut
from codegen.split import WireTensor

Array = NDArray[Any]


class Engine(Protocol):
    """One half of one cut, ready to run. `cic.engine.opening.open_half` makes one.

    Arrays have the types that `cic.codec.tensors.carrier` gives: those that numpy has as they are, bfloat16 as uint16 and the
    types of eight bits as uint8, which hold their bits.
    """

    @property
    def name(self) -> str:
        """What runs it, and where, unless that is the processor: "onnxruntime", "torchscript:cuda", "openvino:GPU"."""

    @property
    def inputs(self) -> tuple[WireTensor, ...]:
        """The tensors that it takes: the model's flat inputs for a head, the crossing tensors for a tail."""

    @property
    def outputs(self) -> tuple[WireTensor, ...]:
        """The tensors that it gives: (*crossing, *kept) for a head, the returned ones for a tail."""

    @property
    def cut(self) -> LoadedCut:
        """The cut of this emission: its manifest, its record, its codecs, and how a call and an answer become flat tensors."""

    def run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """The results, in the order of `outputs`, in memory of their own; `arrays` are in the order of `inputs`.

        The results are complete when this returns, and what copies between a card and the main memory take is part of its time.
        Raises EngineError naming the cut and the half: for arrays of other shapes or types, and if it cannot compute with them.
        """
