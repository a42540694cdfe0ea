"""Tails as a model repository of the Triton Inference Server: one model a cut, in files that Triton opens without CIC.

    repository/
      resnet50_<cut id>/config.pbtxt             names, types and shapes
      resnet50_<cut id>/1/model.pt               TorchScript, inputs INPUT__0 …, outputs OUTPUT__0 …
                     or 1/model.onnx             ONNX, inputs and outputs by their own names

Shapes are fixed, so `max_batch_size` is 0: all dimensions are in the configuration. Triton then refuses a reshape to no
dimensions at all ("cannot have empty reshape for non-batching model"), so a 0-d tensor is given one in the file itself.
Types are those that Triton's PyTorch and ONNX Runtime backends convert; neither knows bfloat16, which Triton itself does.
"""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codegen.bundle.directory import check_outside
from codegen.bundle.reading import from_one_bundle
from codegen.decision.source_text import comment
from codegen.errors import CodegenError, as_codegen_error, needing
from codegen.files.atomic import check_allowed
from codegen.files.whole_directory import built_beside
from codegen.formats.emitter import format_called
from codegen.loading import export_half
from codegen.manifest import CutRecord, Manifest
from codegen.serving.scalar_borders import give_onnx_dimensions, give_torchscript_dimensions
from codegen.split import WireTensor
from codegen.weights.onnx_locations import check_beside

_COMMON_TYPES = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
}
_MORE_ONNX_TYPES = {"uint16": "TYPE_UINT16", "uint32": "TYPE_UINT32", "uint64": "TYPE_UINT64"}


_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"


@dataclass(frozen=True, slots=True)
class _Backend:
    platform: str
    backend: str
    file_name: str
    types: dict[str, str]


_BACKENDS = {
    "torchscript": _Backend("pytorch_libtorch", "pytorch", "model.pt", _COMMON_TYPES),
    "onnx": _Backend("onnxruntime_onnx", "onnxruntime", "model.onnx", {**_COMMON_TYPES, **_MORE_ONNX_TYPES}),
}


@dataclass(frozen=True, slots=True)
class TritonModel:
    """One model of a repository: its name, the cut whose tail it is, and names of inputs and outputs in the order of the
    cut's `crossing` and `returned` tensors."""

    name: str
    cut_id: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def write_triton_repository(
    bundle: str | Path,
    repository: str | Path,
    *,
    name: str | None = None,
    cuts: Sequence[str] | None = None,
    format_name: str | None = None,
) -> tuple[TritonModel, ...]:
    """Write the tails of an emitted bundle to a Triton model repository, all or, if that fails, nothing.

    repository: made if absent; a repository that is there keeps its other models, and none of them is replaced. Each model is
        whole or absent, and one that is there just as it is to be may be: so what was interrupted is finished by a repetition.
    name: what the names of the models begin with; default: the name of the model in the bundle's manifest.
    cuts: ids; default: all whose tail takes and returns tensors (that of "everything on the device" does not).
    format_name: "torchscript" or "onnx"; default: the first of the two that the bundle has.
    Raises CodegenError if the bundle is damaged or lacks what is asked for, Triton cannot carry one of its tensors, or the
        package that reads and changes tails of this format is not installed.
    """
    bundle, repository = Path(bundle), Path(os.path.realpath(repository))
    if name is not None and not re.fullmatch(_NAME, name):
        raise CodegenError(f"the model name {name!r} names directories: use letters, digits, '.', '_' and '-'")

    def write(bundle: Path, manifest: Manifest) -> tuple[TritonModel, ...]:
        prefix = manifest.name if name is None else name
        records = _chosen(manifest, bundle, cuts)
        chosen = _format_of(records, bundle, None if format_name is None else format_called(format_name))
        for record in records:
            _check_tensors(record, chosen)
        with as_codegen_error(f"cannot write {repository}"):
            check_outside(repository, bundle)
            _check_place(repository, [f"{prefix}_{record.id}" for record in records])
            # What is on a disk of its own can only be renamed there.
            with built_beside(repository / "models" if os.path.ismount(repository) else repository) as building:
                with needing(f"a repository of tails in the format {chosen!r}", "onnx" if chosen == "onnx" else "compile"):
                    models = [_write_model(building, bundle, manifest, record, prefix, chosen) for record in records]
                _put_models(building, repository, [written.name for written in models])
        return tuple(models)

    return from_one_bundle(bundle, write)


def _check_place(repository: Path, names: Sequence[str]) -> None:
    """Raise unless the models can be directories of the repository."""
    for name in names:
        # A manifest may come from anywhere, and a name must not lead out of the repository.
        if not re.fullmatch(_NAME, name):
            raise CodegenError(f"the model name {name!r} names a directory: use letters, digits, '.', '_' and '-'")
    if not repository.parent.is_dir():
        raise CodegenError(f"the directory {repository.parent} does not exist")
    if repository.exists() and not repository.is_dir():
        raise CodegenError(f"{repository} exists and is not a directory; choose another place")
    if repository.exists():
        check_allowed(repository, os.stat(repository))


def _chosen(manifest: Manifest, bundle: Path, cuts: Sequence[str] | None) -> list[CutRecord]:
    """The cuts asked for; a tail that takes nothing or returns nothing cannot be a model of Triton."""
    asked = [manifest.cut(cut_id) for cut_id in dict.fromkeys(cuts)] if cuts is not None else list(manifest.cuts)
    fit = [record for record in asked if record.crossing and record.returned]
    for record in asked if cuts is not None else ():
        if record not in fit:
            missing = "inputs" if not record.crossing else "outputs"
            raise CodegenError(f"the tail of cut {record.id} has no {missing}, which every model of Triton has; leave it out")
    if not fit:
        raise CodegenError(f"{bundle} has no cut whose tail takes and returns tensors, so there is nothing for a server")
    return fit


def _format_of(records: Sequence[CutRecord], bundle: Path, wanted: str | None) -> str:
    emitted = [name for name in records[0].files if all(name in record.files for record in records)]
    known = [name for name in emitted if name in _BACKENDS]
    if wanted is None and known:
        return known[0]
    if wanted not in known:
        raise CodegenError(
            f"{bundle} is emitted as {', '.join(emitted)}, and Triton is to have {wanted or ' or '.join(_BACKENDS)}; emit it"
            f" in one of {', '.join(_BACKENDS)}"
        )
    return wanted


def _check_tensors(record: CutRecord, format_name: str) -> None:
    backend = _BACKENDS[format_name]
    for wire in (*record.crossing, *record.returned):
        where = f"cut {record.id}: {wire.name}"
        if wire.dtype not in backend.types:
            raise CodegenError(
                f"{where} is of type {wire.dtype}, which Triton's {backend.backend} backend cannot carry; it carries"
                f" {', '.join(backend.types)}"
            )
        if 0 in wire.shape:  # the greatest there can be where the data decides
            raise CodegenError(f"{where} has the shape {wire.shape}; dimensions of tensors in Triton are at least 1")


# ---------------------------------------------------------------------------------------------------------- writing


def _write_model(
    building: Path, bundle: Path, manifest: Manifest, record: CutRecord, prefix: str, format_name: str
) -> TritonModel:
    name, backend = f"{prefix}_{record.id}", _BACKENDS[format_name]
    version = building / name / "1"
    version.mkdir(parents=True)
    path = version / backend.file_name
    written = export_half(bundle, record.id, "tail", path, format_name)
    if written != record.files[format_name].tail:
        raise CodegenError(f"{bundle} was replaced while its tails were written; export them again")
    scalars = any(wire.shape == () for wire in (*record.crossing, *record.returned))
    if scalars and format_name == "torchscript":
        give_torchscript_dimensions(path, record.crossing, record.returned)
    elif scalars:
        give_onnx_dimensions(path)
    inputs, outputs = _border_names(path, record, format_name)
    notes = [
        f"The tail of cut {record.id} of the model with the digest {manifest.model_digest}, written by CIC.",
        f"The digest of its weights: {manifest.weights_digest}",
        f"SHA-256 of the tail in the bundle: {written.sha256}",
        *(f"{given} is {wire.name}" for given, wire in zip(inputs, record.crossing, strict=True) if given != wire.name),
    ]
    lines = [
        *(f"# {comment(note)}" for note in notes),
        f"name: {_quoted(name)}",
        f"platform: {_quoted(backend.platform)}",
        f"backend: {_quoted(backend.backend)}",
        "max_batch_size: 0",
        *_tensor_block("input", inputs, record.crossing, backend),
        *_tensor_block("output", outputs, record.returned, backend),
        "instance_group [ { count: 1 kind: KIND_CPU } ]",
        # A device asks the server for these, and compares them with those of its head: halves of two trainings fit together.
        *(
            f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
            for key, value in (
                ("cic_cut", record.id),
                ("cic_model_digest", manifest.model_digest),
                ("cic_weights_digest", manifest.weights_digest),
            )
        ),
    ]
    (building / name / "config.pbtxt").write_text("\n".join(lines) + "\n", encoding="ascii")
    return TritonModel(name, record.id, inputs, outputs)


def _border_names(path: Path, record: CutRecord, format_name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """TorchScript has no names for tensors, so Triton counts; in ONNX every input and output has its own."""
    if format_name == "torchscript":
        counted = (("INPUT", record.crossing), ("OUTPUT", record.returned))
        inputs, outputs = (tuple(f"{kind}__{index}" for index in range(len(wires))) for kind, wires in counted)
        return inputs, outputs
    import onnx_ir

    check_beside(path, str(path))
    graph = onnx_ir.load(path).graph
    return tuple(str(value.name) for value in graph.inputs), tuple(str(value.name) for value in graph.outputs)


def _tensor_block(kind: str, names: Sequence[str], wires: Sequence[WireTensor], backend: _Backend) -> list[str]:
    tensors = []
    for name, wire in zip(names, wires, strict=True):
        sizes = [-1 if axis in wire.open_axes else size for axis, size in enumerate(wire.shape)]
        dims = ", ".join(map(str, sizes or [1]))
        tensors.append(f"  {{ name: {_quoted(name)} data_type: {backend.types[wire.dtype]} dims: [ {dims} ] }}")
    return [f"{kind} [", *(f"{tensor}," for tensor in tensors[:-1]), tensors[-1], "]"]


def _quoted(text: str) -> str:
    """A string of the protobuf text format: what is not plain is written as octal bytes of UTF-8."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b"\"'\\" else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'


def _put_models(building: Path, repository: Path, names: Sequence[str]) -> None:
    if not repository.exists():
        building.rename(repository)
        return
    missing = [name for name in names if not os.path.lexists(repository / name)]
    for name in names:
        # One that is just as it is to be was written before, perhaps by a process that was killed before the next one.
        if name not in missing and not _same_files(building / name, repository / name):
            raise CodegenError(f"{repository} has a model {name} already; remove it or name the new ones otherwise")
    placed: list[str] = []
    try:
        for name in missing:
            (building / name).rename(repository / name)
            placed.append(name)
    except OSError:
        for name in placed:
            (repository / name).rename(building / name)
        raise


def _same_files(one: Path, other: Path) -> bool:
    """Do two directories hold the same files, byte for byte?"""
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (one, other)]
    return names[0] == names[1] and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in names[0] if (one / name).is_file()
    )
