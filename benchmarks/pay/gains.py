"""What the best cut gains over the better of device-only and server-only, at equal accuracy, around where both of these tie."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from torch import nn

import cic
from benchmarks.pay.real_network import RealNetwork, Tensors
from benchmarks.pay.remembered_runs import Memory, remembered
from benchmarks.pay.server_only import (
    ALL_COLOURS,
    DOWNLINK_RATIO,
    FILES,
    FINE,
    PictureFile,
    PictureFiles,
    SentInput,
    both_extremes,
    tie_bps,
)
from benchmarks.wire.published_blocks import UPLINKS_MBPS
from cic.cost.pricing import resolve
from cic.decision.splitting_model import SplittingModel
from cic.precision.calibration import Calibration
from cic.precision.cut_accuracy import Examiner, examiner
from cic.precision.model_runner import runner_of
from cic.precision.picture_input import picture_input
from cic.trace.pixel_model import with_pixels
from cic.trace.traced import Traced

DEVICES = ("raspberry-pi-zero-2w", "raspberry-pi-4", "jetson-nano", "snapdragon-835")
SERVERS = ("i7-13700k", "v100")
SHARES = (0.95, 0.985)
# Of the uplink at which both extremes tie.
AROUND = (0.25, 0.5, 1.0, 2.0, 4.0)
# What may cross, by what is compared: values on a grid of 4 bits or finer; and transforms made from calibration inputs, too;
# and these trained for as long as is said here, which takes so long that it is tried between one pair of machines.
FAMILIES = {"grids": "int4", "transforms": "transform", "trained": "transform"}
TRAINED, TRAINED_FOR, TRAINED_BETWEEN = "trained", "3min", ("raspberry-pi-4", "i7-13700k")
# Where an answer is counted: of 4G in published figures, downlink over uplink.
ANSWER_DOWNLINK_RATIO = 2.35


@dataclass(frozen=True)
class Point:
    """One uplink. times_tie: of the tying uplink; None for a published one. gain: of the decision over the better extreme.

    kept: by the decision's cut on inputs that nobody has seen; 1 for one that loses nothing. gain_with_answer: where the whole
    answer comes back, at `ANSWER_DOWNLINK_RATIO`, in all three; elsewhere here it takes next to no time.
    """

    times_tie: float | None
    uplink_bps: float
    gain: float
    decision: str
    upload_bytes: int
    latency_ms: float
    device_only_ms: float
    server_only_ms: float
    server_form: str
    kept: float
    gain_with_answer: float


@dataclass(frozen=True)
class Cell:
    """One network between one device and one server, with one share to keep and one family of codecs.

    tie_bps: the uplink at which both extremes tie; None where one of them is always the better one. lenient: likewise where
    server-only may send a file of which nothing is shown, if it keeps the share of the calibration inputs themselves.
    """

    network: str
    device: str
    server: str
    share: float
    family: str
    tie_bps: float | None
    points: tuple[Point, ...]
    lenient: tuple[Point, ...]
    compile_s: float

    def at(self, times_tie: float, *, lenient: bool = False) -> Point | None:
        """The point at so many times the uplink at which both extremes tie."""
        return next((point for point in (self.lenient if lenient else self.points) if point.times_tie == times_tie), None)


Files = list[PictureFile]


def cells(
    network: RealNetwork, kept_in: Path, devices: Sequence[str], servers: Sequence[str], families: Sequence[str]
) -> Iterator[Cell]:
    """Every cell of one network."""
    memory = Memory(kept_in, network)
    traced = trace(network)
    held_out = examiner(runner_of(traced), Calibration(as_the_device_has(traced, network.held_out), None), None)
    files: tuple[Files, Files] = [], []
    for share in SHARES:
        files = _files(network, memory, share, files[0], shown=True), _files(network, memory, share, files[1], shown=False)
        for device in devices:
            for server in servers:
                for family in families:
                    trainable = isinstance(network.model, nn.Module) and (device, server) == TRAINED_BETWEEN
                    if family == TRAINED and not trainable:
                        continue
                    cell = _cell(network, traced, memory, held_out, files, share, device, server, family)
                    _tell(cell)
                    yield cell


def trace(network: RealNetwork) -> Traced:
    """The traced network, which takes pixels where its inputs are pictures."""
    bare = cic.trace_model(network.model, network.example, name=network.name)
    return bare if network.form is None else with_pixels(bare, picture_input(network.form).normalisation)


def as_the_device_has(traced: Traced, samples: Sequence[Tensors]) -> tuple[Tensors, ...]:
    """Pixels in place of floats."""
    inputs = traced.pixel_inputs
    return tuple(samples) if inputs is None else tuple(tuple(inputs.pixels(sample)) for sample in samples)


def _files(network: RealNetwork, memory: Memory, share: float, less: Files, *, shown: bool) -> Files:
    """less: those that keep a smaller share."""
    if network.form is None:
        return []
    files, least = PictureFiles(network, memory), {each.kind: each.quality for each in less}
    found: Files = []
    for kind in FILES:
        if kind == ALL_COLOURS and any(each.kind == "JPEG" and each.quality <= FINE for each in found):
            continue
        if (each := files.lowest(kind, share, least.get(kind, 1), shown=shown)) is not None:
            found.append(each)
    for each in found:
        print(
            f"{network.name}, {share:.1%} {'shown' if shown else 'kept'}: {each.kind} of quality {each.quality}, "
            f"{each.mean_bytes:,.0f} bytes, keeps {each.kept:.2%} of what is held out",
            file=sys.stderr,
        )
    return found


def _cell(
    network: RealNetwork,
    traced: Traced,
    memory: Memory,
    held_out: Examiner,
    files: tuple[Files, Files],
    share: float,
    device: str,
    server: str,
    family: str,
) -> Cell:
    machines = resolve(device), resolve(server)
    started = perf_counter()
    wide = _box(1e4, 1e10)
    device_only_s, (forms, lenient_forms) = both_extremes(network, traced, files, share, machines, wide, memory)
    tie, lenient_tie = tie_bps(device_only_s, forms), tie_bps(device_only_s, lenient_forms)
    lenient_uplinks = _around(lenient_tie)
    uplinks = [*_around(tie), *((None, mbps * 1e6) for mbps in UPLINKS_MBPS)]
    low, high = (find(bps for _, bps in (*uplinks, *lenient_uplinks)) for find in (min, max))
    with remembered(memory):
        compiled = cic.compile(
            traced,
            device=machines[0],
            server=machines[1],
            box=_box(low, high),
            defaults=cic.Conditions(low, DOWNLINK_RATIO * low),
            precision=network.precision(share, FAMILIES[family], TRAINED_FOR if family == TRAINED else None),
        )
    kept = _KeptByCut(network, traced, held_out, compiled.stored_codecs, memory)
    points = tuple(_point(compiled, forms, device_only_s, times, bps, kept) for times, bps in uplinks)
    lenient = tuple(_point(compiled, lenient_forms, device_only_s, times, bps, kept) for times, bps in lenient_uplinks)
    return Cell(network.name, device, server, share, family, tie, points, lenient, perf_counter() - started)


def _around(tie: float | None) -> list[tuple[float | None, float]]:
    return [] if tie is None else [(times, times * tie) for times in AROUND]


def _box(low_bps: float, high_bps: float) -> cic.Box:
    """All but the uplink is fixed: fewer cuts, and so fewer to run on all inputs."""
    return cic.Box(
        (low_bps, high_bps),
        downlink_ratio=(DOWNLINK_RATIO, DOWNLINK_RATIO),
        rtt=(0, 0),
        device_slowdown=(1, 1),
        server_slowdown=(1, 1),
    )


def _point(
    compiled: SplittingModel,
    forms: Sequence[SentInput],
    device_only_s: float,
    times_tie: float | None,
    uplink_bps: float,
    kept: _KeptByCut,
) -> Point:
    decision = compiled.decide(uplink_bps, downlink=DOWNLINK_RATIO * uplink_bps)
    best = min(forms, key=lambda form: form.latency_s(uplink_bps))
    server_only_s = best.latency_s(uplink_bps)
    return Point(
        times_tie,
        uplink_bps,
        min(device_only_s, server_only_s) / decision.latency_s,
        decision.cut.label,
        decision.upload_bytes,
        decision.latency_s * 1e3,
        device_only_s * 1e3,
        server_only_s * 1e3,
        best.form,
        kept(decision.cut),
        _gain_with_answer(compiled, forms, device_only_s, uplink_bps),
    )


def _gain_with_answer(compiled: SplittingModel, forms: Sequence[SentInput], device_only_s: float, uplink_bps: float) -> float:
    decision = compiled.decide(uplink_bps, downlink=ANSWER_DOWNLINK_RATIO * uplink_bps)
    server_only_s = min(form.latency_s(uplink_bps, downlink_ratio=ANSWER_DOWNLINK_RATIO) for form in forms)
    return min(device_only_s, server_only_s) / decision.latency_s


@dataclass(frozen=True)
class _KeptByCut:
    network: RealNetwork
    traced: Any
    held_out: Examiner
    stored: Mapping[str, bytes]
    memory: Memory

    def __call__(self, cut: Any) -> float:
        """What a cut keeps under its codecs, of the whole network's answers to inputs that nobody has seen."""
        if not cut.crossing:
            return 1.0
        members = {op.name: op.members for op in self.traced.graph.ops}
        nodes = frozenset(node for op in cut.device_ops for node in members[op])

        def run() -> float:
            answers = replace(self.held_out, stored=self.stored).answers(nodes, cut.codec_of)
            return self.network.share_kept(answers, self.held_out.whole)

        return float(self.memory.ask(("held out", sorted(nodes), sorted(cut.codec_of.items())), run))


def _tell(cell: Cell) -> None:
    at, lenient = cell.at(1.0), cell.at(1.0, lenient=True)
    where = "no tie"
    if at is not None and lenient is not None:
        where = (
            f"{at.gain:.2f} × at {at.uplink_bps / 1e6:.2f} Mbit/s: {at.decision}, {at.upload_bytes:,} B; {lenient.gain:.2f} × "
            f"at {lenient.uplink_bps / 1e6:.2f} Mbit/s over {lenient.server_form} that need not show it"
        )
    print(
        f"{cell.network}, {cell.device} to {cell.server}, {cell.share:.1%}, {cell.family}: {where} ({cell.compile_s:.0f} s)",
        file=sys.stderr,
        flush=True,
    )
