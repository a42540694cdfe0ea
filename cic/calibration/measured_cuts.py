"""What the halves of cuts take when they are really run: each cut once in every round, so that drift falls on all alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep

from cic.calibration.tails import ServerTime, Tails
from cic.codec.codec import Codec
from cic.codec.registry import codec
from cic.codec.tensors import Array, tensor_of
from cic.decision.cut import Cut
from cic.engine.engine import Engine
from cic.engine.opening import open_half
from cic.progress import Progress, Tell

WARM_UPS = 3
# A device that computes without a pause is held back by its quota at the beginning of a run, too, or by its own heat.
PAUSE_S = 0.01
# A median of n normal values errs by 1.253 / sqrt(n) deviations, each of which is 1.483 median distances.
_MEDIAN_ERROR = 1.253 * 1.483


@dataclass(frozen=True)
class CutTimes:
    """Medians over all rounds, in seconds. head_s: of the head. encode_s: of each crossing tensor, by name, with its part
    of what asking the server takes the device, which is the same for all cuts. server: of the other side.

    head_error_s, tail_error_s: the standard errors of head and tail, 0 where they are not known.
    """

    cut: Cut
    head_s: float
    encode_s: Mapping[str, float]
    server: ServerTime
    head_error_s: float = 0.0
    tail_error_s: float = 0.0

    @property
    def device_s(self) -> float:
        return self.head_s + sum(self.encode_s.values())

    @property
    def server_s(self) -> float:
        return self.server.decode_s + self.server.tail_s


def measured_cuts(
    bundle: Path,
    cuts: Sequence[Cut],
    inputs: Sequence[Array],
    tails: Tails,
    *,
    repetitions: int,
    engine: str | None,
    threads: int,
    tell: Tell,
) -> tuple[list[CutTimes], str]:
    """Run every cut so often, in turn, and say with which engines heads ran. Raises as engines, codecs and tails do."""
    heads: dict[str, Engine] = {}
    for cut in cuts:
        if cut.id not in heads:
            tell(Progress(f"opening the head of {cut.id}"))
            heads[cut.id] = open_half(bundle, cut.id, "head", engine, threads)
    ways = [_Way(cut, heads[cut.id]) for cut in cuts]
    for number in range(-WARM_UPS, repetitions):
        for way in ways:
            sleep(PAUSE_S)
            way.run(inputs, tails, counts=number >= 0)
        tell(Progress("running all cuts in turn", max(number + 1, 0), repetitions))
    asking_s = _asking_s(ways)
    return [way.times(asking_s) for way in ways], ", ".join(dict.fromkeys(head.name for head in heads.values()))


def _asking_s(ways: Sequence[_Way]) -> float:
    """What asking the server takes the device, whichever cut runs: bytes hardly count, and noise must not order the cuts.

    Its processor time is known, without the time of the link. A quota, or other processes, let it wait for as much longer as
    they let the heads.
    """
    asking_s = [each.asking_s for way in ways for each in way.server if way.cut.offloads]
    head_s, processor_s = sum(sum(way.head_s) for way in ways), sum(sum(way.head_processor_s) for way in ways)
    if not asking_s:
        return 0.0
    return median(asking_s) * max(head_s / processor_s if processor_s else 1.0, 1.0)


class _Way:
    """One cut and what its runs took. head_processor_s: of all threads."""

    def __init__(self, cut: Cut, head: Engine) -> None:
        self.cut, self._head = cut, head
        codec_of = cut.codec_of
        self._codecs: list[Codec] = [codec(codec_of[wire.name], head.cut.codecs) for wire in head.cut.crossing]
        self.head_s: list[float] = []
        self.head_processor_s: list[float] = []
        self._encode_s: dict[str, list[float]] = {wire.name: [] for wire in head.cut.crossing}
        self.server: list[ServerTime] = []

    def run(self, inputs: Sequence[Array], tails: Tails, *, counts: bool) -> None:
        began, began_processor = perf_counter(), process_time()
        results = self._head.run(inputs)
        head_s, head_processor_s = perf_counter() - began, process_time() - began_processor
        payloads, encode_s = [], []
        # What crosses are the first of the results.
        for used, array, wire in zip(self._codecs, results, self._head.cut.crossing, strict=False):
            began = perf_counter()
            held = array if used.name == "raw" or array.dtype.name == wire.dtype else tensor_of(array, wire.dtype)
            payloads.append(used.encode(held, wire.name))
            encode_s.append(perf_counter() - began)
        server = tails.run(self.cut, payloads) if self.cut.offloads else ServerTime(0.0, 0.0)
        if not counts:
            return
        self.head_s.append(head_s)
        self.head_processor_s.append(head_processor_s)
        self.server.append(server)
        for times, seconds in zip(self._encode_s.values(), encode_s, strict=True):
            times.append(seconds)

    def times(self, asking_s: float) -> CutTimes:
        decode_s, tail_s = [each.decode_s for each in self.server], [each.tail_s for each in self.server]
        return CutTimes(
            self.cut,
            median(self.head_s),
            {name: median(each) + asking_s / len(self._encode_s) for name, each in self._encode_s.items()},
            ServerTime(median(decode_s), median(tail_s)),
            median_error(self.head_s),
            median_error(tail_s),
        )


def median_error(values: Sequence[float]) -> float:
    """The standard error of a median, by the median distance to it, as of normal values; one far value does not count."""
    middle = median(values)
    return _MEDIAN_ERROR * median(abs(value - middle) for value in values) / sqrt(len(values))
