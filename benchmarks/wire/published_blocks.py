"""Published times of the blocks of 18 networks on a Raspberry Pi 4 and a desktop processor, and the best cut between blocks.

Everything here is brute force over the few cuts there are; nothing of CIC is used, so that its answers can be checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from benchmarks.wire.forms import Wire, seconds_on_wire

DATA = Path(__file__).resolve().parents[1] / "data" / "published_blocks.json"

# CAT1, 3G, 4G and WiFi uplinks of Hu et al. (DADS, INFOCOM 2019), and a fast one.
UPLINKS_MBPS = (0.13, 1.1, 5.85, 18.88, 50.0)
COLOURS, FLOAT_BYTES = 3, 4
# Keras pads an input of 224 x 224 to 230 x 230 at most; a block that only pads makes little more than its input.
LARGEST_PADDING = 1.1


@dataclass(frozen=True)
class Block:
    """Keras layers first … last as one piece: seconds on either machine, values in its output.

    rectified: whether many of these values are 0 and none is negative; None where nothing tells.
    """

    first_layer: int
    last_layer: int
    device_s: float
    server_s: float
    output_values: int
    rectified: bool | None = None


@dataclass(frozen=True)
class Network:
    """A network as a chain of blocks.

    pixels: values of an input picture.
    """

    name: str
    pixels: int
    blocks: tuple[Block, ...]

    @cached_property
    def computing_s(self) -> tuple[float, ...]:
        """Seconds of both machines together when the first 0, 1, … all blocks are on the device."""
        on_device = accumulate((block.device_s for block in self.blocks), initial=0.0)
        server_s = [block.server_s for block in self.blocks]
        on_server = list(accumulate(reversed(server_s), initial=0.0))[::-1]
        return tuple(device + server for device, server in zip(on_device, on_server, strict=True))

    def only_pads(self, cut: int) -> bool:
        """Does the device merely pad the picture before it sends it? (Keras pads in a layer of its own.)

        cut: number of blocks on the device.
        """
        values = self.blocks[cut - 1].output_values if cut else 0
        return cut == 1 and self.pixels < values <= LARGEST_PADDING * self.pixels


def load() -> tuple[Network, ...]:
    """All of them."""
    body = json.loads(DATA.read_text(encoding="utf-8"))
    return tuple(
        Network(
            name,
            COLOURS * entry["input_side"] ** 2,
            tuple(Block(*row[:4], output_values=row[4] // FLOAT_BYTES) for row in entry["blocks"]),
        )
        for name, entry in body["models"].items()
    )


def unsplit_s(network: Network, wire: Wire, uplink_mbps: float) -> float:
    """The better of device-only and server-only. No round trip and no download: as the figures were published."""
    server_only_s = network.computing_s[0] + seconds_on_wire(wire.picture_bytes(network.pixels), uplink_mbps)
    return min(network.computing_s[-1], server_only_s)


def best_block_cut(network: Network, wire: Wire, uplink_mbps: float) -> tuple[float, int]:
    """Seconds of the best true split and how many blocks it has on the device: every cut between two blocks is tried."""
    return min(
        (network.computing_s[cut] + wire.crossing_s(before.output_values, before.rectified, uplink_mbps), cut)
        for cut, before in enumerate(network.blocks[:-1], start=1)
        if wire.padding_counts or not network.only_pads(cut)
    )
