"""Seconds to encode and decode a tensor under a codec: a fixed time, a time for each value, a time for each payload byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cic.errors import CostError
from codegen.checked_json import Fields, is_number, shown

NORMALISATION = "normalisation"
"""The name under which the time of making floats of pixels is kept, as that of decoding; see `cic.cost.pixel_prices`."""

_QUALITY = re.compile(r"^(jpeg|webp)\d+")

# No codec takes longer for a tensor that anybody sends.
_LONGEST_S = 86_400.0

# A transform's time is that of its numbers and payload bytes, and that of its products, of which a machine may be more capable.
TRANSFORM = "transform"
PRODUCTS = "transform-products"


@dataclass(frozen=True, slots=True)
class Rate:
    """fixed_s + per_element_s * values + per_byte_s * bytes of the payload. Raises CostError for a negative or odd one."""

    fixed_s: float
    per_element_s: float
    per_byte_s: float

    def __post_init__(self) -> None:
        for field in ("fixed_s", "per_element_s", "per_byte_s"):
            if not is_number(value := getattr(self, field), 0, _LONGEST_S):
                raise CostError(f"{field} of a codec is {shown(value)}; it must be a number between 0 and {_LONGEST_S:.0f}")

    def seconds(self, elements: int, wire_bytes: int) -> float:
        """For a tensor of so many values whose payload has so many bytes."""
        return self.fixed_s + self.per_element_s * elements + self.per_byte_s * wire_bytes


@dataclass(frozen=True, slots=True)
class CodecTime:
    """What one codec takes on one machine. codec: see `plain_name`."""

    codec: str
    encode: Rate
    decode: Rate


def seconds_of_codec(times: Sequence[CodecTime], where: str, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
    """Seconds to encode a tensor and to decode it, by the times known; the arguments are those of `CostSource.codec_seconds`.

    times: of each codec. where: they come from, for the message.
    Raises CostError when the codec is not among them.
    """
    key = plain_name(codec)
    time = next((time for time in times if time.codec == key), None)
    if time is None:
        raise CostError(
            f"the codec {key!r} is not in {where}, which has {', '.join(time.codec for time in times) or 'none'}: profile again"
            " there with this CIC and the package zstandard installed, or choose one of those"
        )
    return time.encode.seconds(elements, wire_bytes), time.decode.seconds(elements, wire_bytes)


def plain_name(codec: str) -> str:
    """The name under which a codec's times are kept: without parameters, JPEG and WebP without quality, "raw" for "fp32".

    A transform's is that of its kind, however much it loses.
    """
    name, _, _ = codec.partition(",")
    form, plus, entropy = name.strip().partition("@")[0].partition("+")
    form = _QUALITY.sub(r"\1", form)
    form = TRANSFORM if form.startswith(f"{TRANSFORM}-") and form != PRODUCTS else form
    return {"fp32": "raw"}.get(form, form) + plus + entropy


def read_codec_times(fields: Fields) -> tuple[CodecTime, ...]:
    """What a file says about `codecs`. Raises the error of the fields, naming the one that does not fit."""
    times = tuple(map(_one_time, fields.objects("codecs")))
    if len({time.codec for time in times}) != len(times):
        raise fields.error(f"codecs names a codec twice; it has one time: {', '.join(time.codec for time in times)}")
    return times


def _one_time(fields: Fields) -> CodecTime:
    fields.only(("codec", "encode", "decode"))
    return CodecTime(fields.text("codec"), _rate(fields.object("encode")), _rate(fields.object("decode")))


def _rate(fields: Fields) -> Rate:
    names = ("fixed_s", "per_element_s", "per_byte_s")
    for name in fields.only(names).names(names):
        fields.number(name, 0, _LONGEST_S)
    return Rate(*(fields[name] for name in names))
