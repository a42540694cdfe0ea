"""The device's side: run the head, send what crosses, receive the answer, put the model's own output together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from cic.codec.crossing import cross
from cic.codec.registry import codec
from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.errors import ArtifactError, CodecError
from cic.runtime.far_tail import FarTail
from cic.runtime.paced_link import Pacing
from cic.runtime.server_process import ServerProcess
from codegen.calls.structure import flatten_like
from codegen.errors import codegen_error_as
from codegen.loading import LoadedCut, load_cut
from codegen.split import Half
from codegen.verification.agreement import relative_error

# TorchScript rewrites a program in its first runs.
_REHEARSALS = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one inference; the five parts add up to `latency_s`.

    device_s: head, packing and unpacking. uplink_s, downlink_s: bytes on their way. server_s: tail, packing and unpacking.
    rtt_s: the delay both ways. sent_bytes, received_bytes: frames, headers included.
    """

    device_s: float
    uplink_s: float
    server_s: float
    downlink_s: float
    rtt_s: float
    latency_s: float
    sent_bytes: int
    received_bytes: int


class Rehearsal:
    """A cut at work between this process and one it starts, under given conditions; use it in a `with` statement.

    A cut that keeps everything on the device starts no process. Slowdowns in the conditions are not imitated. `codecs`
    gives the codec of crossing tensors by name (`cic.codec.registry`); the others, and the answer, are sent as they are.
    `server` is a process that was started already, which this ends as one of its own.

    Raises (from the constructor):
        ArtifactError: the directory is no emitted model, lacks the cut, or a file is damaged.
        CodecError: a codec is unknown or does not take its tensor's type, or a tensor does not cross here.
        LinkError: the server's process does not start or cannot be reached, or has the tail of another emission.
    """

    def __init__(
        self,
        directory: str | Path,
        cut: Cut,
        conditions: Conditions,
        *,
        threads: int = 1,
        patience_s: float = 60.0,
        format_name: str | None = None,
        codecs: Mapping[str, str] | None = None,
        server: ServerProcess | None = None,
    ) -> None:
        self._directory, self._cut_id, self._format = Path(directory), cut.id, format_name
        self._conditions, self._patience_s = conditions, patience_s
        self._far: FarTail | None = None
        self._server: ServerProcess | None = server
        torch.set_num_threads(threads)
        delay_s = conditions.rtt_s / 2
        try:
            if cut.offloads and self._server is None:
                theirs = Pacing(conditions.downlink_bps, delay_s, patience_s)
                self._server = ServerProcess(self._directory, cut.id, theirs, format_name=format_name, threads=threads)
            # The head is loaded while the other process starts.
            self._head = self._load("head")
            self._codecs = self._codec_names(codecs or {})
            if self._server is not None:
                ours = Pacing(conditions.uplink_bps, delay_s, patience_s)
                wait_s = patience_s + conditions.rtt_s
                words = self._server.last_words
                self._far = FarTail(self._head, self._server.port(), ours, wait_s, words, self._codecs)
        except BaseException:
            self.close()
            raise

    def flatten(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        """The tensors of a call, in the head's order. Raises ArtifactError if the cut was not emitted for such a call."""
        with codegen_error_as(ArtifactError, str(self._directory)):
            return self._head.flatten_inputs(*args, **kwargs)

    def warm_up(self, inputs: Sequence[torch.Tensor]) -> None:
        """Run both halves a few times, over an unshaped link. Raises as `infer`."""
        for _ in range(_REHEARSALS):
            results = self._run_head(inputs)
            if self._far is not None:
                self._far.ask("rehearse", results)

    def infer(self, inputs: Sequence[torch.Tensor]) -> tuple[Any, Timing]:
        """The model's answer and where the time went.

        Raises:
            LinkError: the server is gone, silent, or answers nonsense. ArtifactError: inputs of another shape or type.
        CodecError: a tensor's values are none that its codec can send.
        """
        began = time.perf_counter()
        results = self._run_head(inputs)
        if self._far is None:
            answer = self._head.assemble(results, ())
            latency_s = time.perf_counter() - began
            return answer, Timing(latency_s, 0.0, 0.0, 0.0, 0.0, latency_s, 0, 0)
        reply, sending_s, waiting_s, sent_bytes, received_bytes = self._far.ask("run", results)
        answer = self._head.assemble(results, reply.tensors)
        latency_s = time.perf_counter() - began
        delay_s = self._conditions.rtt_s / 2
        # The server may be at work before this process is woken to see that all is sent; that time is the server's.
        overlap_s = max(0.0, reply.seconds + delay_s - waiting_s)
        timing = Timing(
            device_s=latency_s - sending_s - waiting_s,
            uplink_s=sending_s - delay_s - overlap_s,
            server_s=reply.seconds,
            downlink_s=waiting_s + overlap_s - reply.seconds - delay_s,
            rtt_s=2 * delay_s,
            latency_s=latency_s,
            sent_bytes=sent_bytes,
            received_bytes=received_bytes,
        )
        return answer, timing

    def pace(self, uplink_bps: float) -> None:
        """Send at this pace from the next inference on; the answers keep theirs."""
        if self._far is not None:
            self._far.pace(uplink_bps)

    def error_against_one_process(self, inputs: Sequence[torch.Tensor], answer: Any) -> float:
        """Greatest relative error of `answer` against tail(head(inputs)) without any link, under the same codecs."""
        both = self._load(None)
        results = both.run_head_flat(inputs)
        sent = results[: len(both.crossing)]
        if self._codecs:
            sent = tuple(cross(tensor, name, stored=both.codecs)[0] for tensor, name in zip(sent, self._codecs, strict=True))
        returned = both.run_tail_flat(sent)
        halves = {"head": results, "tail": returned}
        whole = [halves[source.half][source.position] for source in both.record.outputs]
        flat = flatten_like(both.manifest.output_structure, answer)
        return max((relative_error(ours, theirs) for ours, theirs in zip(flat, whole, strict=True)), default=0.0)

    def close(self) -> None:
        """Close the connection and end the server's process."""
        if self._far is not None:
            self._far.close()
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _codec_names(self, codecs: Mapping[str, str]) -> tuple[str, ...]:
        """The codec of each crossing tensor; none if all are sent as they are."""
        crossing = {wire.name: wire for wire in self._head.crossing}
        if unknown := [name for name in codecs if name not in crossing]:
            raise CodecError(
                f"codecs names the tensor {unknown[0]!r}, which does not cross at {self._cut_id}; {_listed(crossing)}"
            )
        for name, chosen in codecs.items():
            if not codec(chosen, self._head.codecs).accepts(crossing[name].dtype):
                raise CodecError(
                    f"{name} has the type {crossing[name].dtype!r}, which {chosen} does not take; send it as it is"
                )
        return tuple(codecs.get(name, "raw") for name in crossing) if codecs else ()

    def _load(self, half: Half | None) -> LoadedCut:
        with codegen_error_as(ArtifactError):
            return load_cut(self._directory, self._cut_id, half=half, format_name=self._format)

    def _run_head(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        with codegen_error_as(ArtifactError, str(self._directory)):
            return self._head.run_head_flat(inputs)


def _listed(names: Mapping[str, object]) -> str:
    return f"what crosses there is {', '.join(names)}" if names else "nothing crosses there"
