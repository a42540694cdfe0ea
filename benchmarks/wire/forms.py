"""What tensors and pictures take on the wire, by assumption or as measured: the rows of the wire table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

BITS_PER_BYTE = 8
JPEG_BYTES, SMALL_JPEG_BYTES = 150_000, 20_000


@dataclass(frozen=True)
class Form:
    """One form of one tensor: bytes, and seconds to encode it on the device and to decode it on the server."""

    bytes: int
    device_s: float = 0.0
    server_s: float = 0.0

    def crossing_s(self, uplink_mbps: float) -> float:
        return self.device_s + self.server_s + seconds_on_wire(self.bytes, uplink_mbps)


@dataclass(frozen=True)
class Wire:
    """What a cut sends.

    forms: of a tensor of so many values, rectified or not (None: not known).
    picture_bytes: of a picture of so many values, in the form in which a user would send it.
    padding_counts: whether a device that only pads the picture and sends it as a tensor has split the network.
    """

    name: str
    forms: Callable[[int, bool | None], Sequence[Form]]
    picture_bytes: Callable[[int], int]
    padding_counts: bool = False

    def crossing_s(self, values: int, rectified: bool | None, uplink_mbps: float) -> float:
        """Encoding, sending and decoding in the form that is the fastest at this uplink."""
        return min(form.crossing_s(uplink_mbps) for form in self.forms(values, rectified))


def seconds_on_wire(bytes_: float, uplink_mbps: float) -> float:
    return bytes_ * BITS_PER_BYTE / (uplink_mbps * 1e6)


def fixed_wire(tensor_bits: int, picture: str, *, padding_counts: bool = False) -> Wire:
    """Tensors of so many bits a value whatever is in them, coded in no time; pictures by a name of `PICTURES`."""
    note = ", padding counts as a split" if padding_counts else ""
    return Wire(
        f"{tensor_bits} bit / {picture}{note}",
        lambda values, _: (Form(-(-values * tensor_bits // BITS_PER_BYTE)),),
        PICTURES[picture],
        padding_counts,
    )


PICTURES: dict[str, Callable[[int], int]] = {
    "float32 pixels": lambda pixels: 4 * pixels,
    "uint8 pixels": lambda pixels: pixels,
    "150 kB JPEG": lambda _: JPEG_BYTES,
    "20 kB JPEG": lambda _: SMALL_JPEG_BYTES,
}
