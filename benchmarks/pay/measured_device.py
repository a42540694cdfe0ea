"""The device of `benchmarks.pay.measured`: a process that has a quota of a processor, while its servers have a whole one.

Servers are started before the process joins the group with the quota, and stay in the one without.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

import cic
from benchmarks.cost.quota_group import QuotaGroup
from benchmarks.pay import photographs
from benchmarks.pay.picture_server import PictureClient
from benchmarks.pay.server_only import DOWNLINK_RATIO
from cic.decision.cut import DEVICE_ONLY
from cic.decision.splitting_model import SplittingModel
from cic.engine.roomy_memory import keep_freed_memory
from cic.runtime.rehearsal import Rehearsal

# Counted in short periods, so that a run is slowed evenly: in 100 ms it would now and then pass without being held back.
PERIOD_S = 0.01
WARM_UPS = 3
SECONDS_PER_OP = 0.04
Way = Callable[[np.ndarray], tuple[torch.Tensor, int]]
"""From a picture, uint8[h, w, 3], to scores and the bytes sent."""


@dataclass(frozen=True)
class Limits:
    """A group of this process, and the share of a processor that it has; None: as much as it wants.

    Other work on the machine stands behind both groups.
    """

    folder: str
    old: bool
    quota: float | None

    def keep(self) -> None:
        """From now on this process, and those that it starts, have that."""
        group = QuotaGroup(Path(self.folder), self.old)
        group.limit(self.quota, PERIOD_S)
        group.join()


def profile_here(limits: Limits, materials: Path, path: Path) -> None:
    """Measure the network's ops under these limits and save the profile."""
    torch.set_num_threads(1)
    network = photographs.model(materials)
    limits.keep()
    # As calibration inputs lie in memory: ops on another layout are other ops.
    example = photographs.inputs_of(np.zeros((1, 224, 224, 3), np.uint8))
    cic.profile(network, (example,), seconds_per_op=SECONDS_PER_OP).save(path)


def run_ways(
    device: Limits,
    server: Limits,
    whole: tuple[Path, SplittingModel],
    split: tuple[Path, SplittingModel],
    label: str | None,
    uplink_bps: float,
    file: tuple[str, int],
    pictures: Path,
    rounds: int,
) -> list[dict[str, Any]]:
    """Classify pictures in every way, in turn, and say what each took.

    whole: an emitted model with both extremes. split: one with the cut of this label; None: only both extremes.
    file: kind and quality of what server-only sends.
    """
    torch.set_num_threads(1)
    server.keep()
    conditions = cic.Conditions(uplink_bps, DOWNLINK_RATIO * uplink_bps)
    extremes = {cut.label: cut for cut in whole[1].cuts}
    client = PictureClient(whole[0], conditions.uplink_bps, conditions.downlink_bps)
    sessions = {"device-only": Rehearsal(whole[0], extremes[DEVICE_ONLY], conditions)}
    if label is not None:
        cut = next(cut for cut in split[1].cuts if cut.label == label)
        sessions["split"] = Rehearsal(split[0], cut, conditions, codecs=cut.codec_of)
    ways: dict[str, Way] = {name: _through(session) for name, session in sessions.items()}
    ways["server-only"] = lambda picture: client.classify(picture, *file)
    try:
        device.keep()
        with np.load(pictures) as stored:
            return _rounds(ways, stored["held_out"], rounds)
    finally:
        client.close()
        for session in sessions.values():
            session.close()


def _through(session: Rehearsal) -> Way:
    def classify(picture: np.ndarray) -> tuple[torch.Tensor, int]:
        # Heads take pixels.
        scores, timing = session.infer([torch.from_numpy(picture[None]).permute(0, 3, 1, 2)])
        return scores.reshape(-1), timing.sent_bytes

    return classify


def _rounds(ways: dict[str, Way], pictures: Sequence[np.ndarray], rounds: int) -> list[dict[str, Any]]:
    found = []
    with torch.inference_mode():
        for number in range(-WARM_UPS, rounds):
            picture = pictures[number % len(pictures)]
            for name, way in ways.items():
                started = perf_counter()
                scores, sent = way(picture)
                taken_s = perf_counter() - started
                if number >= 0:
                    found.append({"way": name, "picture": number, "s": taken_s, "bytes": sent, "class": int(scores.argmax())})
    return found


def _emitted(folder: str) -> tuple[Path, SplittingModel]:
    return Path(folder) / "bundle", cic.load(Path(folder) / "model.cic")


def main() -> None:
    """One job, as JSON in the only argument; what was found goes to the file that it names."""
    keep_freed_memory()
    job = json.loads(sys.argv[1])
    limits = [Limits(**each) for each in job["limits"]]
    if job["kind"] == "profile":
        profile_here(limits[0], Path(job["materials"]), Path(job["found"]))
        return
    rows = run_ways(
        *limits,
        _emitted(job["whole"]),
        _emitted(job["split"]),
        job["label"],
        job["uplink_bps"],
        (job["file"][0], job["file"][1]),
        Path(job["pictures"]),
        job["rounds"],
    )
    Path(job["found"]).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
