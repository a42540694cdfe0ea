"""The manifest of a bundle: everything known about its cuts, as JSON beside their files.

It stands for the files: each is listed with its size and SHA-256, and none is loaded that does not match. Weights that
several halves use are files of their own, named by their digest, and so is whatever codecs of crossing tensors are made from,
of which nothing is known here. The manifest itself is read with the standard library alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codegen.calls.structure import Structure
from codegen.calls.structure_check import check_structure
from codegen.checked_json import LARGEST_COUNT, Fields, as_matching
from codegen.errors import CodegenError
from codegen.files.atomic import write_whole
from codegen.files.regular_file import read_regular
from codegen.operator_libraries import Need
from codegen.split import Half, OutputSource, WireTensor

FORMAT = "cic-split"
# Version 3 has a digest of the manifest itself, and one of the weights; in version 4 bare files are compressed and
# end with a digest of their weights' places; version 5 has contents of codecs; version 6 says which libraries a half
# needs; version 7 which axes of an answer are open, version 8 which are those of the batch; version 9 has the model's name.
VERSION = 9
FILE_NAME = "manifest.json"
WEIGHTS_FOLDER, CODECS_FOLDER = "weights", "codecs"
LARGEST_CODEC_BYTES = 64 * 2**20
# A bundle of a hundred cuts with a thousand weights each takes about 20 MB.
LARGEST_FILE_BYTES = 64 * 2**20

LONGEST_SERVED_NAME = 100

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_PATH = re.compile(rf"{_NAME.pattern}(/{_NAME.pattern}){{0,8}}")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_A_NAME = "a name of letters, digits, '.', '_' and '-'"


@dataclass(frozen=True, slots=True)
class WeightPlace:
    """At which byte of a plain file the weight with this digest begins."""

    offset: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BareFile:
    """A compressed file whose weights were taken out, and where they belong, in order; see `codegen.weights.shared_weights`."""

    path: str
    bytes: int
    sha256: str
    weights: tuple[WeightPlace, ...]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a bundle: its path relative to the bundle, its size and its digest.

    bare: what is there in place of this file; from it and the weights, the file comes back byte for byte.
    needs: the libraries that register operators which a half in this file calls; see `codegen.operator_libraries`.
    """

    path: str
    bytes: int
    sha256: str
    bare: BareFile | None = None
    needs: tuple[Need, ...] = ()


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

    The tensors are those of `codegen.split.Split`. codecs: SHA-256 of each content that codecs of its crossing tensors are
    made from.
    """

    id: str
    device_ops: tuple[str, ...]
    crossing: tuple[WireTensor, ...]
    kept: tuple[WireTensor, ...]
    returned: tuple[WireTensor, ...]
    outputs: tuple[OutputSource, ...]
    files: Mapping[str, HalfFiles]
    verification: tuple[Verification, ...] = ()
    codecs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
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
    both are the same. weights: the size of each shared weight by its digest. codecs: that of each content of a codec.
    name: with which the names of its tails on servers begin.
    """

    model_digest: str
    weights_digest: str
    versions: Mapping[str, str]
    inputs: tuple[WireTensor, ...]
    input_structure: Structure
    output_structure: Structure
    cuts: tuple[CutRecord, ...]
    weights: Mapping[str, int] = field(default_factory=dict)
    codecs: Mapping[str, int] = field(default_factory=dict)
    name: str = "model"

    def __post_init__(self) -> None:
        ids = [cut.id for cut in self.cuts]
        if len(set(ids)) != len(ids):
            raise CodegenError(f"cuts names one twice: {', '.join(ids)[:80]}")
        _check_structures(self)

    def cut(self, cut_id: str) -> CutRecord:
        """Return one cut; CodegenError with the known ids if there is none of that name."""
        for cut in self.cuts:
            if cut.id == cut_id:
                return cut
        raise CodegenError(f"there is no cut {cut_id!r}; known cuts: {', '.join(cut.id for cut in self.cuts)}")


def served_name(text: str) -> str:
    """Return a model's name as those of its tails on servers can begin, which stand in addresses and name directories."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:LONGEST_SERVED_NAME] or "model"


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
        return _manifest_of(Fields(body, error=CodegenError))
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
        shared = {f"{WEIGHTS_FOLDER}/{sha256}.bin" for sha256 in body["weights"]}
        # Bundles of older versions have none.
        return {str(record["path"]) for record in records} | shared | set(map(codec_path, body.get("codecs", ())))
    except (KeyError, TypeError, AttributeError) as error:
        raise CodegenError(f"{path} is damaged: {error!r}; move the directory away first") from error


def codec_path(sha256: str) -> str:
    """Return where in a bundle the content of a codec with this digest is."""
    return f"{CODECS_FOLDER}/{sha256}"


def _read_body(directory: Path) -> tuple[Path, dict[str, Any]]:
    path = directory / FILE_NAME
    try:
        content = read_regular(path, LARGEST_FILE_BYTES)
    except FileNotFoundError as error:
        missing = f"it has no {FILE_NAME}" if directory.is_dir() else "there is no such directory"
        raise CodegenError(f"{directory} is not an emitted model: {missing}") from error
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


def _manifest_of(fields: Fields) -> Manifest:
    weights, codecs = _sizes(fields, "weights"), _sizes(fields, "codecs", LARGEST_CODEC_BYTES)
    versions = fields.object("versions")
    return Manifest(
        model_digest=fields.text("model_digest"),
        weights_digest=fields.text("weights_digest"),
        versions={package: versions.text(package) for package in versions.all_names()},
        inputs=_wires(fields, "inputs"),
        input_structure=fields["input_structure"],
        output_structure=fields["output_structure"],
        cuts=tuple(_cut(cut, weights, codecs) for cut in fields.objects("cuts")),
        weights=weights,
        codecs=codecs,
        name=fields.matching("name", _NAME, _A_NAME),
    )


def _sizes(fields: Fields, name: str, largest: int = LARGEST_COUNT) -> dict[str, int]:
    """Sizes by SHA-256."""
    sizes = fields.object(name)
    return {as_matching(each, sizes, name, _SHA256, "a SHA-256"): sizes.count(each, largest) for each in sizes.all_names()}


def _cut(fields: Fields, weights: Mapping[str, int], codecs: Mapping[str, int]) -> CutRecord:
    files = fields.object("files")
    if unknown := [sha256 for sha256 in fields.texts("codecs") if sha256 not in codecs]:
        raise fields.unfit("codecs", unknown[0], "one that codecs has the size of")
    return CutRecord(
        id=fields.matching("id", _NAME, _A_NAME),
        device_ops=fields.texts("device_ops"),
        crossing=_wires(fields, "crossing"),
        kept=_wires(fields, "kept"),
        returned=_wires(fields, "returned"),
        outputs=tuple(
            OutputSource(output.choice("half", ("head", "tail")), output.count("position"))  # type: ignore[arg-type]
            for output in fields.objects("outputs")
        ),
        files={
            as_matching(name, files, "a format", _NAME, _A_NAME): _files(files.object(name), weights)
            for name in files.all_names()
        },
        verification=tuple(map(_verification, fields.objects("verification"))),
        codecs=fields.texts("codecs"),
    )


def _verification(fields: Fields) -> Verification:
    return Verification(
        format=fields.text("format"),
        tolerance=fields.number("tolerance", 0),
        input_sets=fields.count("input_sets"),
        outputs=tuple(
            OutputCheck(output.text("name"), output.number("relative_error", 0), output.truth("informative"))
            for output in fields.objects("outputs")
        ),
    )


def _wires(fields: Fields, name: str) -> tuple[WireTensor, ...]:
    return tuple(
        WireTensor(
            wire.text("name"),
            wire.counts("shape"),
            wire.text("dtype"),
            wire.count("bytes"),
            wire.counts("open_axes"),
            wire.maybe(wire.count, "batch"),
        )
        for wire in fields.objects(name)
    )


def _files(fields: Fields, weights: Mapping[str, int]) -> HalfFiles:
    return HalfFiles(_file(fields.object("head"), weights), _file(fields.object("tail"), weights))


def _file(fields: Fields, weights: Mapping[str, int]) -> FileRecord:
    bare = None if fields["bare"] is None else _bare(fields.object("bare"), weights, fields.count("bytes"))
    needs = tuple(
        Need(need.matching("library", _MODULE, "the name of a module"), need.texts("operators"))
        for need in fields.objects("needs")
    )
    return FileRecord(_path(fields), fields.count("bytes"), fields.matching("sha256", _SHA256, "a SHA-256"), bare, needs)


def _bare(fields: Fields, weights: Mapping[str, int], plain_bytes: int) -> BareFile:
    places = []
    end = 0
    for place in fields.objects("weights"):
        offset, sha256 = place.count("offset"), place.text("sha256")
        if sha256 not in weights:
            raise place.unfit("sha256", sha256, "one that weights has the size of")
        if offset < end:
            raise CodegenError(f"{place.where} overlaps the one before it, which ends at byte {end}, at byte {offset}")
        end = offset + weights[sha256]
        places.append(WeightPlace(offset, sha256))
    if end > plain_bytes:
        raise CodegenError(f"{fields.path('weights')} end at byte {end} of {plain_bytes} of the plain file")
    return BareFile(_path(fields), fields.count("bytes"), fields.matching("sha256", _SHA256, "a SHA-256"), tuple(places))


def _path(fields: Fields) -> str:
    """A path of names, which stays where it begins."""
    return fields.matching("path", _PATH, "a path of names, since others may lead out of the bundle")
