"""Codecs by name: "raw", "fp16", "int8", "int8-channel", "int4", "int4-channel", "int4-clip", each also "+zstd" or "+zlib"."""

from __future__ import annotations

from functools import cache

from cic.codec.codec import Codec
from cic.codec.entropy import Entropy, zstd_here
from cic.codec.forms import Affine, Form, Half, Raw
from cic.errors import CodecError

_FORMS: dict[str, Form] = {
    "raw": Raw(),
    "fp16": Half(),
    "int8": Affine(255),
    "int8-channel": Affine(255, by_channel=True),
    "int4": Affine(15),
    "int4-channel": Affine(15, by_channel=True),
    "int4-clip": Affine(15, clipped=True),
}
_ENTROPIES: dict[str, Entropy | None] = {"": None, "zstd": "zstd", "zlib": "zlib"}
# What people call a float32 tensor sent as it is.
_OTHER_NAMES = {"fp32": "raw"}


@cache
def codec(name: str) -> Codec:
    """The codec of that name; "fp32" is another name of "raw". Raises CodecError listing the names when there is none."""
    form_name, plus, entropy_name = name.partition("+")
    form_name = _OTHER_NAMES.get(form_name, form_name)
    if form_name not in _FORMS or entropy_name not in _ENTROPIES or bool(plus) != bool(entropy_name):
        raise CodecError(f"there is no codec {name!r}; there are {', '.join(_FORMS)}, each also with '+zstd' or '+zlib'")
    return Codec(form_name + plus + entropy_name, _FORMS[form_name], _ENTROPIES[entropy_name])


def codec_names() -> tuple[str, ...]:
    """The names of all codecs, those of zstandard only where it is installed; lossless first, then by falling precision."""
    endings = ("", "+zstd", "+zlib") if zstd_here() else ("", "+zlib")
    return tuple(form + ending for form in _FORMS for ending in endings)


def entropy_here() -> str:
    """The ending to prefer on this machine: "+zstd" if zstandard is installed, else "+zlib"."""
    return "+zstd" if zstd_here() else "+zlib"
