"""Server-only in its best form: the input as a user would send it who knows what of it the answer needs.

The forms are those that `compile` finds when every op is pinned to the server, and pictures as JPEG and WebP files of the
lowest quality that keeps what is asked, which is looked for here on its own. The choice favours server-only: a quality is
judged on the calibration inputs as if it were the only thing that is tried, and writing a WebP file, which takes several times
as long, is charged as a JPEG's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

import cic
from benchmarks.pay.real_network import RealNetwork, Tensors
from benchmarks.pay.remembered_runs import Memory, remembered
from cic.codec.pixels import PixelForm, parse_normalisation
from cic.cost.cost_source import CostSource
from cic.decision.cut import SERVER_ONLY
from cic.precision.accuracy import judge, parse_target
from cic.precision.evidence import CONFIDENCE

FILES = ("JPEG", "WEBP")


@dataclass(frozen=True)
class SentInput:
    """One form of server-only: seconds on device and server, bits up and down; kept: on held-out inputs, if known."""

    form: str
    device_s: float
    server_s: float
    upload_bits: float
    download_bits: float
    kept: float | None = None

    def latency_s(self, uplink_bps: float, rtt_s: float = 0.0) -> float:
        """The downlink is as fast as the uplink, as everywhere in these tables."""
        return self.device_s + self.server_s + rtt_s + (self.upload_bits + self.download_bits) / uplink_bps


@dataclass(frozen=True)
class PictureFile:
    """Pictures as files of one kind and quality: mean bytes, and what is kept on held-out inputs."""

    kind: str
    quality: int
    mean_bytes: float
    kept: float


class PictureFiles:
    """The files of one network's pictures, and what the network answers to them."""

    def __init__(self, network: RealNetwork, memory: Memory) -> None:
        assert network.form is not None
        self._network, self._memory = network, memory
        self._pixels = PixelForm(parse_normalisation(network.form.partition(",")[2]))

    def lowest(self, kind: str, share: float) -> PictureFile | None:
        """The lowest quality that is shown to keep so much, found by bisection; None if the highest does not."""
        low, high = 1, 100
        if not self._is_shown(kind, high, share):
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._is_shown(kind, middle, share) else (middle + 1, high)
        return PictureFile(kind, high, *self._held_out(kind, high))

    def _is_shown(self, kind: str, quality: int, share: float) -> bool:
        def found() -> bool:
            answers = self._network.answers(self._through(self._network.calibration, kind, quality, []))
            target = parse_target(self._network.accuracy(share))
            return judge(target, answers, self._network.whole_calibration, None, (1 - CONFIDENCE) / 2).met

        return bool(self._memory.ask(("picture file", kind, quality, share), found))

    def _held_out(self, kind: str, quality: int) -> tuple[float, float]:
        def found() -> tuple[float, float]:
            sizes: list[int] = []
            answers = self._network.answers(self._through(self._network.held_out, kind, quality, sizes))
            return float(np.mean(sizes)), self._network.share_kept(answers, self._network.whole_held_out)

        mean_bytes, kept = self._memory.ask(("held-out file", kind, quality), found)
        return mean_bytes, kept

    def _through(self, samples: Sequence[Tensors], kind: str, quality: int, sizes: list[int]) -> Iterator[Tensors]:
        """The inputs that the network is given when pictures cross as files; appends the bytes of each file."""
        for (tensor,) in samples:
            plain = self._pixels.pixels(tensor.numpy(), "float32", "a picture")[0]
            grey = len(plain) == 1
            file = io.BytesIO()
            Image.fromarray(plain[0] if grey else np.ascontiguousarray(plain.transpose(1, 2, 0))).save(
                file, kind, quality=quality
            )
            sizes.append(file.tell())
            again = np.asarray(Image.open(file).convert("L" if grey else "RGB"))
            planes = again[None] if grey else again.transpose(2, 0, 1)
            yield (torch.from_numpy(self._pixels.values(np.ascontiguousarray(planes)[None], "float32", "a picture")),)


def forms_of_server_only(
    network: RealNetwork,
    traced: Any,
    files: Sequence[PictureFile],
    share: float,
    machines: tuple[CostSource, CostSource],
    box: cic.Box,
    codecs: str | Sequence[str] | None,
    memory: Memory,
) -> list[SentInput]:
    """Every form that some uplink of the box may want."""
    with remembered(memory):
        pinned = cic.compile(
            traced,
            device=machines[0],
            server=machines[1],
            box=box,
            precision=network.precision(share, codecs),
            pins={op.name: "server" for op in traced.graph.ops},
        )
    found = [
        SentInput(cut.label, cut.row[0], cut.row[1], cut.row[2], cut.row[3]) for cut in pinned.cuts if cut.id == SERVER_ONLY
    ]
    computing_s = sum(op.server_ns for op in pinned.graph().ops) * 1e-9
    for file in files:
        elements = network.example[0].numel()
        encode_s, decode_s = (
            each.codec_seconds("jpeg90", elements, round(file.mean_bytes))[side] for side, each in enumerate(machines)
        )
        name, bits = f"{file.kind} of quality {file.quality}", 8 * file.mean_bytes
        found.append(SentInput(name, encode_s, computing_s + decode_s, bits, found[0].download_bits, file.kept))
    return found


def tie_bps(device_only_s: float, forms: Sequence[SentInput]) -> float | None:
    """The uplink at which device-only and the best form of server-only take equally long; None if none does (B0)."""
    ties = [
        (form.upload_bits + form.download_bits) / (device_only_s - form.device_s - form.server_s)
        for form in forms
        if form.device_s + form.server_s < device_only_s
    ]
    return min(ties, default=None)
