"""All tails of a bundle, loaded and warm, under the names by which they are asked for; weights are in memory once."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cic.codec.tensors import Array, carrier
from cic.engine.engine import Engine
from cic.engine.opening import open_half
from cic.errors import ArtifactError, EngineError
from cic.protocol.spoken_tail import SpokenTail, largest_json_bytes, largest_request_bytes, spoken_tail
from cic.serving.server_options import ServerOptions
from codegen.errors import as_codegen_error, codegen_error_as
from codegen.manifest import CutRecord, Manifest, read_manifest

# The first run of a program is slow, and so are the two after which torch makes it faster.
_WARM_UP_RUNS = 3
_LONGEST_LIST = 300


@dataclass(frozen=True)
class LoadedTail:
    """One tail: how it is spoken of, what runs it, and how long a request for it can be, and the JSON of one."""

    spoken: SpokenTail
    engine: Engine
    largest_request_bytes: int
    largest_json_bytes: int

    @property
    def platform(self) -> str:
        """As metadata says what runs it."""
        return f"cic_{self.engine.name}"


def no_such_model(names: Collection[str]) -> str:
    """What a peer is told that asks for a model which is not among these."""
    return f"there is no such model; there are {', '.join(names)}"[:_LONGEST_LIST]


def served_cuts(manifest: Manifest, bundle: Path) -> tuple[CutRecord, ...]:
    """The cuts whose tails take and return tensors; that of "everything on the device" does not.

    Raises ArtifactError if there is none.
    """
    cuts = tuple(cut for cut in manifest.cuts if cut.crossing and cut.returned)
    if not cuts:
        raise ArtifactError(f"{bundle} has no cut whose tail takes and returns tensors, so there is nothing for a server")
    return cuts


def load_tails(bundle: Path, options: ServerOptions) -> dict[str, LoadedTail]:
    """Every tail of a bundle by its name, after its first runs.

    Raises ArtifactError if the bundle is damaged or has no tail, EngineError if the engine cannot run one, ProtocolError if
    one cannot be spoken of.
    """
    with codegen_error_as(ArtifactError), as_codegen_error(f"cannot read {bundle}"):
        manifest = read_manifest(bundle)
    return {tail.spoken.name: tail for tail in _loaded(manifest, bundle, options)}


def _loaded(manifest: Manifest, bundle: Path, options: ServerOptions) -> Iterator[LoadedTail]:
    prefix = options.name or manifest.name
    for cut in served_cuts(manifest, bundle):
        engine = open_half(bundle, cut.id, "tail", options.engine, options.threads)
        loaded = engine.cut
        if (loaded.manifest.model_digest, loaded.manifest.weights_digest) != (manifest.model_digest, manifest.weights_digest):
            raise ArtifactError(f"{bundle} was replaced while its tails were loaded; serve it again")
        _warm_up(engine)
        counted = not engine.name.startswith(("onnxruntime", "openvino"))
        spoken = spoken_tail(loaded.manifest, cut.id, prefix, counted=counted, stored=loaded.codecs)
        allowed = largest_request_bytes(spoken)
        yield LoadedTail(spoken, engine, min(allowed, options.max_body or allowed), largest_json_bytes(spoken))


def _warm_up(engine: Engine) -> None:
    # Of an open batch one is enough: a runtime that makes something anew for each batch does so at each one's first request.
    wires = [wire.at_batch(1) for wire in engine.inputs]
    zeros: list[Array] = [np.zeros(wire.shape, carrier(wire.dtype)) for wire in wires]
    try:
        for _ in range(_WARM_UP_RUNS):
            engine.run(zeros)
    except EngineError as error:  # a tail need not take zeros; then its first request is slower
        print(f"cic: {error}", file=sys.stderr)
