"""The manifest of a bundle: everything known about its cuts, as JSON beside their files.

It stands for the files: each is listed with its size and SHA-256, and none is loaded that does not match. Weights that
several halves use are files of their own, named by their digest. The manifest itself is read with the standard library
alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codegen.calls.structure import Structure
from codegen.calls.structure_check import check_structure
from codegen.errors import CodegenError
from codegen.files.atomic import write_whole
from codegen.files.regular_file import read_regular
from codegen.plain_fields import (
    check_all,
    check_amount,
    check_count,
    check_distinct,
    check_name,
    check_path,
    check_sha256,
    check_text,
    check_truth,
)
from codegen.split import Half, OutputSource, WireTensor

FORMAT = "cic-split"
# Version 3 has a digest of the manifest itself, and one of the weights; in version 4 bare files are compressed and
# end with a digest of their weights' places.
VERSION = 4
FILE_NAME = "manifest.json"
WEIGHTS_FOLDER = "weights"
# A bundle of a hundred cuts with a thousand weights each takes about 20 MB.
LARGEST_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class WeightPlace:
    """At which byte of a plain file the weight with this digest begins."""

    offset: int
    sha256: str

    def __post_init__(self) -> None:
        check_count(self.offset, "the offset of a weight")
        check_sha256(self.sha256, "a weight")


@dataclass(frozen=True, slots=True)
class BareFile:
    """A compressed file whose weights were taken out, and where they belong, in order; see `codegen.weights.shared_weights`."""

    path: str
    bytes: int
    sha256: str
    weights: tuple[WeightPlace, ...]

    def __post_init__(self) -> None:
        _check_file(self.path, self.bytes, self.sha256)
        check_all(self.weights, WeightPlace, f"the weights of {self.path}")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a bundle: its path relative to the bundle, its size and its digest.

    bare: what is there in place of this file; from it and the weights, the file comes back byte for byte.
    """

    path: str
    bytes: int
    sha256: str
    bare: BareFile | None = None

    def __post_init__(self) -> None:
        _check_file(self.path, self.bytes, self.sha256)


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

    def __post_init__(self) -> None:
        check_text(self.name, "the name of an output")
        check_amount(self.relative_error, f"the relative error of {self.name}")
        check_truth(self.informative, f"whether {self.name} is informative")


@dataclass(frozen=True, slots=True)
class Verification:
    """What running the saved halves in fresh processes showed; `tolerance` is the greatest relative error allowed."""

    format: str
    tolerance: float
    input_sets: int
    outputs: tuple[OutputCheck, ...]

    def __post_init__(self) -> None:
        check_text(self.format, "the format of a verification")
        check_amount(self.tolerance, "the tolerance of a verification")
        check_count(self.input_sets, "the input sets of a verification")
        check_all(self.outputs, OutputCheck, "the outputs of a verification")

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

    def __post_init__(self) -> None:
        check_name(self.id, "the id of a cut")
        check_all(self.device_ops, str, f"the device ops of cut {self.id}")
        for field_name in ("crossing", "kept", "returned"):
            check_all(getattr(self, field_name), WireTensor, f"{field_name} of cut {self.id}")
        check_all(self.outputs, OutputSource, f"the outputs of cut {self.id}")
        check_all(self.verification, Verification, f"the verification of cut {self.id}")
        for format_name in self.files:
            check_name(format_name, f"a format of cut {self.id}")
        self.output_wires  # noqa: B018 - raises if an output is found nowhere

    @property
    def output_wires(self) -> tuple[WireTensor, ...]:
        """The tensor that each of the model's flat outputs is."""
        results = {"head": (*self.crossing, *self.kept), "tail": self.returned}
        for output in self.outputs:
            if output.position >= len(results[output.half]):
                raise CodegenError(
                    f"cut {self.id} finds an output at position {output.position} of the {output.half}, which gives"
                    f" {len(results[output.half])}"
                )
        return tuple(results[output.half][output.position] for output in self.outputs)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One bundle. Structures are those of `codegen.calls.structure`; the input's is of {"args": (...), "kwargs": {...}}.

    model_digest: of the graph, weights_digest: of the weights (`codegen.weights.weights_digest`): halves fit together only if
    both are the same. weights: the size of each shared weight by its digest.
    """

    model_digest: str
    weights_digest: str
    versions: Mapping[str, str]
    inputs: tuple[WireTensor, ...]
    input_structure: Structure
    output_structure: Structure
    cuts: tuple[CutRecord, ...]
    weights: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_text(self.model_digest, "model_digest")
        check_text(self.weights_digest, "weights_digest")
        for package, version in self.versions.items():
            check_text(package, "a package in versions")
            check_text(version, f"the version of {package}")
        for sha256, size in self.weights.items():
            check_sha256(sha256, "a weight")
            check_count(size, f"the size of weight {sha256}")
        check_all(self.inputs, WireTensor, "inputs")
        check_all(self.cuts, CutRecord, "cuts")
        check_distinct([cut.id for cut in self.cuts], "cuts")
        _check_structures(self)

    def cut(self, cut_id: str) -> CutRecord:
        """Return one cut; CodegenError with the known ids if there is none of that name."""
        for cut in self.cuts:
            if cut.id == cut_id:
                return cut
        raise CodegenError(f"there is no cut {cut_id!r}; known cuts: {', '.join(cut.id for cut in self.cuts)}")


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest into `directory`, in one step."""
    body = signed({"format": FORMAT, "version": VERSION, **dataclasses.asdict(manifest)})
    write_whole(directory / FILE_NAME, (json.dumps(body, indent=1) + "\n").encode())


def signed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a manifest with its digest, by which damage is found; whoever changes it on purpose can do the same."""
    content = {key: value for key, value in body.items() if key != "sha256"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {**content, "sha256": hashlib.sha256(canonical.encode()).hexdigest()}


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of a bundle; CodegenError if there is none, it is damaged, foreign, too old or too new."""
    path, body = _read_body(directory)
    version = body.get("version")
    if version != VERSION:
        raise CodegenError(
            f"{path} has format version {version!r:.80}, this program reads version {VERSION}; emit the model again, or update"
        )
    try:
        if body != signed(body):
            raise CodegenError("its content has another SHA-256 than it says")
        return _manifest_of(body)
    except CodegenError as error:
        raise CodegenError(f"{path} is damaged: {error}; emit the model again") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CodegenError(f"{path} is damaged: {error!r:.200}; emit the model again") from error


def read_files(directory: Path) -> set[str]:
    """Return the paths of the files of a bundle by its manifest, whatever its version; CodegenError if there is none."""
    path, body = _read_body(directory)
    try:
        records = [file for cut in body["cuts"] for files in cut["files"].values() for file in files.values()]
        records += [record["bare"] for record in records if record.get("bare")]
        return {str(record["path"]) for record in records} | {f"{WEIGHTS_FOLDER}/{sha256}.bin" for sha256 in body["weights"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise CodegenError(f"{path} is damaged: {error!r}; move the directory away first") from error


def _read_body(directory: Path) -> tuple[Path, dict[str, Any]]:
    path = directory / FILE_NAME
    try:
        content = read_regular(path, LARGEST_FILE_BYTES)
    except FileNotFoundError as error:
        raise CodegenError(f"{directory} is not an emitted model: it has no {FILE_NAME}") from error
    except OSError as error:
        raise CodegenError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        body = json.loads(content.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CodegenError(f"{path} is damaged: {error!s:.200}; emit the model again") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise CodegenError(f"{path} is not the manifest of an emitted model")
    return path, body


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not allowed")


def _check_file(path: str, size: int, sha256: str) -> None:
    check_path(path, "the path of a file")
    check_count(size, f"the size of {path}")
    check_sha256(sha256, f"the digest of {path}")


def _check_structures(manifest: Manifest) -> None:
    """Raise CodegenError unless calls and answers have as many tensors as halves take and give."""
    structure = manifest.input_structure
    taken = check_structure(structure, "input_structure")
    if structure.get("keys") != ["args", "kwargs"] or [item["kind"] for item in structure["items"]] != ["tuple", "dict"]:
        raise CodegenError(f"input_structure is {structure!r:.80}, expected args and kwargs")
    if taken != len(manifest.inputs):
        raise CodegenError(f"input_structure has {taken} tensors, inputs names {len(manifest.inputs)}")
    given = check_structure(manifest.output_structure, "output_structure")
    # A model has the same outputs wherever it is cut.
    wires = manifest.cuts[0].output_wires if manifest.cuts else ()
    for cut in manifest.cuts:
        if len(cut.outputs) != given:
            raise CodegenError(f"output_structure has {given} tensors, cut {cut.id} finds {len(cut.outputs)}")
        if cut.output_wires != wires:
            raise CodegenError(
                f"cuts {manifest.cuts[0].id} and {cut.id} give other outputs: {wires!s:.80}, {cut.output_wires!s:.80}"
            )


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.80} stands where a list belongs")
    return value


def _manifest_of(body: Mapping[str, Any]) -> Manifest:
    weights = dict(body["weights"].items())
    return Manifest(
        model_digest=body["model_digest"],
        weights_digest=body["weights_digest"],
        versions=dict(body["versions"].items()),
        inputs=_wires_of(body["inputs"]),
        input_structure=body["input_structure"],
        output_structure=body["output_structure"],
        cuts=tuple(_cut_of(cut, weights) for cut in _list(body["cuts"])),
        weights=weights,
    )


def _cut_of(body: Mapping[str, Any], weights: Mapping[str, int]) -> CutRecord:
    return CutRecord(
        id=body["id"],
        device_ops=tuple(_list(body["device_ops"])),
        crossing=_wires_of(body["crossing"]),
        kept=_wires_of(body["kept"]),
        returned=_wires_of(body["returned"]),
        outputs=tuple(OutputSource(**output) for output in _list(body["outputs"])),
        files={
            name: HalfFiles(**{half: _file_of(file, weights) for half, file in files.items()})
            for name, files in body["files"].items()
        },
        verification=tuple(_verification_of(check) for check in _list(body["verification"])),
    )


def _verification_of(body: Mapping[str, Any]) -> Verification:
    outputs = tuple(OutputCheck(**output) for output in _list(body["outputs"]))
    return Verification(**{**body, "outputs": outputs})


def _wires_of(body: list[Mapping[str, Any]]) -> tuple[WireTensor, ...]:
    return tuple(WireTensor(**{**wire, "shape": tuple(_list(wire["shape"]))}) for wire in _list(body))


def _file_of(body: Mapping[str, Any], weights: Mapping[str, int]) -> FileRecord:
    bare = None if body["bare"] is None else _bare_of(body["bare"], weights, body["bytes"])
    return FileRecord(**{**body, "bare": bare})


def _bare_of(body: Mapping[str, Any], weights: Mapping[str, int], plain_bytes: int) -> BareFile:
    bare = BareFile(**{**body, "weights": tuple(WeightPlace(**place) for place in _list(body["weights"]))})
    end = 0
    for place in bare.weights:
        if place.offset < end:
            raise ValueError(f"weights of {bare.path} overlap at byte {place.offset}")
        end = place.offset + weights[place.sha256]
    if end > plain_bytes:
        raise ValueError(f"weights of {bare.path} end at byte {end} of {plain_bytes} of the plain file")
    return bare
