"""Seconds to encode and decode a tensor under a codec: a fixed time, a time for each value, a time for each payload byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cic.errors import CostError

# No codec takes longer for a tensor that anybody sends.
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Rate:
    """fixed_s + per_element_s * values + per_byte_s * bytes of the payload. Raises CostError for a negative or odd one."""

    fixed_s: float
    per_element_s: float
    per_byte_s: float

    def __post_init__(self) -> None:
        for field in ("fixed_s", "per_element_s", "per_byte_s"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_S:
                raise CostError(f"{field} of a codec is {value!r}; it must be a number between 0 and {_LONGEST_S:.0f}")

    def seconds(self, elements: int, wire_bytes: int) -> float:
        """For a tensor of so many values whose payload has so many bytes."""
        return self.fixed_s + self.per_element_s * elements + self.per_byte_s * wire_bytes


@dataclass(frozen=True, slots=True)
class CodecTime:
    """What one codec takes on one machine. codec: see `plain_name`."""

    codec: str
    encode: Rate
    decode: Rate

    def __post_init__(self) -> None:
        if not isinstance(self.codec, str) or not self.codec:
            raise CostError(f"a codec's name is {self.codec!r}; it must be text that is not empty")


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
    """The name under which a codec's times are kept: without parameters, JPEG in every quality, and "raw" for "fp32"."""
    name, _, _ = codec.partition(",")
    form, plus, entropy = name.strip().partition("+")
    form = "jpeg" if form.startswith("jpeg") else form
    return {"fp32": "raw"}.get(form, form) + plus + entropy


def codec_times_from_json(where: str, entries: Any) -> tuple[CodecTime, ...]:
    """What a profile says about codecs, checked. Raises CostError naming the field."""
    if not isinstance(entries, list):
        raise CostError(f"{where} is a {type(entries).__name__}, not a list")
    times = [_one_time(f"{where}[{index}]", entry) for index, entry in enumerate(entries)]
    if len({time.codec for time in times}) != len(times):
        raise CostError(f"{where} names a codec twice; it has one time: {', '.join(time.codec for time in times)}")
    return tuple(times)


def _one_time(where: str, entry: Any) -> CodecTime:
    _check_fields(where, entry, ("codec", "encode", "decode"))
    for field in ("encode", "decode"):
        _check_fields(f"{where}.{field}", entry[field], ("fixed_s", "per_element_s", "per_byte_s"))
    try:
        return CodecTime(entry["codec"], Rate(**entry["encode"]), Rate(**entry["decode"]))
    except CostError as error:
        raise CostError(f"{where}: {error}") from None


def _check_fields(where: str, entry: Any, wanted: tuple[str, ...]) -> None:
    if not isinstance(entry, dict) or entry.keys() != set(wanted):
        found = ", ".join(map(repr, entry)) if isinstance(entry, dict) else type(entry).__name__
        raise CostError(f"{where} has {found}, expected are {', '.join(wanted)}")
