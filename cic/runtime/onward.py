"""A tail of which only the beginning runs here: what follows is asked of the next machine, as a device asks its server."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from cic.errors import ArtifactError
from cic.runtime.far_tail import FarTail
from cic.runtime.paced_link import Pacing
from cic.runtime.wire import Message
from codegen.chain import stitched
from codegen.errors import as_codegen_error, codegen_error_as
from codegen.loading import LoadedCut, load_cut
from codegen.manifest import Manifest, read_manifest
from codegen.split import WireTensor


@dataclass(frozen=True)
class Onward:
    """Where a tail goes on: the bundle that cuts it once more, the cut in it, and the next machine.

    port: of 127.0.0.1, where that machine listens. pacing: of what is sent there. rtt_s: both ways.
    """

    directory: Path
    cut_id: str
    port: int
    pacing: Pacing
    rtt_s: float

    def options(self) -> list[str]:
        """As options of a command, see `read_onward`."""
        options = ["--onward-directory", str(self.directory), "--onward-cut", self.cut_id, "--onward-port", str(self.port)]
        if self.pacing.bandwidth_bps is not None:
            options += ["--onward-uplink-bps", repr(self.pacing.bandwidth_bps)]
        return [*options, "--onward-rtt-s", repr(self.rtt_s)]


def add_onward(parser: ArgumentParser) -> None:
    parser.add_argument("--onward-directory", type=Path)
    parser.add_argument("--onward-cut")
    parser.add_argument("--onward-port", type=int)
    parser.add_argument("--onward-uplink-bps", type=float)
    parser.add_argument("--onward-rtt-s", type=float, default=0.0)


def read_onward(arguments: Namespace) -> Onward | None:
    """What the options say; None if the whole tail runs here."""
    if arguments.onward_directory is None:
        return None
    rtt_s = arguments.onward_rtt_s
    pacing = Pacing(arguments.onward_uplink_bps, rtt_s / 2, arguments.patience_s)
    return Onward(arguments.onward_directory, arguments.onward_cut, arguments.onward_port, pacing, rtt_s)


class ForwardingTail:
    """The tail of a cut that runs its beginning here, and asks the next machine for the rest.

    Raises (from the constructor):
        ArtifactError: a bundle is damaged or lacks the cut, or the second does not cut the tail of the first.
        LinkError: the next machine does not answer, or has another emission.
    """

    def __init__(self, directory: Path, cut_id: str, onward: Onward, format_name: str | None = None) -> None:
        with codegen_error_as(ArtifactError), as_codegen_error(f"cannot read {directory}"):
            manifest = read_manifest(directory)
            # Of the whole tail the borders are enough: its program is not loaded here.
            self._whole = whole = LoadedCut(manifest, manifest.cut(cut_id), None, None)
            self._part = load_cut(onward.directory, onward.cut_id, half="head", format_name=format_name)
        ours = [(tensor.shape, tensor.dtype) for tensor in self._part.manifest.inputs]
        theirs = [(tensor.shape, tensor.dtype) for tensor in whole.crossing]
        if ours != theirs:
            raise ArtifactError(
                f"{onward.directory} takes tensors of {ours}, what crosses at {whole.id} is {theirs}; take both bundles from"
                " one emission"
            )
        self._next = FarTail(self._part, onward.port, onward.pacing, onward.pacing.patience_s + onward.rtt_s)

    @property
    def id(self) -> str:
        return self._whole.id

    @property
    def manifest(self) -> Manifest:
        return self._whole.manifest

    @property
    def crossing(self) -> tuple[WireTensor, ...]:
        return self._whole.crossing

    @property
    def codecs(self) -> Mapping[str, bytes]:
        return self._whole.codecs

    def answer(self, request: Message) -> tuple[torch.Tensor, ...]:
        """What the tail returns for the tensors of a request, of which what is rehearsed goes on at full speed."""
        results = self._part.run_head_flat(request.tensors)
        reply, *_ = self._next.ask("run" if request.kind == "run" else "rehearse", results)
        return stitched(self._part, results, reply.tensors)
