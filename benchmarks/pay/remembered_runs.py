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
from cic.codec.registry import codec
from cic.codec.transform.transform_codec import TransformCodec, digest_in
from cic.precision import examination, trained_stage
from cic.precision.accuracy import Reached
from cic.precision.cut_accuracy import Examiner
from cic.precision.kept_heads import KeptHeads
from cic.precision.transforms.making import Made
from cic.precision.transforms.share import samples_to_make_from

Trained = tuple[TransformCodec, bytes]


class Memory:
    """Answers by question, a line of JSON each in a file of its network.

    examiners: by the number of their samples.
    """

    def __init__(self, folder: Path, network: RealNetwork) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{network.name}.jsonl"
        self._inputs = _digest(tensor.numpy().tobytes() for sample in network.calibration for tensor in sample)
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        self.examiners: dict[int, Examiner] = {}
        self._transforms = folder / f"{network.name}.transforms"
        self._known: dict[str, Any] = dict(map(json.loads, lines))

    def ask(self, question: object, answer: Callable[[], Any]) -> Any:
        """What is known, or found out now."""
        key = _digest([self._inputs.encode(), repr(question).encode()])
        if key not in self._known:
            self._known[key] = answer()
            with self._path.open("a") as file:
                file.write(json.dumps([key, self._known[key]]) + "\n")
        return self._known[key]

    def transforms(self, count: int, make: Callable[[], Made]) -> Made:
        """Those made from so many of the calibration inputs, now or before: names, and beside them the numbers they need."""

        def names() -> dict[str, list[str]]:
            made = make()
            self._transforms.mkdir(exist_ok=True)
            for digest, content in made.stored.items():
                (self._transforms / digest).write_bytes(content)
            return {tensor: [each.name for each in codecs] for tensor, codecs in made.codecs.items()}

        known = self.ask(("transforms", count), names)
        digests = {digest_in(name) for each in known.values() for name in each}
        stored = {digest: (self._transforms / digest).read_bytes() for digest in digests if digest is not None}
        codecs = {tensor: tuple(codec(name, stored) for name in each) for tensor, each in known.items()}
        return Made(codecs, stored)  # type: ignore[arg-type]

    def trained(self, question: object, train: Callable[[], Trained | None]) -> Trained | None:
        """A transform that was trained now or before, and the numbers it needs; None if that gained nothing."""

        def name() -> str | None:
            if (gained := train()) is None:
                return None
            self._transforms.mkdir(exist_ok=True)
            (self._transforms / gained[0].digest).write_bytes(gained[1])
            return gained[0].name

        if (known := self.ask(question, name)) is None:
            return None
        content = (self._transforms / str(digest_in(known))).read_bytes()
        found = codec(known, {str(digest_in(known)): content})
        assert isinstance(found, TransformCodec)
        return found, content


@contextmanager
def remembered(memory: Memory) -> Iterator[None]:
    """While this lasts, no cut is run under codecs under which it was run before, and the whole network only once.

    Transforms are those made for the first machines that they are asked for, whose times decide about the shape of blocks.
    """
    run, examine_anew, make_transforms = Examiner.reached, examination.examiner, examination.transforms_for
    train = trained_stage._gained

    def examiner(runner: Any, calibration: Any, target: Any) -> Examiner:
        count = len(calibration.samples)
        if count not in memory.examiners:
            memory.examiners[count] = examine_anew(runner, calibration, target)
        kept = memory.examiners[count]
        return replace(kept, runner=runner, target=target, heads=KeptHeads())

    def reached(examiner: Examiner, device_nodes: Any, codecs: Any, level: float) -> Reached:
        target = None if examiner.target is None else examiner.target.text
        question = len(examiner.whole), sorted(device_nodes), sorted(codecs.items()), f"{level:.9g}", target
        return Reached(**memory.ask(question, lambda: asdict(run(examiner, device_nodes, codecs, level))))

    def transforms_for(traced: Any, runner: Any, calibration: Any, asked: Any, costs: Any, tell: Any) -> Any:
        tensors = sum(tensor.may_cross and bool(tensor.consumers) for tensor in traced.graph.tensors)
        count = samples_to_make_from(len(calibration.samples), tensors, asked)
        made = memory.transforms(count, lambda: make_transforms(traced, runner, calibration, asked, costs, tell)[0])
        making, judging = calibration.parted(count)
        return replace(made, samples=making.samples), judging if made.codecs else calibration

    def gained(examined: Any, tensor: str, name: str, spent: Any, budget_s: float, tell: Any) -> Trained | None:
        question = ("trained", tensor, name, f"{budget_s:.3g}")
        return memory.trained(question, lambda: train(examined, tensor, name, spent, budget_s, tell))

    with (
        mock.patch.object(Examiner, "reached", reached),
        mock.patch.object(trained_stage, "_gained", gained),
        mock.patch.object(examination, "examiner", examiner),
        mock.patch.object(examination, "transforms_for", transforms_for),
    ):
        yield


def _digest(parts: Any) -> str:
    sums = blake2b(digest_size=16)
    for part in parts:
        sums.update(part)
    return sums.hexdigest()
