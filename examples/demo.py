"""What `make demo` shows: ResNet-50 between this machine and a Raspberry Pi 4, from the model to a classified photograph.

This machine is the server, priced by measuring; the Raspberry Pi 4 is the device, priced from the catalogue. The network has
random weights, made meaningful on crops of the photograph: the classes mean nothing, but that both halves together choose
the same five as the whole network does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import cic
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.units import show_bandwidth, show_bytes, show_seconds
from cic.inputs.photo import read_photo
from cic.pictures.latency import latency_picture
from cic.runtime.rehearsal import Rehearsal
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from examples.models.meaningful import make_meaningful
from examples.models.torchvision_beside_cpu_torch import import_torchvision

DEVICE = "raspberry-pi-4"
# What `read_photo` made floats of.
PIXELS = "uint8, mean=0.485 0.456 0.406, std=0.229 0.224 0.225"
UPLINKS = ("1Mbps", "10Mbps", "100Mbps", "1Gbps")
LINK = "100Mbps"  # what head and tail talk over
OUTPUT = Path("demo-output")
SIZE = 224
TOLERANCE = 1e-4
# Uplinks (bit/s) and slowdowns of device and server, to see where a split pays.
SLOWDOWNS = (1.0, 2.0, 4.0, 8.0)
GRID = [(1e5 * 10 ** (number / 20), device, server) for number in range(101) for device in SLOWDOWNS for server in SLOWDOWNS]

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def main() -> None:
    began = perf_counter()
    torch.set_num_threads(1)
    OUTPUT.mkdir(exist_ok=True)
    with step("ResNet-50 with random weights, made meaningful on crops of a photograph"), torch.no_grad():
        photograph = read_photo(None, [(1, 3, SIZE, SIZE)])
        model = resnet50(photograph)
        whole = model(photograph)
    with step("tracing it"):
        traced = trace(model, (photograph,), name="resnet50")
    with step("measuring its ops and some halves on this machine, one thread: the server"):
        server = cic.profile(traced, seconds_per_op=0.05)
        server.save(OUTPUT / "this-machine.profile.json")
    with step(f"finding every cut that is ever optimal, {DEVICE} from the catalogue as device"):
        splitting_model = cic.compile(traced, device=DEVICE, server=server)
        splitting_model.save(OUTPUT / "resnet50.cic")
    print_decisions(splitting_model)
    with step(f"writing head and tail of {len(splitting_model.cuts)} cuts, and running each pair in fresh processes"):
        bundle = emit(traced, splitting_model)
    print_classifications(bundle, splitting_model, photograph, whole)
    with step(
        "finding every cut again, tensors in 8 bits and the photograph as pixels allowed, answers within 5 % for the "
        "photograph and its mirror image"
    ):
        smaller = cic.compile(
            traced,
            device=DEVICE,
            server=server,
            precision=cic.Precision(
                "int8", calibration=[torch.cat((photograph, photograph.flip(3)))], accuracy="rel<=0.05", input=PIXELS
            ),
        )
        smaller.save(OUTPUT / "resnet50-int8.cic")
    print_codecs(splitting_model, smaller)
    with step("drawing latency against bandwidth"):
        latency_picture(splitting_model, OUTPUT / "latency.png")
    console.print(f"\nIn {OUTPUT}/: resnet50.cic, resnet50.split/, this-machine.profile.json, latency.png")
    console.print(
        f"Done in {perf_counter() - began:.0f} s. `.venv/bin/cic show {OUTPUT}/resnet50.cic` prints all cuts and break points."
    )


def resnet50(photograph: Tensor) -> nn.Module:
    """The network, its BatchNorm calibrated on eight crops of the photograph, mirrored and of other brightness."""
    torch.manual_seed(0)
    model = import_torchvision().models.resnet50(weights=None)
    crops = []
    for number in range(8):
        top, left = 8 * number, 56 - 8 * number
        crop = photograph[:, :, top : top + 160, left : left + 160]
        crop = nn.functional.interpolate(crop, size=(SIZE, SIZE), mode="bilinear") * (0.6 + 0.1 * number)
        crops.append(crop.flip(3) if number % 2 else crop)
    return make_meaningful(model, (torch.cat(crops),))


def emit(traced: TracedModel, splitting_model: cic.SplittingModel) -> Path:
    """Write all cuts to the output directory and return where."""
    bundle = OUTPUT / "resnet50.split"
    manifest = cic.emit(traced, splitting_model, bundle, replace=True)
    checks = [check for cut in manifest.cuts for check in cut.verification]
    if not all(check.informative for check in checks):
        raise SystemExit("demo: the network answers all inputs alike, so comparing answers shows nothing")
    return bundle


def print_decisions(splitting_model: cic.SplittingModel) -> None:
    """A table: the best cut at some bandwidths against everything on one side."""
    table = Table(
        "uplink", "best cut", "device", "uplink", "server", "downlink", title="Predicted latencies", title_justify="left"
    )
    for title in ("sum", "all on the device", "all on the server", "gain"):
        table.add_column(title, justify="right")
    for uplink in UPLINKS:
        decision = splitting_model.decide(uplink)
        alone = alone_s(splitting_model, decision.conditions)
        parts = (decision.terms[part] for part in ("device_s", "uplink_s", "server_s", "downlink_s"))
        table.add_row(
            show_bandwidth(decision.conditions.uplink_bps),
            decision.cut_id,
            *map(show_seconds, parts),
            show_seconds(decision.latency_s),
            *map(show_seconds, alone),
            f"{min(alone) / decision.latency_s:.2f}x",
        )
    console.print(table)
    points = ", ".join(show_bandwidth(point) for point in splitting_model.break_points)
    console.print(f"The best cut changes at {points}; gain is against the better of both sides alone.")
    decision, gain = greatest_gain(splitting_model)
    conditions = decision.conditions
    console.print(
        f"Of {len(GRID):,} other conditions a split gains most at {show_bandwidth(conditions.uplink_bps)}, device "
        f"{conditions.device_slowdown:g} and server {conditions.server_slowdown:g} times slower: {gain:.3f}x. Tensors travel "
        "as float32 here, which is why it is so little.\n"
    )


def print_codecs(plain: cic.SplittingModel, smaller: cic.SplittingModel) -> None:
    """A table: the best cut and its codecs against the better of both sides alone, the photograph sent as pixels."""
    table = Table("uplink", "best cut and codec", title="With codecs, predicted", title_justify="left")
    for title in ("sent", "error of the answer", "latency", "with float32", "gain"):
        table.add_column(title, justify="right")
    for uplink in UPLINKS:
        decision, before = smaller.decide(uplink), plain.decide(uplink)
        table.add_row(
            show_bandwidth(decision.conditions.uplink_bps),
            decision.cut.label,
            show_bytes(decision.upload_bytes),
            f"{decision.cut.accuracy['error']:.1e}" if decision.cut.accuracy else "",
            show_seconds(decision.latency_s),
            show_seconds(before.latency_s),
            f"{min(alone_s(smaller, decision.conditions)) / decision.latency_s:.2f}x",
        )
    console.print(table)
    decision, gain = greatest_gain(smaller)
    conditions = decision.conditions
    console.print(
        f"A split gains most at {show_bandwidth(conditions.uplink_bps)}, device {conditions.device_slowdown:g} and server "
        f"{conditions.server_slowdown:g} times slower: {decision.cut.label}, {gain:.2f}x the better of both sides alone.\n"
    )


def alone_s(splitting_model: cic.SplittingModel, conditions: cic.Conditions) -> list[float]:
    """Seconds with everything on the device, and with everything on the server under the best codec for the input."""
    return [
        min(cut.latency_s(conditions) for cut in splitting_model.cuts if cut.id == side) for side in (DEVICE_ONLY, SERVER_ONLY)
    ]


def greatest_gain(splitting_model: cic.SplittingModel) -> tuple[cic.Decision, float]:
    """The decision of the grid that beats the better side alone by most, and by what factor."""
    found = []
    for uplink_bps, device, server in GRID:
        decision = splitting_model.decide(uplink_bps, device_slowdown=device, server_slowdown=server)
        alone = alone_s(splitting_model, decision.conditions)
        found.append((decision, min(alone) / decision.latency_s))
    return max(found, key=lambda pair: pair[1])


def print_classifications(bundle: Path, splitting_model: cic.SplittingModel, photograph: Tensor, whole: Tensor) -> None:
    """Classify the photograph with every cut, head and tail in two processes; stop if any differs from the whole model."""
    table = Table("cut", "sent", "top 5 classes", title=f"The photograph over a local socket at {LINK}", title_justify="left")
    for title in ("relative error", "latency here"):
        table.add_column(title, justify="right")
    expected = top5(whole)
    with step(f"classifying the photograph with head and tail in two processes, {len(splitting_model.cuts)} cuts"):
        for cut in splitting_model.cuts:
            conditions = splitting_model.decide(LINK).conditions
            with Rehearsal(bundle, cut, conditions) as session:
                inputs = session.flatten((photograph,), {})
                session.warm_up(inputs)
                answer, timing = session.infer(inputs)
            error = ((answer - whole).abs().max() / whole.abs().max()).item()
            if top5(answer) != expected or error > TOLERANCE:
                raise SystemExit(f"demo: {cut.id} answers {top5(answer)}, the whole model {expected}; {error=:.1e}")
            classes = ", ".join(map(str, top5(answer)))
            table.add_row(cut.id, show_bytes(timing.sent_bytes), classes, f"{error:.0e}", show_seconds(timing.latency_s))
    console.print(table)
    console.print(f"The whole model says {', '.join(map(str, expected))}: the same five, in the same order, for every cut.\n")


def top5(scores: Tensor) -> Sequence[int]:
    return scores[0].topk(5).indices.tolist()


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is going on, and how long it took."""
    console.print(f"── {what} …", end=" ")
    began = perf_counter()
    yield
    console.print(f"{perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
