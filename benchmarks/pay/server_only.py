"""Server-only in its best form: the input as a user would send it who knows what of it the answer needs.

The forms are those that `compile` finds when every op is pinned to the server, and pictures as JPEG and WebP files of the
lowest quality that keeps what is asked, which is looked for here on its own. It is judged as cuts are, but on
the inputs alone of whose class the network is least sure, as if a file lost nothing on the others.
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
from benchmarks.pay.real_network import RealNetwork, Tensors, same_class
from benchmarks.pay.remembered_runs import Memory, remembered
from cic.codec.pixels import PixelForm, parse_normalisation
from cic.cost.cost_source import CostSource
from cic.decision.cut import SERVER_ONLY
from cic.precision.accuracy import Answer, judge, parse_target
from cic.precision.early_verdict import sure_miss
from cic.precision.evidence import level_of
from cic.precision.payloads import MOST_PICTURES
from cic.precision.running_order import doubtful_first, running_order


@dataclass(frozen=True)
class FileKind:
    """A way to write picture files.

    kind, options: for Pillow. codec: whose times are charged, and how many times writing takes as long.
    """

    kind: str
    options: dict[str, Any]
    codec: str
    slower: float = 1.0


# Optimal Huffman tables save 10 % of a JPEG's bytes and take 1.7 times as long as Pillow's defaults. These halve both sides of
# the colours, which costs some networks more than it saves; all of the colours take 2.5 times as long.
FILES = {
    "JPEG": FileKind("JPEG", {"optimize": True}, "jpeg90", 1.7),
    "JPEG 4:4:4": FileKind("JPEG", {"optimize": True, "subsampling": 0}, "jpeg90", 2.5),
    "WebP": FileKind("WEBP", {"method": 2}, "webp90"),
}
ALL_COLOURS = "JPEG 4:4:4"
# Where a JPEG of no more than this quality does, a network can do with a quarter of the colours, and they are not tried whole.
FINE = 90
STRIDE = 5
# As if it were one of a few hundred ways for a tensor to cross, which is what cuts are judged at.
LEVEL = level_of(1, 300)
PIECE = 32
# Server-only has no transforms: nobody has one that does not come from here.
CODECS = "int4"
# Inputs on which the sizes of files that lose nothing are measured: as many as `compile` takes, or one and the same file
# would be of two sizes.
FEW = MOST_PICTURES
# Of so many inputs of whose class the network is least sure, files are tried. On the others they are taken to lose nothing.
# Where an answer has a class for each place, all inputs lose at some of them, and files are tried on all.
DOUBTFUL = 512
# The answer costs next to nothing, as in published figures: what a device wants of a thousand scores is a class. At 2.35, the
# ratio of 4G in such figures, the 4,000 bytes of EfficientNet-Lite0's scores take longer than the smallest payloads.
DOWNLINK_RATIO = 1000.0


@dataclass(frozen=True)
class SentInput:
    """A form of server-only: seconds on device and server, bits up and down; kept: on held-out inputs, if known."""

    form: str
    device_s: float
    server_s: float
    upload_bits: float
    download_bits: float
    kept: float | None = None

    def latency_s(self, uplink_bps: float, downlink_ratio: float = DOWNLINK_RATIO) -> float:
        return self.device_s + self.server_s + self.bits(downlink_ratio) / uplink_bps

    def bits(self, downlink_ratio: float = DOWNLINK_RATIO) -> float:
        """Sent up, or taking as long as if they were."""
        return self.upload_bits + self.download_bits / downlink_ratio


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

    def lowest(self, kind: str, share: float, least: int = 1, *, shown: bool = True) -> PictureFile | None:
        """The lowest quality from `least` on that is shown to keep so much; None if the highest does not.

        shown: beyond the calibration inputs, as is asked of cuts. Else it need only keep so much of these themselves.
        More quality now and then keeps less, so it is looked for from below in steps, and by halves in the last of them.
        """
        enough = self._is_shown if shown else self._is_kept
        low = least
        for high in range(max(STRIDE, least // STRIDE * STRIDE), 101, STRIDE):
            if enough(kind, high, share):
                break
            low = high + 1
        else:
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(kind, middle, share) else (middle + 1, high)
        return PictureFile(kind, high, *self._held_out(kind, high))

    def _is_shown(self, kind: str, quality: int, share: float) -> bool:
        def found() -> bool:
            target = parse_target(self._network.accuracy(share))
            order = running_order(target, self._network.whole_calibration, None)
            whole = [self._network.whole_calibration[place] for place in order]
            missed = sure_miss(target, whole, None, LEVEL)
            run = len(whole) if missed is None else self._tried
            answers: list[Answer] = []
            for start in range(0, min(run, len(whole)), PIECE):
                piece = [self._network.calibration[place] for place in order[start : start + PIECE]]
                some = self._network.answers(self._through(piece, kind, quality, []))
                if missed is not None and missed(some):
                    return False
                answers += some
            return missed is not None or judge(target, answers, whole, None, LEVEL).met

        return bool(self._memory.ask(("picture file", FILES[kind], quality, share, *self._places), found))

    def _is_kept(self, kind: str, quality: int, share: float) -> bool:
        """Does it keep so much of the calibration inputs, if it loses nothing but on those the network is least sure of?"""
        if self._network.kept is not None:
            return self._is_shown(kind, quality, share)

        def found() -> bool:
            order = doubtful_first(self._network.whole_calibration)
            left = (1 - share) * len(order)
            for start in range(0, min(self._tried, len(order)), PIECE):
                places = order[start : start + PIECE]
                pictures = [self._network.calibration[place] for place in places]
                answers = self._network.answers(self._through(pictures, kind, quality, []))
                whole = [self._network.whole_calibration[place] for place in places]
                left -= len(places) * (1 - same_class(answers, whole))
                if left < 0:
                    return False
            return True

        return bool(self._memory.ask(("kept by a picture file", FILES[kind], quality, share, *self._places), found))

    @property
    def _places(self) -> tuple[int, ...]:
        """How many places of an answer have a class, if it is more than one."""
        places = self._network.whole_calibration[0][0].argmax(1).numel()
        return (places,) if places > 1 else ()

    @property
    def _tried(self) -> int:
        return len(self._network.calibration) if self._places else DOUBTFUL

    def _held_out(self, kind: str, quality: int) -> tuple[float, float]:
        def found() -> tuple[float, float]:
            sizes: list[int] = []
            answers = self._network.answers(self._through(self._network.held_out, kind, quality, sizes))
            return float(np.mean(sizes)), self._network.share_kept(answers, self._network.whole_held_out)

        mean_bytes, kept = self._memory.ask(("held-out file", FILES[kind], quality), found)
        return mean_bytes, kept

    def _through(self, samples: Sequence[Tensors], kind: str, quality: int, sizes: list[int]) -> Iterator[Tensors]:
        """The inputs that the network is given when pictures cross as files; appends the bytes of each file."""
        for (tensor,) in samples:
            plain = self._pixels.pixels(tensor.numpy(), "float32", "a picture")[0]
            grey = len(plain) == 1
            file = io.BytesIO()
            rows = plain[0] if grey else np.ascontiguousarray(plain.transpose(1, 2, 0))
            Image.fromarray(rows).save(file, FILES[kind].kind, quality=quality, **FILES[kind].options)
            sizes.append(file.tell())
            again = np.asarray(Image.open(file).convert("L" if grey else "RGB"))
            planes = again[None] if grey else again.transpose(2, 0, 1)
            yield (torch.from_numpy(self._pixels.values(np.ascontiguousarray(planes)[None], "float32", "a picture")),)


def both_extremes(
    network: RealNetwork,
    traced: Any,
    choices: Sequence[Sequence[PictureFile]],
    share: float,
    machines: tuple[CostSource, CostSource],
    box: cic.Box,
    memory: Memory,
) -> tuple[float, list[list[SentInput]]]:
    """Seconds of device-only, and for each choice of files every form of server-only that some uplink of the box may want."""
    precision = network.precision(share, CODECS)
    if network.form is not None:
        # What pictures lose is the business of files; without it nothing needs to be run.
        some = [{"args": sample} for sample in network.calibration[:FEW]]
        precision = cic.Precision("fp32", calibration=some, input=network.form)
    with remembered(memory):
        pinned = cic.compile(
            traced,
            device=machines[0],
            server=machines[1],
            box=box,
            defaults=cic.Conditions(box.uplink_bps[0], DOWNLINK_RATIO * box.uplink_bps[0]),
            precision=precision,
            pins={op.name: "server" for op in traced.graph.ops},
        )
    plain = [
        SentInput(cut.label, cut.row[0], cut.row[1], cut.row[2], cut.row[3]) for cut in pinned.cuts if cut.id == SERVER_ONLY
    ]
    ops = pinned.graph().ops
    device_only_s, computing_s = sum(op.device_ns for op in ops) * 1e-9, sum(op.server_ns for op in ops) * 1e-9
    elements = network.example[0].numel()

    def sent(file: PictureFile) -> SentInput:
        how = FILES[file.kind]
        encode_s, decode_s = (
            each.codec_seconds(how.codec, elements, round(file.mean_bytes))[side] for side, each in enumerate(machines)
        )
        name, bits = f"{file.kind} of quality {file.quality}", 8 * file.mean_bytes
        return SentInput(name, how.slower * encode_s, computing_s + decode_s, bits, plain[0].download_bits, file.kept)

    return device_only_s, [[*plain, *map(sent, files)] for files in choices]


def tie_bps(device_only_s: float, forms: Sequence[SentInput]) -> float | None:
    """The uplink at which device-only and the best form of server-only take equally long; None if none does (B0)."""
    ties = [
        form.bits() / (device_only_s - form.device_s - form.server_s)
        for form in forms
        if form.device_s + form.server_s < device_only_s
    ]
    return min(ties, default=None)
