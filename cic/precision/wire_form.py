"""A form in which one tensor may cross: under which codec, and what that costs. Which codecs a precision allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cic.codec.registry import codec, entropy_here, stage_of
from cic.codec.registry import is_lossless as is_lossless_codec
from cic.codec.transform.transform_codec import KIND
from cic.errors import CompileError

# From exact to coarse; each allows the codecs of those before it, too.
_BY_PRECISION = {
    "fp32": ("raw",),
    "fp16": ("fp16",),
    "int8": ("int8", "int8-channel"),
    "int4": ("int4", "int4-clip", "int4-channel"),
    # Those are made for the tensors of a model, see `cic.precision.transforms`.
    KIND: (),
}
PRECISIONS = tuple(_BY_PRECISION)


@dataclass(frozen=True, slots=True)
class WireForm:
    """A codec for one tensor.

    codec: its name, see `cic.codec.registry`. wire_bytes: size of the payload, the mean over calibration inputs.
    encode_s: on the device, decode_s: on the server, as predicted for these machines.
    error: root of the mean squared error over that of the values themselves, the mean over calibration inputs; 0 if lossless.
    """

    codec: str
    wire_bytes: int
    encode_s: float
    decode_s: float
    error: float

    @property
    def features(self) -> tuple[int, int, int]:
        """Wire bytes, device ns, server ns, in whole numbers."""
        return self.wire_bytes, round(self.encode_s * 1e9), round(self.decode_s * 1e9)

    @property
    def stage(self) -> str:
        """What is lost, see `cic.codec.registry.stage_of`."""
        return stage_of(self.codec)


def as_it_is(tensor_bytes: int) -> WireForm:
    """The form without a codec."""
    return WireForm("raw", tensor_bytes, 0.0, 0.0, 0.0)


def codecs_for(precision: str | Sequence[str]) -> tuple[str, ...]:
    """Names of the codecs allowed, "raw" first.

    Args:
        precision: the coarsest of `PRECISIONS` allowed, or the codecs' names; sending a tensor as it is, is always allowed.
            "transform" stands for those that are made for each tensor, which have no names yet.

    Raises:
        CompileError: an unknown precision. CodecError: an unknown codec.
    """
    if isinstance(precision, str):
        if precision not in _BY_PRECISION:
            raise CompileError(
                f"precision is {precision!r}; it must be one of {', '.join(PRECISIONS)}, or a list such as ['int8+zstd']"
            )
        allowed = PRECISIONS[: PRECISIONS.index(precision) + 1]
        names = [name + ending for each in allowed for name in _BY_PRECISION[each] for ending in ("", entropy_here())]
    else:
        names = [codec(name).name for name in precision if name != KIND]
    return ("raw", *dict.fromkeys(name for name in names if name != "raw"))


def allows_transforms(precision: str | Sequence[str]) -> bool:
    """May transforms be made for the tensors of a model? See `codecs_for`."""
    return precision == KIND if isinstance(precision, str) else KIND in precision


def is_lossless(form: WireForm) -> bool:
    """Does every tensor come back bit by bit?"""
    return is_lossless_codec(form.codec)
