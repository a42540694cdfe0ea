"""Does every emitted cut keep 99 % of the whole network's accuracy on pictures that nobody has seen?

Trained networks are compiled with a target of 99 % of their top-1, judged on calibration pictures. Each cut of the result is
emitted; head, codec and tail are run on held-out pictures, one at a time as a device would. What they get right is compared
with what the whole network gets right on the same pictures.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

import torch

import cic
from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.wire.forms import seconds_on_wire
from benchmarks.wire.published_blocks import UPLINKS_MBPS
from cic.codec.pixels import PixelForm
from cic.codec.registry import is_lossless
from cic.codec.tensors import tensor_of
from cic.codec.transform.transform_codec import shown_name
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.precision.picture_input import picture_input
from examples import trained

TARGET = 0.99
DEVICE, SERVER = "raspberry-pi-4b", "i7-13700k"
COARSE = ("transform", "int4", "int8", "fp16")
# Beyond, tensors cross as they are.
UPLINK = ("50kbps", "100Mbps")
# What it takes to show 99 % of the lossy codecs of all tensors together; see `cic.precision.evidence`.
CALIBRATION = 1500


@dataclass(frozen=True)
class MeasuredCut:
    """One cut under its codecs, a declared input's without its parameters.

    kept: what it gets right on held-out pictures over what the whole network does. calibrated: the same on calibration
    pictures, as the file states it. stated_bytes, sent_bytes: payload as the file states it, and its mean over held-out ones.
    """

    cut: str
    codecs: tuple[str, ...]
    kept: float
    calibrated: float
    stated_bytes: int
    sent_bytes: float

    @property
    def coarsest(self) -> str:
        """The coarsest form that one of its tensors crosses in: of `COARSE`, a "picture" that loses something, or "exact"."""
        stages = {name.partition("+")[0].partition("-")[0] for name in self.codecs}
        if coarse := next((stage for stage in COARSE if stage in stages), None):
            return coarse
        return "exact" if all(is_lossless(name) for name in self.codecs) else "picture"


@dataclass(frozen=True)
class Gain:
    """At one uplink: how many times faster the decision is than the better of device-only and server-only, and what it is.

    Server-only sends uint8 pixels, which the device has. Normalising them is part of the model on either side.
    """

    uplink_mbps: float
    times: float
    decision: str


@dataclass(frozen=True)
class MeasuredNetwork:
    """top1: of the whole network on held-out pictures (of pixels, for segmentation)."""

    name: str
    top1: float
    held_out: int
    calibration: int
    compile_s: float
    cuts: tuple[MeasuredCut, ...]
    gains: tuple[Gain, ...]


def measure(name: str, *, calibration: int, held_out: int | None, target: float = TARGET) -> MeasuredNetwork:
    """Compile for a share of top-1 to be kept, emit, and run every cut of one trained network."""
    network = trained.load(name, calibration=calibration, held_out=held_out)
    pictures, labels = (torch.cat([batch[part] for batch in network.calibration]) for part in (0, 1))
    started = perf_counter()
    compiled = cic.compile(
        cic.trace_model(network.model, (pictures[:1],), name=name),
        device=DEVICE,
        server=SERVER,
        box=cic.Box(uplink=UPLINK),
        precision=cic.Precision(calibration=[(pictures, labels)], accuracy=f"top1>={target}", input=network.input),
    )
    compile_s = perf_counter() - started
    print(f"{name}: {len(compiled.cuts)} cuts, {compile_s:.0f} s", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        with torch.inference_mode(False):
            cic.emit(network.model, compiled, folder)
        right = _right([network.model(images) for images, _ in network.held_out], network.held_out)
        pixels = PixelForm(picture_input(network.input).normalisation)
        held_out = [(_pixels_of(images, pixels), labels) for images, labels in network.held_out]
        cuts = tuple(_measured(folder, cut, held_out, right) for cut in compiled.cuts)
    places = sum(labels.numel() for _, labels in network.held_out)
    gains = tuple(_gain(compiled, uplink) for uplink in UPLINKS_MBPS)
    return MeasuredNetwork(name, right / places, len(network.held_out), len(network.calibration), compile_s, cuts, gains)


def _pixels_of(images: torch.Tensor, form: PixelForm) -> torch.Tensor:
    return torch.from_numpy(form.pixels(images.numpy(), "float32", "a picture"))


def _gain(model: SplittingModel, uplink_mbps: float) -> Gain:
    graph = model.graph()
    device_ns, server_ns = sum(op.device_ns for op in graph.ops), sum(op.server_ns for op in graph.ops)
    pixels, answer_bytes = math.prod(graph.inputs.tensors[0].shape), max(cut.download_bytes for cut in model.cuts)
    server_only_s = server_ns / 1e9 + seconds_on_wire(pixels + answer_bytes, uplink_mbps)
    decision = model.decide(uplink_mbps * 1e6)
    codecs = map(shown_name, decision.cut.codecs)
    unsplit_s = min(device_ns / 1e9, server_only_s)
    return Gain(uplink_mbps, unsplit_s / decision.latency_s, " ".join((decision.cut.id, *codecs)))


def _measured(folder: str, cut: Cut, held_out: Sequence[trained.Batch], right: int) -> MeasuredCut:
    """Head, encode, decode, tail, for each held-out picture."""
    halves, codecs = cic.load_cut(folder, cut.id), cut.codec_of
    answers, sent = [], 0
    for images, _ in held_out:
        results = halves.head(images)
        received = []
        for wire, value in zip(halves.crossing, results, strict=False):
            used = halves.codec(codecs[wire.name])
            payload = used.encode(value, wire.name)
            sent += len(payload)
            received.append(tensor_of(used.decode(payload, wire.shape, wire.dtype, wire.name), wire.dtype))
        answers.append(halves.tail(*received, *results[len(received) :]))
    calibrated = 1.0 if cut.accuracy is None or cut.accuracy["top1"] is None else cut.accuracy["top1"]
    kept = _right(answers, held_out) / right
    names = tuple(map(shown_name, codecs.values()))
    print(f"  {cut.id} {', '.join(names)}: {kept:.4f}", file=sys.stderr)
    return MeasuredCut(cut.id, names, kept, calibrated, cut.upload_bytes, sent / len(held_out))


def _right(answers: Sequence[torch.Tensor], batches: Sequence[trained.Batch]) -> int:
    return sum(int((scores.argmax(1) == labels).sum()) for scores, (_, labels) in zip(answers, batches, strict=True))


def main() -> None:
    parser = shared_options(__doc__, "few pictures: runs through, decides nothing")
    parser.add_argument("names", nargs="*", metavar="NETWORK", help=f"of {', '.join(trained.names())}; all if none is given")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    networks = []
    for name in arguments.names or trained.names():
        calibration, held_out = (20, 20) if arguments.quick else (CALIBRATION, None)
        networks.append(measure(name, calibration=calibration, held_out=held_out))
    targets = [_never_slower(networks), *map(_target, networks)]
    Report(
        "accuracy",
        f"Every emitted cut is to keep {TARGET:.0%} of the whole network's top-1 on held-out pictures",
        [_summary(networks), _gain_section(networks), *map(_section, networks)],
        targets,
        {"networks": [asdict(network) for network in networks], "device": DEVICE, "server": SERVER, "target": TARGET},
        (
            f"Compiled for {DEVICE} and {SERVER}, uplinks from {UPLINK[0]} to {UPLINK[1]}, all else in its default range, with "
            f"`accuracy='top1>={TARGET}'`, which is judged on calibration pictures. Kept: what a cut gets right over what the "
            "whole network gets right; emitted halves, codecs between them, one picture at a time. Trained by "
            "`python -m examples.trained.train`; no held-out picture was used to train or to compile.",
            "Gains are predicted, against server-only with uint8 pixels that the device need not encode. Heads take pixels,"
            " too, and server-only may send a picture file of the lowest quality that keeps the target.",
        ),
    ).publish(arguments.results)
    sys.exit(not (arguments.quick or all(target.kept for target in targets)))


def _never_slower(networks: Sequence[MeasuredNetwork]) -> Target:
    least = min(gain.times for network in networks for gain in network.gains)
    return Target(
        "no decision is slower than the better of device-only and server-only", f"{least:.4f} x at least", least > 1 - 1e-9
    )


def _target(network: MeasuredNetwork) -> Target:
    kept = [cut.kept for cut in network.cuts]
    met = sum(share >= TARGET for share in kept)
    measured = f"{met} of {len(kept)} cuts, the least {min(kept):.4f}"
    return Target(f"{network.name}: every emitted cut keeps {TARGET:.0%} on held-out pictures", measured, met == len(kept))


def _summary(networks: Sequence[MeasuredNetwork]) -> Section:
    rows = []
    for network in networks:
        counts = [sum(cut.coarsest == form for cut in network.cuts) for form in (*COARSE, "picture", "exact")]
        rows.append(
            (
                network.name,
                f"{network.top1:.2%}",
                str(network.held_out),
                str(network.calibration),
                str(len(network.cuts)),
                *map(str, counts),
                f"{min(cut.kept for cut in network.cuts):.4f}",
                f"{network.compile_s:.0f} s",
            )
        )
    columns = (
        "network",
        "top-1",
        "held out",
        "calibration",
        "cuts",
        *COARSE,
        "picture",
        "exact",
        "least kept",
        "compiled in",
    )
    total = sum(len(network.cuts) for network in networks)
    coarse = sum(cut.coarsest in ("transform", "int4") for network in networks for cut in network.cuts)
    return Section(f"Cuts by the coarsest form they use: {coarse} of {total} use 4 bits or a transform", columns, rows)


def _gain_section(networks: Sequence[MeasuredNetwork]) -> Section:
    rows = [(network.name, *(f"{gain.times:.2f} × ({gain.decision})" for gain in network.gains)) for network in networks]
    columns = ("network", *(f"{uplink:g} Mbit/s" for uplink in UPLINKS_MBPS))
    title = "What the decision gains over the better of device-only and server-only with uint8 pixels"
    return Section(title, columns, rows)


def _section(network: MeasuredNetwork) -> Section:
    rows = [
        (
            " ".join((cut.cut, *cut.codecs)),
            f"{cut.kept:.4f}",
            f"{cut.calibrated:.4f}",
            f"{cut.sent_bytes:,.0f}",
            f"{cut.stated_bytes:,}",
        )
        for cut in network.cuts
    ]
    columns = ("cut and codecs", "kept, held out", "kept, calibration", "bytes sent", "bytes stated")
    return Section(network.name, columns, rows)


if __name__ == "__main__":
    main()
