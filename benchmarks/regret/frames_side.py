"""The device of the testbed streams: frame after frame through one cut after another, as a session by throughput runs them.

Each line of the standard input is a cell, as JSON; each is answered with a line: for every way its cut, the predicted interval
between two answers, and how many came in a second.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import cic
from benchmarks.regret.device_side import PATIENCE_S, SESSION, SETTLING_S
from cic.codec.tensors import Array
from cic.decision.conditions import Conditions
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut
from cic.decision.splitting_model import SplittingModel
from cic.decision.throughput import Throughput
from cic.emission.bundle_check import emitted_cuts
from cic.session.record import TERMS, Terms
from cic.session.remote_server import RemoteServer
from cic.session.server_address import server_address
from cic.session.session import Session
from codegen.manifest import read_manifest

SHORTEST, LATENCY = "shortest interval", "lowest latency"
AHEAD = 4
"""So many frames may be on the link or with the server at once."""

WARM_UPS = AHEAD + 4
"""Answers before the first that counts: all that were under way when the stream began, and some more."""

LEAST_FRAMES, MOST_FRAMES = 8, 400


@dataclass(frozen=True)
class Given:
    """What the process is started with: MODEL BUNDLE URL PHOTOGRAPH."""

    model: SplittingModel
    bundle: Path
    url: str
    photograph: Array


def measure(told: Given, cell: dict[str, Any]) -> dict[str, Any]:
    """One cell: a stream by each way, at the bandwidths that the link has now. Equal cuts are streamed once."""
    conditions = Conditions(cell["uplink_bps"], cell["uplink_bps"], _round_trip_s(told))
    chosen = cuts(told.model, conditions, emitted_cuts(told.model, told.bundle))
    cost = Throughput().cost
    ways: dict[str, Any] = {}
    streamed: dict[str, dict[str, Any]] = {}
    for way, cut in chosen.items():
        interval_s = cost(cut, conditions)
        key = way if way == SESSION else cut.label
        if key not in streamed:
            streamed[key] = stream(told, None if way == SESSION else cut, _frames(interval_s, cell["seconds"]))
        terms = cut.terms(conditions)
        ways[way] = {"cut": cut.label, "interval_s": interval_s, "terms_s": [round(term, 6) for term in terms], **streamed[key]}
    return {**cell, "rtt_s": conditions.rtt_s, "ways": ways}


def cuts(model: SplittingModel, conditions: Conditions, emitted: set[str]) -> dict[str, Cut]:
    """The cut of each way. A session that chooses by itself is told of with the cut of the shortest interval."""
    at = {"bandwidth": conditions.uplink_bps, "downlink": conditions.downlink_bps, "rtt": conditions.rtt_s}
    shortest = model.decide(**at, among=emitted, objective="throughput").cut  # type: ignore[arg-type]
    latency = model.decide(**at, among=emitted).cut  # type: ignore[arg-type]
    found = {SHORTEST: shortest, LATENCY: latency}
    for extreme in (SERVER_ONLY, DEVICE_ONLY):
        alike = [cut for cut in model.cuts if cut.id == extreme and cut.id in emitted]
        if alike:
            found[extreme] = min(alike, key=lambda cut: Throughput().cost(cut, conditions))
    return {**found, SESSION: shortest}


def stream(told: Given, cut: Cut | None, frames: int) -> dict[str, Any]:
    """Frames a second through a cut, or through whatever a session decides for, and what it ran."""
    ids = None if cut is None else [cut.id]
    server = told.url if cut is None or cut.offloads else None
    came_s: list[float] = []
    ran: Counter[str] = Counter()
    latencies_s, parts = [], []
    with Session(told.bundle, told.model, server, cuts=ids, objective="throughput") as session:
        settled = session.warm_up(SETTLING_S)
        with session.stream(repeat(told.photograph, WARM_UPS + frames), ahead=AHEAD) as answers:
            for inference in answers:
                came_s.append(time.perf_counter())
                ran[f"{inference.cut_id} {','.join(inference.record.codecs)}".strip()] += 1
                latencies_s.append(inference.latency_s)
                parts.append(inference.record.measured)
    first, *_, last = counted = came_s[WARM_UPS - 1 :]
    return {
        "settled": settled,
        "frames": frames,
        "frames_per_second": (len(counted) - 1) / (last - first),
        "longest_gap_s": max(after - before for before, after in pairwise(counted)),
        "latency_s": median(latencies_s[WARM_UPS:]),
        "measured_terms_s": _medians(parts[WARM_UPS:]),
        "ran": dict(ran),
    }


def _medians(parts: Sequence[Terms]) -> list[float]:
    """Of each term over those frames whose term was measured; what frames wait for is a part of theirs."""
    columns = ([told for each in parts if (told := getattr(each, name)) is not None] for name in TERMS[:-1])
    return [round(median(column), 6) if column else 0.0 for column in columns]


def _frames(interval_s: float, seconds: float) -> int:
    """So many that they take about so long."""
    return max(LEAST_FRAMES, min(MOST_FRAMES, round(seconds / interval_s)))


def _round_trip_s(told: Given) -> float:
    manifest = read_manifest(told.bundle)
    remote = RemoteServer(server_address(told.url), manifest, manifest.name)
    took_s = median(remote.health(PATIENCE_S).last_byte_s for _ in range(15))
    remote.close()
    return took_s


def main() -> None:
    """Answer lines with lines."""
    path, bundle, url, photograph = sys.argv[1:]
    told = Given(cic.load(path), Path(bundle), url, np.load(photograph))
    print(json.dumps({"cuts": sorted(emitted_cuts(told.model, told.bundle))}), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(told, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
