"""Codecs by name: "raw", "fp16", "int8", "int8-channel", "int4", "int4-channel", "int4-clip", each also "+zstd" or "+zlib".

For an input that is declared as pixels (`cic.codec.pixels`): "uint8", also "+zstd" or "+zlib", "png", "jpeg90", "jpeg90-444"
and "webp75" (or another quality), followed by the declaration: "png, mean=0.5, std=0.25".

For one tensor of one model: "transform-0.03@" and the SHA-256 of its stored numbers (`cic.codec.transform.transform_codec`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from cic.codec.codec import Codec
from cic.codec.entropy import Entropy, zstd_here
from cic.codec.form_codec import FormCodec
from cic.codec.forms import Affine, Form, Half, Raw
from cic.codec.picture import PictureCodec, PictureKind
from cic.codec.pixels import PixelForm, parse_normalisation
from cic.codec.transform.transform_codec import digest_in, stored_codec
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
_PICTURE = re.compile(r"(png)|(?:(webp)|(jpeg))([1-9][0-9]?|100)((?(3)-444)?)")
_PICTURE_KINDS: dict[str, PictureKind] = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
# Qualities worth trying, from fine to coarse: sizes fall by about a tenth from one to the next.
LOSSY_PICTURES = (
    *(f"jpeg{quality}" for quality in (95, 92, 90, 87, 85, 80, 75, 70, 65, 60, 50, 40, 32, 25, 20, 15, 12, 10, 5, 1)),
    *(f"jpeg{quality}-444" for quality in (95, 92, 90, 87, 85, 80, 75, 65, 50, 40, 32, 25)),
    *(f"webp{quality}" for quality in (90, 85, 82, 78, 75, 65, 60, 55, 50, 35, 25, 15, 10, 5, 1)),
)
LONGEST_NAME = 1000


def codec(name: str, stored: Mapping[str, bytes] | None = None) -> Codec:
    """The codec of that name; "fp32" is another name of "raw".

    stored: what this side has from its own files for codecs that were made for one tensor, by its SHA-256 in hexadecimal.
    Raises CodecError listing the names when there is none, and for a codec whose numbers are not stored.
    """
    if not isinstance(name, str):
        raise CodecError(f"the name of a codec is a text, not {type(name).__name__}")
    digest = digest_in(name)
    return _codec(name) if digest is None else stored_codec(name, digest, stored or {})


def is_lossless(name: str) -> bool:
    """As `Codec.lossless`, known from the name. Raises CodecError for a name of no codec."""
    return digest_in(name) is None and codec(name).lossless


# Few are used at once; a peer that names ever new ones may not fill the memory.
@lru_cache(maxsize=64)
def _codec(name: str) -> Codec:
    kind, _, declaration = name[:LONGEST_NAME].partition(",")
    form_name, plus, entropy_name = kind.strip().partition("+")
    form_name = _OTHER_NAMES.get(form_name, form_name)
    picture = _PICTURE.fullmatch(form_name)
    if (
        len(name) > LONGEST_NAME
        or (form_name not in _FORMS and form_name != "uint8" and not picture)
        or entropy_name not in _ENTROPIES
        or bool(plus) != bool(entropy_name)
        or (picture and plus)
        or (form_name in _FORMS and "," in name)
    ):
        raise CodecError(
            f"there is no codec {name[:80]!r}; there are {', '.join(_FORMS)}, each also with '+zstd' or '+zlib', and for pixels"
            " uint8, png, jpeg90, jpeg90-444 and webp75 with their normalisation"
        )
    if form_name in _FORMS:
        return FormCodec(form_name + plus + entropy_name, _FORMS[form_name], _ENTROPIES[entropy_name])
    pixels = PixelForm(parse_normalisation(declaration))
    full_name = form_name + plus + entropy_name + str(pixels.normalisation)
    if picture:
        kind = _PICTURE_KINDS[picture[1] or picture[2] or picture[3]]
        return PictureCodec(full_name, pixels, kind, int(picture[4] or 100), all_colours=bool(picture[5]))
    return FormCodec(full_name, pixels, _ENTROPIES[entropy_name])


def stage_of(name: str) -> str:
    """The part of a codec's name that says what is lost: without the entropy stage, and without the declaration of an input.

    Each transform loses otherwise, so of its name nothing is left out.
    """
    return name.partition(",")[0].partition("+")[0].strip()


def is_coarser_picture(stage: str, other: str) -> bool:
    """Are both stages (`stage_of`) files of one kind, and has the first the lower quality?"""
    mine, theirs = _PICTURE.fullmatch(stage), _PICTURE.fullmatch(other)
    if mine is None or theirs is None or not (mine[4] and theirs[4]):
        return False
    return mine.group(2, 3, 5) == theirs.group(2, 3, 5) and int(mine[4]) < int(theirs[4])


def largest_payload_bytes(shape: Sequence[int], dtype: str) -> int:
    """No payload of such a tensor is larger, whatever the codec: all but pictures send at most the values as they are."""
    chosen = [codec(name) for name in ("raw+zlib", "png")]
    return max(each.largest_bytes(shape, dtype) for each in chosen if each.accepts(dtype))


def codec_names() -> tuple[str, ...]:
    """The names of all codecs, those of zstandard only where it is installed; lossless first, then by falling precision."""
    endings = ("", "+zstd", "+zlib") if zstd_here() else ("", "+zlib")
    return tuple(form + ending for form in _FORMS for ending in endings)


def input_codecs(declaration: str, *, lossy: bool = False) -> tuple[str, ...]:
    """The codecs for an input declared as pixels: "uint8", the same compressed, "png", and `LOSSY_PICTURES` if asked for.

    Raises CodecError when the declaration cannot be understood.
    """
    kind, _, rest = declaration.partition(",")
    if kind.strip() != "uint8":
        raise CodecError(f"an input is declared as {kind.strip()!r}; it begins with 'uint8', as in 'uint8, mean=0.5, std=0.25'")
    normalisation = parse_normalisation(rest)
    kinds = ["uint8", "uint8" + entropy_here(), "png", *(LOSSY_PICTURES if lossy else ())]
    return tuple(codec(f"{kind}{normalisation}").name for kind in kinds)


def entropy_here() -> str:
    """The ending to prefer on this machine: "+zstd" if zstandard is installed, else "+zlib"."""
    return "+zstd" if zstd_here() else "+zlib"
