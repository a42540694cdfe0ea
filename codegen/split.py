"""A split: one model as two, and how their results make up the whole model's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Half = Literal["head", "tail"]


@dataclass(frozen=True, slots=True)
class WireTensor:
    """One tensor as it stands at the border of a half: `bytes` is its size when contiguous and uncompressed."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True, slots=True)
class OutputSource:
    """Where one of the model's flat outputs comes from: the result of `half` at `position`."""

    half: Half
    position: int


@dataclass(frozen=True)
class Split:
    """Two halves of a model.

    head(*inputs) returns the tuple (*crossing, *kept); tail(*crossing) returns the tuple `returned`.

    head, tail: torch.fx graph modules from `fx_splitter`, `onnx_ir` models from `onnx_splitter`.
    inputs: the model's flat tensor inputs, all of them taken by the head.
    crossing: sent from device to server, in the order the tail takes them.
    kept: model outputs that are made, or merely passed through, on the device and not sent.
    returned: model outputs made on the server, sent back.
    outputs: for each of the model's flat outputs where it comes from; a crossing tensor may be a model output, too.
    """

    head: Any
    tail: Any
    inputs: tuple[WireTensor, ...]
    crossing: tuple[WireTensor, ...]
    kept: tuple[WireTensor, ...]
    returned: tuple[WireTensor, ...]
    outputs: tuple[OutputSource, ...]
