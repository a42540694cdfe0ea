"""Does a split of EfficientNet-Lite0 pay when it is really run? Two processes, a paced link, and a device that is held back.

The device's process has a fixed share of a processor, and its profile is measured under it; the server's has a whole one. A
photograph is classified in three ways in turn: on the device alone, by the server from a JPEG file of the lowest quality that
keeps as much, and by the cut that was compiled from both profiles. All three start from the pixels that a camera gives.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch

import cic
from benchmarks.cost.quota_group import quota_group
from benchmarks.harness.report import Report, Section, Target, shared_options, show_ratio, show_time
from benchmarks.pay import materials, photographs
from benchmarks.pay.gains import trace
from benchmarks.pay.measured_device import PERIOD_S, Limits
from benchmarks.pay.picture_server import REPOSITORY
from benchmarks.pay.real_network import RealNetwork
from benchmarks.pay.remembered_runs import Memory, remembered
from benchmarks.pay.server_only import DOWNLINK_RATIO, PictureFiles
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.engine.roomy_memory import keep_freed_memory

QUOTA = 0.1
SHARE = 0.95
AROUND = (0.5, 1.0, 2.0)
ROUNDS = 25
GOAL = 1.3
FILE = "JPEG"
ANSWER_BYTES = 4 * 1000
# Both extremes over a link that costs nothing, to find where they tie.
FAST_BPS = 1e9


def main() -> int:
    """Measure, publish, and say whether everything was kept."""
    options = shared_options(__doc__, "three photographs")
    options.add_argument("--materials", type=Path, default=materials.DEFAULT, help="where weights and inputs are installed to")
    options.add_argument("--place", metavar="OP", help="cut after this op; default: where it is best, an hour to find")
    options.add_argument("--profiles", type=Path, help="folder with profiles of this machine; made there if there are none")
    given = options.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    materials.install(given.materials)
    network = photographs.load(given.materials)
    try:
        with quota_group("cic-device") as device, quota_group("cic-server") as server, tempfile.TemporaryDirectory() as folder:
            limits = tuple(Limits(str(g.folder), g.old, quota) for g, quota in ((device, QUOTA), (server, None)))
            found = measure(
                network, given.materials, limits, Path(folder), 3 if given.quick else ROUNDS, given.place, given.profiles
            )
    except OSError as error:
        print(f"skipped: no control group can be made here: {error}")
        return 0
    report = published(found, network)
    report.publish(given.results)
    return 0 if report.kept or given.quick else 1


def measure(
    network: RealNetwork,
    folder: Path,
    limits: Sequence[Limits],
    work: Path,
    rounds: int,
    place: str | None,
    profiles_in: Path | None = None,
) -> dict[str, Any]:
    """Profiles, the compiled model, where both extremes tie, and what every way took around there.

    limits: of the device and of the server. place: an op after which to cut; None: wherever is best.
    profiles_in: where profiles are, or are made for the next time; None: nowhere.
    """
    profiles = {}
    for side, held_back in zip(("device", "server"), limits, strict=True):
        path = (profiles_in or work) / f"{side}.profile.json"
        if not path.exists():
            _in_a_process({"kind": "profile", "materials": str(folder.resolve()), "found": str(path)}, [held_back])
        profiles[side] = cic.load_profile(path)
    memory = Memory(folder / "runs", network)
    file = PictureFiles(network, memory).lowest(FILE, SHARE)
    assert file is not None
    traced = cic.trace_model(network.model, network.example, name=network.name)
    device_s, server_s = (sum(profiles[side].op_seconds(traced.graph)) for side in ("device", "server"))
    bits = 8 * (file.mean_bytes + ANSWER_BYTES / DOWNLINK_RATIO)
    tie = bits / (device_s - server_s)
    whole, split = work / "whole", work / "split"
    box = cic.Box((tie / 50, tie * 500), (DOWNLINK_RATIO,) * 2, rtt=(0, 0), device_slowdown=(1, 1), server_slowdown=(1, 1))
    told = {**profiles, "box": box, "defaults": cic.Conditions(tie / 50, DOWNLINK_RATIO * tie / 50)}
    model = cic.compile(traced, **told, precision=cic.Precision("fp32", input=network.form))
    _keep(network, model, whole, [DEVICE_ONLY, SERVER_ONLY])
    with remembered(memory):
        model = cic.compile(traced, **told, precision=network.precision(SHARE, None), pins=_pins(network, place))
    _keep(network, model, split, [])
    job = {
        "kind": "run",
        "whole": str(whole),
        "split": str(split),
        "file": [file.kind, file.quality],
        "pictures": str((folder / "efficientnet-lite0.npz").resolve()),
        "rounds": rounds,
    }
    extremes = _in_a_process(job | {"label": None, "uplink_bps": FAST_BPS}, limits)
    alone_s = {way: median(row["s"] for row in extremes if row["way"] == way) for way in (DEVICE_ONLY, SERVER_ONLY)}
    tie = bits / (alone_s[DEVICE_ONLY] - alone_s[SERVER_ONLY])
    rows, predicted = [], []
    for times in AROUND:
        uplink = times * tie
        decision = model.decide(uplink, downlink=DOWNLINK_RATIO * uplink)
        pays = decision.cut_id not in (DEVICE_ONLY, SERVER_ONLY)
        predicted.append({"times_tie": times, "cut": decision.cut.label, "ms": decision.latency_s * 1e3})
        if pays:
            _keep(network, model, split, [decision.cut_id])
        told = {"label": decision.cut.label if pays else None, "uplink_bps": uplink}
        rows += [{"times_tie": times, **told, **row} for row in _in_a_process(job | told, limits)]
        print(f"{times:g} of the tie at {tie / 1e6:.3f} Mbit/s: {decision.cut.label}", file=sys.stderr, flush=True)
    return {
        "tie_bps": tie,
        "alone_ms": {way: seconds * 1e3 for way, seconds in alone_s.items()},
        "profiled_ms": {"device": device_s * 1e3, "server": server_s * 1e3},
        "file": asdict(file),
        "quota": QUOTA,
        "share": SHARE,
        "predicted": predicted,
        "rows": rows,
    }


def _pins(network: RealNetwork, place: str | None) -> dict[str, str] | None:
    """All ops up to the named one on the device, all others on the server; None if no place is given."""
    if place is None:
        return None
    ops = [op.name for op in trace(network).graph.ops]
    if place not in ops:
        raise SystemExit(f"there is no op {place!r}; there are {', '.join(ops)}")
    return {name: "device" if number <= ops.index(place) else "server" for number, name in enumerate(ops)}


def _keep(network: RealNetwork, model: cic.SplittingModel, folder: Path, cuts: Sequence[str]) -> None:
    """The splitting model, and halves of some of its cuts beside it."""
    folder.mkdir(exist_ok=True)
    model.save(folder / "model.cic")
    if cuts:
        cic.emit(network.model, model, folder / "bundle", cuts=list(cuts))


def _in_a_process(job: dict[str, Any], limits: Sequence[Limits]) -> list[dict[str, Any]]:
    """What the device's process found; nothing for a profile, which it writes to where it is told."""
    with tempfile.TemporaryDirectory() as folder:
        told = {"found": f"{folder}/found.json", **job, "limits": [asdict(each) for each in limits]}
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.pay.measured_device", json.dumps(told)]
        subprocess.run(command, check=True, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return [] if job["kind"] == "profile" else list(json.loads(Path(told["found"]).read_text()))


def published(found: dict[str, Any], network: RealNetwork) -> Report:
    """Tables and promises."""
    agreed = [int(answer[0].argmax()) for answer in network.whole_held_out[: len({row["picture"] for row in found["rows"]})]]
    cells = [_Cell(times, [row for row in found["rows"] if row["times_tie"] == times], agreed) for times in AROUND]
    at_tie = next(cell for cell in cells if cell.times_tie == 1.0)
    gain = at_tie.gain
    file = found["file"]
    return Report(
        "measured",
        "A split of EfficientNet-Lite0 in two processes over a paced link, beside both extremes",
        [
            Section(
                "Medians of what a photograph took, and quartiles",
                ("uplink", "cut", "device-only", f"server-only, {file['kind']} of quality {file['quality']}", "split", "gain"),
                [cell.times_row() for cell in cells],
                (
                    "A gain is the lower median of both extremes over the median of the split; behind it the quartiles of the "
                    "same ratio in each round.",
                ),
            ),
            Section(
                "Bytes sent, and answers that are those of the whole network, for the same photographs",
                ("uplink", *(f"{way}, {what}" for way in ("server-only", "split") for what in ("bytes", "agree")), "predicted"),
                [cell.kept_row(found["predicted"]) for cell in cells],
            ),
        ],
        [
            Target(
                f"the split is {GOAL:g} × as fast as the better extreme where both tie, {SHARE:.1%} of the answers kept",
                "no split was chosen" if gain is None else show_ratio(gain),
                gain is not None and gain >= GOAL,
            )
        ],
        found,
        (
            f"The device's process has {QUOTA:.0%} of a processor, counted in {PERIOD_S * 1e3:g} ms by a control group; the "
            "servers' processes have a whole one. Profiles were measured under the same limits.",
            f"Server-only sends a {file['kind']} file of quality {file['quality']}, the lowest that keeps {SHARE:.1%} of the "
            f"answers on calibration inputs ({file['kept']:.2%} on others): {file['mean_bytes']:,.0f} bytes in the mean. It is "
            "encoded from the pixels on the device and decoded, normalised and classified by a server that does nothing else. "
            "Device-only and the split normalise the same pixels on the device. No round trip beyond that of the local socket; "
            f"the downlink is {DOWNLINK_RATIO:g} times as fast as the uplink, so that the {ANSWER_BYTES:,} bytes of the "
            "answer cost next to nothing: a device wants a class, not a thousand scores.",
        ),
    )


class _Cell:
    """What was measured at one uplink."""

    def __init__(self, times_tie: float, rows: Sequence[dict[str, Any]], whole: Sequence[int]) -> None:
        self.times_tie, self._rows, self._whole = times_tie, rows, whole
        self.seconds = {way: [row["s"] for row in rows if row["way"] == way] for way in (DEVICE_ONLY, SERVER_ONLY, "split")}

    @property
    def gain(self) -> float | None:
        """None if no split was chosen there."""
        if not self.seconds["split"]:
            return None
        return min(median(self.seconds[way]) for way in (DEVICE_ONLY, SERVER_ONLY)) / median(self.seconds["split"])

    def times_row(self) -> tuple[str, ...]:
        uplink = self._rows[0]["uplink_bps"]
        shown = [f"{self.times_tie:g} B0 = {uplink / 1e6:.3f} Mbit/s", self._rows[0]["label"] or "none pays"]
        shown += [_spread(values, show_time) if values else "" for values in self.seconds.values()]
        if self.gain is None:
            return (*shown, "")
        better = min((DEVICE_ONLY, SERVER_ONLY), key=lambda way: median(self.seconds[way]))
        ratios = [slow / fast for slow, fast in zip(self.seconds[better], self.seconds["split"], strict=True)]
        low, _, high = quantiles(ratios, n=4)
        return (*shown, f"{show_ratio(self.gain)} ({low:.2f} to {high:.2f})")

    def kept_row(self, predicted: Sequence[dict[str, Any]]) -> tuple[str, ...]:
        shown = [f"{self.times_tie:g} B0"]
        for way in (SERVER_ONLY, "split"):
            rows = [row for row in self._rows if row["way"] == way]
            same = [row["class"] == self._whole[row["picture"]] for row in rows]
            shown += [f"{median(row['bytes'] for row in rows):,.0f}", f"{np.mean(same):.1%}"] if rows else ["", ""]
        told = next(each for each in predicted if each["times_tie"] == self.times_tie)
        return (*shown, f"{told['cut']}, {told['ms']:,.0f} ms")


def _spread(values: Sequence[float], show: Any) -> str:
    low, middle, high = quantiles(values, n=4)
    return f"{show(middle)} ({show(low)} to {show(high)})"


if __name__ == "__main__":
    sys.exit(main())
