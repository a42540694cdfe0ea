"""What cuts reached under codecs, remembered on disk: it is the same between all machines, which differ in what is tried."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.pay.real_network import RealNetwork
from cic.precision import examination
from cic.precision.accuracy import Reached
from cic.precision.cut_accuracy import Examiner


class Memory:
    """Answers by question, a line of JSON each in a file of its network. examiner: of its calibration inputs, once there is."""

    def __init__(self, folder: Path, network: RealNetwork) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{network.name}.jsonl"
        self._inputs = _digest(tensor.numpy().tobytes() for sample in network.calibration for tensor in sample)
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        self.examiner: Examiner | None = None
        self._known: dict[str, Any] = dict(map(json.loads, lines))

    def ask(self, question: object, answer: Callable[[], Any]) -> Any:
        """What is known, or found out now."""
        key = _digest([self._inputs.encode(), repr(question).encode()])
        if key not in self._known:
            self._known[key] = answer()
            with self._path.open("a") as file:
                file.write(json.dumps([key, self._known[key]]) + "\n")
        return self._known[key]


@contextmanager
def remembered(memory: Memory) -> Iterator[None]:
    """While this lasts, no cut is run under codecs under which it was run before, and the whole network only once."""
    run, examine_anew = Examiner.reached, examination.examiner

    def examiner(runner: Any, calibration: Any, target: Any) -> Examiner:
        if memory.examiner is None:
            memory.examiner = examine_anew(runner, calibration, target)
        return replace(memory.examiner, runner=runner, target=target)

    def reached(examiner: Examiner, device_nodes: Any, codecs: Any, level: float) -> Reached:
        target = None if examiner.target is None else examiner.target.text
        question = sorted(device_nodes), sorted(codecs.items()), f"{level:.9g}", target
        return Reached(**memory.ask(question, lambda: asdict(run(examiner, device_nodes, codecs, level))))

    with mock.patch.object(Examiner, "reached", reached), mock.patch.object(examination, "examiner", examiner):
        yield


def _digest(parts: Any) -> str:
    sums = blake2b(digest_size=16)
    for part in parts:
        sums.update(part)
    return sums.hexdigest()
