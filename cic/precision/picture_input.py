"""The form in which a device holds the pictures that a model takes: pixels, or files, and the normalisation behind them."""

from __future__ import annotations

from dataclasses import dataclass

from cic.codec.pixels import Normalisation, parse_normalisation
from cic.codec.registry import LOSSY_PICTURES, codec, entropy_here, stage_of
from cic.errors import CompileError

PIXELS = "uint8"


@dataclass(frozen=True)
class PictureInput:
    """held: "uint8", or the codec of the device's files. normalisation: makes of pixels what the model computes with."""

    held: str
    normalisation: Normalisation

    @property
    def is_file(self) -> bool:
        return self.held != PIXELS

    def codecs(self, *, lossy: bool) -> tuple[str, ...]:
        """Under which codecs pixels may cross, besides as they are; the form of the device's files first.

        lossy: may pictures lose something on the way? Files that lose something are not coded once more.
        """
        again = LOSSY_PICTURES if lossy and not self.is_file else ()
        held = (self.held,) if self.is_file else ()
        return tuple(dict.fromkeys((*held, PIXELS + entropy_here(), "png", *again)))


def picture_input(declared: str) -> PictureInput:
    """What a person declares: "uint8, mean=0.485 0.456 0.406, std=0.229 0.224 0.225", or "png, …", "jpeg90, …", "webp75, …".

    Raises CodecError or CompileError for what declares nothing that there is.
    """
    kind = codec(declared).name.partition(",")[0]
    if not codec(kind).of_pixels or kind != stage_of(kind):
        raise CompileError(
            f"input is declared as {declared!r}; it must begin with uint8, png, jpeg90 or webp75, as in 'uint8, mean=0.5'"
        )
    return PictureInput(kind, parse_normalisation(declared.partition(",")[2]))
