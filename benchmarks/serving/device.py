"""The device's process of `benchmarks.serving.faults` and `.soak`: inferences one after another, each compared and timed.

It says in a line of JSON when a fault is to begin and to end, waits for a line after each, and in a last line how it went.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cic.session.record import REMOTE
from cic.session.session import Session

TOLERANCE = 1e-4
LATE = 1.1


@dataclass
class Tally:
    """What became of the inferences. wrong, late, failed: each with its number and what happened. ids: of requests; None in a
    soak, where they would be what grows."""

    count: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    ids: set[str] | None = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    faults_met: Counter[str] = field(default_factory=Counter)

    @property
    def document(self) -> dict[str, Any]:
        """As JSON; lists are cut to twenty."""
        told = {name: dict(getattr(self, name)) for name in ("outcomes", "cuts", "faults", "faults_met")}
        counted = {name: len(getattr(self, name) or ()) for name in ("wrong", "late", "failed", "ids")}
        examples = [*self.wrong[:7], *self.late[:7], *self.failed[:6]]
        return {"count": self.count, **counted, **told, "longest_s": self.longest_s, "examples": examples}


class Asker:
    """Asks for one picture after another. deadline_s: of each."""

    def __init__(self, folder: Path, session: Session, deadline_s: float, seed: int) -> None:
        right = np.load(folder / "right.npz")
        self._pictures, self._answers = right["pictures"], right["answers"]
        self._session, self._deadline_s, self.draw = session, deadline_s, random.Random(seed)
        self.tally = Tally()

    def ask(self, fault: str = "") -> None:
        """One inference, under a fault of that name or none."""
        tally, which = self.tally, self.draw.randrange(len(self._pictures))
        tally.count += 1
        began_s = time.perf_counter()
        try:
            inference = self._session.infer(self._pictures[which][None])
        except Exception as error:  # each is counted  # noqa: BLE001
            tally.failed.append(f"{tally.count} {fault}: {type(error).__name__}: {error}")
            return
        took_s = time.perf_counter() - began_s
        error = np.abs(inference.output - self._answers[which]).max() / np.abs(self._answers[which]).max()
        said = f"{tally.count} {fault}: {inference.cut_id}, {inference.outcome}"
        if not error <= TOLERANCE:
            tally.wrong.append(f"{said}, off by {error:.2g}")
        if took_s > LATE * self._deadline_s:
            tally.late.append(f"{said}, after {took_s:.3f} s")
        tally.longest_s = max(tally.longest_s, took_s)
        tally.outcomes[inference.record.kind] += 1
        tally.cuts[inference.cut_id] += 1
        if tally.ids is not None:
            tally.ids.add(inference.record.request_id)
        if fault:
            tally.faults[fault] += 1
            tally.faults_met[fault] += inference.cut_id != "device-only"


def drawn_fault(draw: random.Random) -> tuple[str, dict[str, Any]]:
    """The name of a fault and what the proxy is told; "kill" is for whoever has the server."""
    upload, reply = draw.randrange(100, 50_000), draw.randrange(0, 800)
    faults: dict[str, dict[str, Any]] = {
        "killed": {"kill": True},
        "refused": {"refusing": True, "up": {"reset_at": 0}},
        "black-holed": {"up": {"stall_at": 0}, "down": {"stall_at": 0}},
        "reset mid-upload": {"up": {"reset_at": upload}},
        "stalled mid-upload": {"up": {"stall_at": upload}},
        "stalled before the reply": {"down": {"stall_at": 0}},
        "reset at a byte of the reply": {"down": {"reset_at": reply}},
        "cut short at a byte of the reply": {"down": {"truncate_at": reply}},
        "late by a second": {"down": {"delay_s": 1.0}},
        "100 to 1 Mbit/s": {"up": {"rate_bps": 1e6}},
    }
    name = draw.choice(list(faults))
    return name, faults[name]


def tell(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def run_faults(asker: Asker, count: int, share: float) -> None:
    """`count` inferences, of which a share begins with a fault that ends with it."""
    for _ in range(count):
        if asker.draw.random() >= share:
            asker.ask()
            continue
        name, fault = drawn_fault(asker.draw)
        tell({"fault": fault})
        sys.stdin.readline()
        asker.ask(name)
        tell({"clear": True})
        sys.stdin.readline()


def run_soak(askers: list[Asker], seconds: float) -> None:
    """Each asker in a thread of its own, without a pause."""
    end_s = time.monotonic() + seconds
    for asker in askers:
        asker.tally.ids = None

    def work(asker: Asker) -> None:
        while time.monotonic() < end_s:
            asker.ask()

    threads = [threading.Thread(target=work, args=(asker,)) for asker in askers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("url")
    options.add_argument("--deadline", type=float, required=True)
    options.add_argument("--records", type=Path, required=True)
    options.add_argument("--count", type=int, default=0)
    options.add_argument("--share", type=float, default=0.02)
    options.add_argument("--seconds", type=float, default=0)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--cuts", nargs="+", help="to choose from; default: all")
    given = options.parse_args()
    with ExitStack() as stack:
        session = stack.enter_context(
            Session(
                given.folder / "model.split",
                given.folder / "model.cic",
                server=given.url,
                deadline_s=given.deadline,
                records=given.records,
                cuts=given.cuts,
            )
        )
        session.warm_up(20)
        first = session.infer(np.load(given.folder / "right.npz")["pictures"][:1])
        tell({"remote": first.outcome == REMOTE})
        sys.stdin.readline()
        if given.count:
            askers = [Asker(given.folder, session, given.deadline, seed=0)]
            run_faults(askers[0], given.count, given.share)
        else:
            askers = [Asker(given.folder, session, given.deadline, seed) for seed in range(given.threads)]
            run_soak(askers, given.seconds)
        tell({"done": [asker.tally.document for asker in askers]})
        sys.stdin.readline()


if __name__ == "__main__":
    main()
