"""Where the tails of a calibration run: in this process, or on a server that says what each answer took it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

from cic.codec.codec import Payload
from cic.codec.registry import codec
from cic.cost.host import describe_host
from cic.decision.cut import Cut
from cic.engine.engine import Engine
from cic.engine.opening import open_half


@dataclass(frozen=True)
class ServerTime:
    """Seconds of one answer: reading the payloads, and computing, with writing the answer.

    asking_s: of the device's processor, for the exchange; 0 where there was none.
    """

    decode_s: float
    tail_s: float
    asking_s: float = 0.0


class Tails(Protocol):
    """The server side of a calibration. machine, engine: for people."""

    @property
    def machine(self) -> str: ...

    @property
    def engine(self) -> str: ...

    def run(self, cut: Cut, payloads: Sequence[Payload]) -> ServerTime:
        """Let the tail of a cut answer to what its head sent: payloads in the order of the manifest, coded as the cut says."""


class TailsHere:
    """All tails in this process: what a server would take that is such a machine as this. batch: of all runs, if it is open."""

    def __init__(self, bundle: Path, engine: str | None, threads: int, batch: int | None = None) -> None:
        self._bundle, self._engine, self._threads, self._batch = bundle, engine, threads, batch
        self._open: dict[str, Engine] = {}

    @property
    def machine(self) -> str:
        return describe_host().processor

    @property
    def engine(self) -> str:
        return ", ".join(dict.fromkeys(each.name for each in self._open.values()))

    def run(self, cut: Cut, payloads: Sequence[Payload]) -> ServerTime:
        """Raises EngineError, ArtifactError and CodecError as `open_half` and codecs do."""
        if cut.id not in self._open:
            self._open[cut.id] = open_half(self._bundle, cut.id, "tail", self._engine, self._threads)
        tail = self._open[cut.id]
        codec_of = cut.codec_of
        inputs = tail.inputs if self._batch is None else [wire.at_batch(self._batch) for wire in tail.inputs]
        codecs = [codec(codec_of[wire.name], tail.cut.codecs) for wire in inputs]
        began = perf_counter()
        arrays = [
            each.decode(payload, wire.shape, wire.dtype, wire.name)
            for each, payload, wire in zip(codecs, payloads, inputs, strict=True)
        ]
        decoded = perf_counter()
        tail.run(arrays)
        return ServerTime(decoded - began, perf_counter() - decoded)
