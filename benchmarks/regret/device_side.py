"""The device of the testbed: runs every cut of a table in turn, and a session that decides by itself, cell by cell.

Each line of the standard input is a cell, as JSON; each is answered with a line: for every way its latencies, and medians of
what they were spent on. Ways take turns, and the first of a round is another one each time, so that drift hits all alike.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import cic
from cic.codec.tensors import Array
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.emission.bundle_check import emitted_cuts
from cic.engine.opening import open_half
from cic.session.remote_server import RemoteServer
from cic.session.server_address import server_address
from cic.session.session import Session
from codegen.manifest import read_manifest

SESSION = "session"
PATIENCE_S = 120.0
WARM_UPS = 2
# What a connection still has to do is done.
PAUSE_S = 0.01
SETTLING_S = 30.0

Parts = tuple[float, float, float]
"""Seconds on the device, on the server, and on the link."""


class StaticCut:
    """One cut, whatever the conditions are."""

    def __init__(self, bundle: Path, cut: Cut, remote: RemoteServer) -> None:
        self._cut, self._remote = cut, remote
        self._head = open_half(bundle, cut.id, "head")
        self._tail = remote.learn(cut.id, self._head.cut.codecs, PATIENCE_S).tail if cut.offloads else None
        codec_of = cut.codec_of
        self._codecs = [codec_of[wire.name] for wire in self._head.cut.crossing]
        self._number = 0
        self.bytes = (0, 0)
        """Up and down, all of HTTP, of the last exchange."""

    def run(self, inputs: Sequence[Array]) -> Parts:
        """What an inference took."""
        began = time.perf_counter()
        results = self._head.run(inputs)
        if self._tail is None:
            return time.perf_counter() - began, 0.0, 0.0
        coded = self._remote.encode(self._tail, results[: len(self._codecs)], self._codecs)
        device_s = time.perf_counter() - began
        self._number += 1
        answered = self._remote.ask(self._tail, f"{self._number}", coded, wait_s=PATIENCE_S)
        total_s = time.perf_counter() - began
        self.bytes = answered.seen.bytes_up, answered.seen.bytes_down
        return device_s, answered.seen.server_s, total_s - device_s - answered.seen.server_s


@dataclass(frozen=True)
class Given:
    """What a process of the device is started with: MODEL BUNDLE URL PHOTOGRAPH. statics: the emitted cuts, by label."""

    model: SplittingModel
    bundle: Path
    url: str
    inputs: list[Array]
    remote: RemoteServer
    statics: dict[str, StaticCut]


def given(arguments: Sequence[str]) -> Given:
    """Loaded, and connected to the server."""
    path, folder, url, photograph = arguments
    model, bundle = cic.load(path), Path(folder)
    manifest = read_manifest(bundle)
    remote = RemoteServer(server_address(url), manifest, manifest.name)
    emitted = emitted_cuts(model, bundle)
    statics = {cut.label: StaticCut(bundle, cut, remote) for cut in model.cuts if cut.id in emitted}
    return Given(model, bundle, url, [np.load(photograph)], remote, statics)


def measure(told: Given, cell: dict[str, Any]) -> dict[str, Any]:
    """One cell: rounds of all ways at the bandwidths that the link has now."""
    model, bundle, url, inputs, statics = told.model, told.bundle, told.url, told.inputs, told.statics
    manifest = read_manifest(bundle)
    remote = RemoteServer(server_address(url), manifest, manifest.name)
    health = [remote.health(PATIENCE_S).last_byte_s for _ in range(15)]
    remote.close()
    taken: dict[str, list[Parts]] = {label: [] for label in statics}
    chosen: list[str] = []
    with Session(bundle, model, url) as session:
        settled = session.warm_up(SETTLING_S)

        def decided() -> Parts:
            began = time.perf_counter()
            inference = session.infer(*inputs)
            total_s = time.perf_counter() - began
            chosen.append(inference.record.cut_id + " " + ",".join(inference.record.codecs))
            return total_s, 0.0, 0.0

        ways: dict[str, Callable[[], Parts]] = {label: _bound(static, inputs) for label, static in statics.items()}
        taken[SESSION], ways[SESSION] = [], decided
        names = list(ways)
        for number in range(-WARM_UPS, cell["rounds"]):
            first = number % len(names)
            for name in (*names[first:], *names[:first]):
                time.sleep(PAUSE_S)
                parts = ways[name]()
                if number >= 0:
                    taken[name].append(parts)
        believed = session.conditions.numbers
    return {
        **cell,
        "rtt_s": median(health),
        "settled": settled,
        "latencies_s": {name: [round(sum(parts), 6) for parts in rows] for name, rows in taken.items()},
        "parts_s": {name: [round(median(part), 6) for part in zip(*rows, strict=True)] for name, rows in taken.items()},
        "chosen": chosen[WARM_UPS:],
        "believed": believed,
    }


def _bound(static: StaticCut, inputs: Sequence[Array]) -> Callable[[], Parts]:
    return lambda: static.run(inputs)


def main() -> None:
    """Answer lines with lines."""
    told = given(sys.argv[1:])
    print(json.dumps({"cuts": list(told.statics)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(told, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
