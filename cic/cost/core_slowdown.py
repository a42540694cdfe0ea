"""How long codecs take on a machine that nobody measured them on: how much slower its core is than one that was measured.

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
from functools import cache
from importlib import resources

from cic.cost.catalogue import machine, machines
from cic.cost.codec_time import CodecTime, read_codec_times
from cic.cost.machine import Machine
from codegen.checked_json import Fields

CATALOGUE_FILE = "codec_times.json"


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


def catalogue_codec_times() -> tuple[CodecTime, ...]:
    """What codecs take on a core whose slowdown is 1."""
    return _known()[0]


@cache
def _known() -> tuple[tuple[CodecTime, ...], Machine]:
    """The times, and the machine of the catalogue that they are taken to be of."""
    body = json.loads(resources.files(__package__).joinpath(CATALOGUE_FILE).read_text(encoding="utf-8"))
    return read_codec_times(Fields(body)), machine(body["as_machine"])
