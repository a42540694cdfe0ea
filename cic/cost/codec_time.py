"""Seconds to encode and decode a tensor under a codec: measured on a machine, or predicted from its figures.

A codec takes a fixed time, a time for each value, and a time for each byte of its payload. A profile holds the three as
measured on its machine (`cic.cost.codec_measure`). For a machine of the catalogue they are those of codec_times.json,
measured on one core of a server, multiplied by how much slower a core of the other is.

The assumption behind that: a codec runs on one core, and cores differ by one factor for all codecs. The factor is the
ratio of the figures in `Machine`, memory or arithmetic, whichever is smaller: a figure is also low where only the inference
software is slow (TensorFlow on a Raspberry Pi 4: a tenth of ncnn's memory figure), and codecs do not share that software.
The server's core is taken for the one of the catalogue that codec_times.json names, an older kind, because figures compare
only if they come from the same inference software. Figures taken with n threads count as sqrt(n) cores: the boards that
the catalogue lists with one and with more threads gain 1.7, 1.8 and 1.7, 2.0 times with 4, and 10 and 7.4 with 64. No core
counts as faster than the known one. A GPU's host runs the codec: the catalogue's entry for it, or else as if it were one.
Good for planning, within a factor of two perhaps; for a machine at hand, profile it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from cic.cost.catalogue import machine, machines
from cic.cost.machine import Machine
from cic.errors import CostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cic.cost.profile import Profile

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


def codec_seconds(source: Machine | Profile, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
    """Seconds to encode a tensor on a machine, and to decode it there.

    source: where. codec: any name that `cic.codec.registry.codec` knows. elements: values of the tensor. wire_bytes: of
    its payload.
    Raises CostError when the profile was made without that codec, or nothing is known of it.
    """
    key = plain_name(codec)
    if isinstance(source, Machine):
        times, slowdown = _known()[0], core_slowdown(source)
        where = "codec_times.json"
    else:
        times, slowdown = {time.codec: time for time in source.codecs}, 1.0
        where = f"the profile of {source.model!r} made on {source.name}"
    if key not in times:
        raise CostError(
            f"the codec {key!r} is not in {where}, which has {', '.join(times) or 'none'}: profile again there with this CIC"
            " and the package zstandard installed, or choose one of those"
        )
    time = times[key]
    return slowdown * time.encode.seconds(elements, wire_bytes), slowdown * time.decode.seconds(elements, wire_bytes)


def core_slowdown(other: Machine) -> float:
    """How many times longer a codec takes on one core of `other` than where codec_times.json was measured; at least 1."""
    known = _known()[1]
    if other.name.endswith("-gpu"):
        host = other.name.removesuffix("gpu") + "cpu"
        other = next((each for each in machines() if each.name == host), other)
    cores = math.sqrt(max(1, other.threads))
    memory = known.memory_bytes_per_s / (other.memory_bytes_per_s / cores)
    arithmetic = known.flops_per_s / (other.flops_per_s / cores)
    return max(1.0, min(memory, arithmetic))


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


@cache
def _known() -> tuple[Mapping[str, CodecTime], Machine]:
    """Times by codec, and the machine of the catalogue that they are taken to be of."""
    body = json.loads(resources.files(__package__).joinpath("codec_times.json").read_text(encoding="utf-8"))
    times = codec_times_from_json("codecs", body["codecs"])
    return {time.codec: time for time in times}, machine(body["as_machine"])
