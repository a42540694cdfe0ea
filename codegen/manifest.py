"""The manifest of a bundle: everything known about its cuts, as JSON beside their files.

It stands for the files: each is listed with its size and SHA-256, and none is loaded that does not match. Weights that
several halves use are files of their own, named by their digest. The manifest itself is read with the standard library
alone.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from codegen.atomic import write_whole
from codegen.errors import CodegenError
from codegen.split import Half, OutputSource, WireTensor
from codegen.structure import Structure

FORMAT = "cic-split"
VERSION = 2
FILE_NAME = "manifest.json"
WEIGHTS_FOLDER = "weights"


@dataclass(frozen=True, slots=True)
class WeightPlace:
    """At which byte of a plain file the weight with this digest begins."""

    offset: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BareFile:
    """A file whose weights were taken out, and where they belong, in order; see `codegen.shared_weights`."""

    path: str
    bytes: int
    sha256: str
    weights: tuple[WeightPlace, ...]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a bundle: its path relative to the bundle, its size and its digest.

    bare: what is there in place of this file; from it and the weights, the file comes back byte for byte.
    """

    path: str
    bytes: int
    sha256: str
    bare: BareFile | None = None


@dataclass(frozen=True, slots=True)
class HalfFiles:
    """The two files of a cut in one format."""

    head: FileRecord
    tail: FileRecord

    def of(self, half: Half) -> FileRecord:
        """Return the file of one half."""
        return self.head if half == "head" else self.tail


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """How one output of the halves compares with the whole model's.

    name: where the output sits in the model's answer ("output.logits").
    relative_error: max|split - whole| / max|whole|, the worst over all input sets.
    informative: False if the whole model's output is all but zero, or does not change with the input: then agreement
        shows little.
    """

    name: str
    relative_error: float
    informative: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """What running the saved halves in fresh processes showed; `tolerance` is the greatest relative error allowed."""

    format: str
    tolerance: float
    input_sets: int
    outputs: tuple[OutputCheck, ...]

    @property
    def max_relative_error(self) -> float:
        return max((output.relative_error for output in self.outputs), default=0.0)

    @property
    def informative(self) -> bool:
        return any(output.informative for output in self.outputs)


@dataclass(frozen=True, slots=True)
class CutRecord:
    """One cut: what runs on the device, what crosses, where the outputs are found, and the files, by format.

    The tensors are those of `codegen.split.Split`.
    """

    id: str
    device_ops: tuple[str, ...]
    crossing: tuple[WireTensor, ...]
    kept: tuple[WireTensor, ...]
    returned: tuple[WireTensor, ...]
    outputs: tuple[OutputSource, ...]
    files: Mapping[str, HalfFiles]
    verification: tuple[Verification, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One bundle. Structures are those of `codegen.structure`; the input's is of {"args": (...), "kwargs": {...}}.

    weights: the size of each shared weight by its digest.
    """

    model_digest: str
    versions: Mapping[str, str]
    inputs: tuple[WireTensor, ...]
    input_structure: Structure
    output_structure: Structure
    cuts: tuple[CutRecord, ...]
    weights: Mapping[str, int] = field(default_factory=dict)

    def cut(self, cut_id: str) -> CutRecord:
        """Return one cut; CodegenError with the known ids if there is none of that name."""
        for cut in self.cuts:
            if cut.id == cut_id:
                return cut
        raise CodegenError(f"there is no cut {cut_id!r}; known cuts: {', '.join(cut.id for cut in self.cuts)}")


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest into `directory`, in one step."""
    body = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(manifest)}
    write_whole(directory / FILE_NAME, (json.dumps(body, indent=1) + "\n").encode())


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of a bundle; CodegenError if there is none, it is damaged, foreign, too old or too new."""
    path, body = _read_body(directory)
    if body.get("version") != VERSION:
        raise CodegenError(
            f"{path} has format version {body.get('version')}, this program reads version {VERSION};"
            " emit the model again, or update"
        )
    try:
        return _manifest_of(body)
    except (KeyError, TypeError, ValueError) as error:
        raise CodegenError(f"{path} is damaged: {error!r}; emit the model again") from error


def read_entries(directory: Path) -> set[str]:
    """Return the names in a bundle's directory that are its own, whatever its version; CodegenError if it is none."""
    path, body = _read_body(directory)
    try:
        return {FILE_NAME, WEIGHTS_FOLDER, *(str(cut["id"]) for cut in body["cuts"])}
    except (KeyError, TypeError) as error:
        raise CodegenError(f"{path} is damaged: {error!r}; move the directory away first") from error


def _read_body(directory: Path) -> tuple[Path, dict[str, Any]]:
    path = directory / FILE_NAME
    if not path.is_file():
        raise CodegenError(f"{directory} is not an emitted model: it has no {FILE_NAME}")
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CodegenError(f"{path} is damaged: {error}; emit the model again") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise CodegenError(f"{path} is not the manifest of an emitted model")
    return path, body


def _manifest_of(body: Mapping[str, Any]) -> Manifest:
    weights = {str(sha256): int(size) for sha256, size in body["weights"].items()}
    for sha256 in weights:
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(f"a weight is named {sha256!r}, which is no SHA-256")
    return Manifest(
        model_digest=str(body["model_digest"]),
        versions=dict(body["versions"]),
        inputs=_wires_of(body["inputs"]),
        input_structure=body["input_structure"],
        output_structure=body["output_structure"],
        cuts=tuple(_cut_of(cut, weights) for cut in body["cuts"]),
        weights=weights,
    )


def _cut_of(body: Mapping[str, Any], weights: Mapping[str, int]) -> CutRecord:
    return CutRecord(
        id=str(body["id"]),
        device_ops=tuple(body["device_ops"]),
        crossing=_wires_of(body["crossing"]),
        kept=_wires_of(body["kept"]),
        returned=_wires_of(body["returned"]),
        outputs=tuple(OutputSource(**output) for output in body["outputs"]),
        files={
            name: HalfFiles(**{half: _file_of(file, weights) for half, file in files.items()})
            for name, files in body["files"].items()
        },
        verification=tuple(_verification_of(check) for check in body["verification"]),
    )


def _verification_of(body: Mapping[str, Any]) -> Verification:
    outputs = tuple(OutputCheck(**output) for output in body["outputs"])
    return Verification(**{**body, "outputs": outputs})


def _wires_of(body: list[Mapping[str, Any]]) -> tuple[WireTensor, ...]:
    return tuple(WireTensor(**{**wire, "shape": tuple(wire["shape"])}) for wire in body)


def _file_of(body: Mapping[str, Any], weights: Mapping[str, int]) -> FileRecord:
    bare = None if body["bare"] is None else _bare_of(body["bare"], weights, body["bytes"])
    record = FileRecord(**{**body, "bare": bare})
    _check_path(record.path)
    return record


def _bare_of(body: Mapping[str, Any], weights: Mapping[str, int], plain_bytes: int) -> BareFile:
    bare = BareFile(**{**body, "weights": tuple(WeightPlace(**place) for place in body["weights"])})
    _check_path(bare.path)
    end = 0
    for place in bare.weights:
        if place.offset < end:
            raise ValueError(f"weights of {bare.path} overlap at byte {place.offset}")
        end = place.offset + weights[place.sha256]
    if end > plain_bytes or bare.bytes + sum(weights[place.sha256] for place in bare.weights) != plain_bytes:
        raise ValueError(f"{bare.path} and its weights do not make up the {plain_bytes} bytes of the plain file")
    return bare


def _check_path(text: str) -> None:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the path {text!r} leads out of the bundle")
