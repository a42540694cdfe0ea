"""An emitted cut, ready to run: check the digests, load a half or both, map the model's own call to flat tensors.

Neither the model's code nor what made the bundle is imported; outputs are of the model's own classes where the program has
imported those, and dicts of their fields where not (`codegen.calls.structure`). A device needs the manifest and what `files_of`
lists for its head, or the one plain file that `export_half` writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codegen.bundle.codecs import codec_records, read_codecs
from codegen.bundle.directory import check_outside
from codegen.bundle.reading import from_one_bundle
from codegen.calls.call import flatten_call
from codegen.calls.structure import is_tensor, leaf_names, rebuild
from codegen.dtypes import type_name
from codegen.errors import CodegenError, as_codegen_error
from codegen.files.atomic import check_writable, write_whole
from codegen.formats.emitter import Loader, Runner, SharedLoader, emitter_of, format_called, is_too_large
from codegen.manifest import CutRecord, FileRecord, Manifest, read_manifest
from codegen.operator_libraries import load_needs
from codegen.split import Half, WireTensor, common_batch, shown_shape
from codegen.weights.shared_weights import check_file, check_size, open_half, read_checked, weight_path, write_plain


@dataclass(frozen=True)
class LoadedCut:
    """One cut of an emitted model.

    `tail(*head(*args, **kwargs))` equals the model's answer, structure included. Over a link send only `crossing`:

        results = cut.run_head_flat(cut.flatten_inputs(*args, **kwargs))                       # device
        returned = cut.run_tail_flat(results[: len(cut.crossing)])                             # server
        answer = cut.assemble(results, returned)                                               # device

    codecs: the contents that codecs of the crossing tensors are made from, by SHA-256.
    """

    manifest: Manifest
    record: CutRecord
    head_runner: Runner | None
    tail_runner: Runner | None
    codecs: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def crossing(self) -> tuple[WireTensor, ...]:
        """The tensors sent from device to server: the first of the head's results."""
        return self.record.crossing

    @property
    def kept(self) -> tuple[WireTensor, ...]:
        """The outputs that stay on the device: the other results of the head."""
        return self.record.kept

    @property
    def returned(self) -> tuple[WireTensor, ...]:
        """The outputs made on the server: the results of the tail."""
        return self.record.returned

    def head(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Run the device half on the model's own arguments and return (*crossing, *kept)."""
        return self.run_head_flat(self.flatten_inputs(*args, **kwargs))

    def tail(self, *tensors: Any) -> Any:
        """Run the server half on all that `head` returned, and return the model's own output structure."""
        expected = (*self.crossing, *self.kept)
        if len(tensors) != len(expected):
            raise CodegenError(f"the tail of cut {self.id} takes the {len(expected)} results of head, got {len(tensors)}")
        return self.assemble(tensors, self.run_tail_flat(tensors[: len(self.crossing)]))

    def flatten_inputs(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the tensors of a call in the head's order; CodegenError naming the argument that differs."""
        return flatten_call(self.manifest.input_structure, args, kwargs)

    def run_head_flat(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Run the device half on flat inputs and return (*crossing, *kept)."""
        runner = _present(self.head_runner, "head", self.id)
        names = leaf_names(self.manifest.input_structure)
        batch = _check_tensors(inputs, self.manifest.inputs, names, "the model was compiled")
        return run_half(runner, inputs, f"the head of cut {self.id}", (*self.crossing, *self.kept), batch)

    def run_tail_flat(self, crossing: Sequence[Any]) -> tuple[Any, ...]:
        """Run the server half on the crossing tensors and return the outputs made on the server."""
        runner = _present(self.tail_runner, "tail", self.id)
        names = [wire.name for wire in self.crossing]
        batch = _check_tensors(crossing, self.crossing, names, f"the tail of cut {self.id} is made")
        return run_half(runner, crossing, f"the tail of cut {self.id}", self.returned, batch)

    def assemble(self, head_results: Sequence[Any], returned: Sequence[Any]) -> Any:
        """Return the model's own output structure from the results of head and tail."""
        halves = {"head": head_results, "tail": returned}
        flat = [halves[source.half][source.position] for source in self.record.outputs]
        return rebuild(self.manifest.output_structure, flat)


def load_cut(
    directory: str | Path,
    cut_id: str,
    *,
    half: Half | None = None,
    format_name: str | None = None,
    optimize: bool = True,
    weights_digest: str | None = None,
    loader: Loader | None = None,
) -> LoadedCut:
    """Load a cut of the bundle in `directory`: both halves, or only the named one.

    format_name: default: the first the cut was emitted in.
    optimize: adapt the program to this machine's processor while loading (slower to load, faster to run). TorchScript is
        left as it is where the data decides how many rows an answer has, which may hang on the last digit of a number.
    weights_digest: of the other half, if that is elsewhere; halves of two trainings of a model fit together, and are wrong.
    loader: opens the files in place of the format's own, which runs them on the processor and tells threads from torch.
    Raises CodegenError if the directory is no bundle, it has no such cut or format, its weights are others, or a file does
    not match its digest or cannot be read.
    """
    if half not in ("head", "tail", None):
        raise CodegenError(f"a half is 'head', 'tail' or None for both, not {half!r}")

    def load(directory: Path, manifest: Manifest) -> LoadedCut:
        if weights_digest not in (None, manifest.weights_digest):
            raise CodegenError(
                f"{directory} was emitted with weights of the digest {manifest.weights_digest[:12]}, the other half has"
                f" {str(weights_digest)[:12]}; take both from one emission"
            )
        record = manifest.cut(cut_id)
        chosen = _chosen_format(manifest, cut_id, format_name)

        def runner(name: Half) -> Runner | None:
            if half not in (name, None):
                return None
            inputs = manifest.inputs if name == "head" else record.crossing
            file = _file_of(manifest, cut_id, name, chosen)
            load_needs(file.needs, f"the {name} of cut {cut_id}")
            exact = chosen == "torchscript" and any(wire.open_axes and wire.batch is None for wire in record.output_wires)
            return _load_half(directory, manifest, file, inputs, loader or emitter_of(chosen), optimize and not exact)

        return LoadedCut(manifest, record, runner("head"), runner("tail"), read_codecs(directory, manifest, record))

    return from_one_bundle(Path(directory), load)


def files_of(directory: str | Path, cut_id: str, half: Half, format_name: str | None = None) -> tuple[FileRecord, ...]:
    """Return the files of a bundle that `load_cut` needs for one half, besides the manifest.

    A weight a machine already has, from another cut or an earlier model, has the same path: it need not be fetched again.
    Raises CodegenError as `load_cut` does.
    """
    with as_codegen_error(f"cannot read {directory}"):
        manifest = read_manifest(Path(directory))
    record = _file_of(manifest, cut_id, half, _chosen_format(manifest, cut_id, format_name))
    codecs = codec_records(manifest, manifest.cut(cut_id))
    if record.bare is None:
        return (record, *codecs)
    bare = FileRecord(record.bare.path, record.bare.bytes, record.bare.sha256)
    weights = dict.fromkeys(place.sha256 for place in record.bare.weights)
    return (bare, *(FileRecord(weight_path(sha256), manifest.weights[sha256], sha256) for sha256 in weights), *codecs)


def export_half(
    directory: str | Path, cut_id: str, half: Half, destination: str | Path, format_name: str | None = None
) -> FileRecord:
    """Write one half to `destination` as one plain file, which its runtime opens without CIC (`torch.jit.load`).

    An ONNX half of more than 2 GB cannot be one file: its weights are written to `<destination>.data`.
    Returns its record in the manifest, with its size and SHA-256 as one file. Raises CodegenError as `load_cut` does.
    """
    destination = Path(destination).absolute()
    if not destination.parent.is_dir():
        raise CodegenError(f"the directory {destination.parent} does not exist")
    if destination.is_dir():
        raise CodegenError(f"{destination} is a directory; name a file to write")
    check_outside(destination, Path(directory))
    with as_codegen_error(f"cannot write {destination}"):
        check_writable(destination)

    def write(directory: Path, manifest: Manifest) -> FileRecord:
        chosen = _chosen_format(manifest, cut_id, format_name)
        record = _file_of(manifest, cut_id, half, chosen)
        if record.bare is None:
            content = read_checked(directory, record)
            with as_codegen_error(f"cannot write {destination}"):
                write_whole(destination, content)
            return record
        files = open_half(directory, manifest, record)
        with as_codegen_error(f"cannot write {destination}"):
            if is_too_large(chosen, record.bytes):
                from codegen.weights.onnx_weights import (
                    write_beside,  # only ONNX has a limit, and numpy is not needed otherwise
                )

                write_beside(files, destination)
            else:
                write_plain(files, destination)
        return record

    return from_one_bundle(Path(directory), write)


def _chosen_format(manifest: Manifest, cut_id: str, wanted: str | None) -> str:
    """The format that is wanted, else the first that the cut was emitted in."""
    return next(iter(manifest.cut(cut_id).files)) if wanted is None else format_called(wanted)


def _load_half(
    directory: Path, manifest: Manifest, record: FileRecord, inputs: Sequence[WireTensor], loader: Loader, optimize: bool
) -> Runner:
    if record.bare is None:
        # While the file is open no other one can get its number, as a new one may at once when it is closed and gone.
        with check_size(directory, record).open("rb") as opened:
            path = check_file(directory, record)
            runner = loader.load(path, inputs, optimize=optimize)
            if not os.path.samestat(os.fstat(opened.fileno()), path.stat()):
                raise CodegenError(f"{path} was replaced while it was loaded; load it again")
            return runner
    if not isinstance(loader, SharedLoader):
        raise CodegenError(f"{record.bare.path} has shared weights, which the format {loader.format} cannot read; emit again")
    return loader.load_shared(open_half(directory, manifest, record), inputs, optimize=optimize)


def _file_of(manifest: Manifest, cut_id: str, half: Half, format_name: str) -> FileRecord:
    if half not in ("head", "tail"):
        raise CodegenError(f"a half is 'head' or 'tail', not {half!r}")
    files = manifest.cut(cut_id).files
    if format_name not in files:
        raise CodegenError(f"cut {cut_id} is not emitted as {format_name!r}; there is {', '.join(files)}")
    return files[format_name].of(half)


def _present(runner: Runner | None, half: Half, cut_id: str) -> Runner:
    if runner is None:
        raise CodegenError(f"the {half} of cut {cut_id} is not loaded; load the cut with half=None or half={half!r}")
    return runner


def run_half(
    runner: Runner, values: Sequence[Any], what: str, answered: Sequence[WireTensor], batch: int | None = None
) -> tuple[Any, ...]:
    """Run a half on values that it takes, and return its results.

    batch: of the values, if it is open; that of the results is the same.
    Raises CodegenError, naming it as `what`, whatever its runtime raises, and for a result of another shape than `answered`.
    """
    try:
        results = runner(*values)
    except CodegenError:
        raise
    except Exception as error:  # a runtime raises what it likes: for an id out of range torch has two classes
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        # TorchScript shows its program first; others show where they were last.
        told = lines[-1] if "TorchScript" in lines[0] else lines[0]
        raise CodegenError(f"{what} cannot run on the values it was called with: {type(error).__name__}: {told}") from error
    for result, wire in zip(results, answered, strict=False):
        expected = wire if batch is None else wire.at_batch(batch)
        if not expected.fits(tuple(result.shape)):  # it would not fit over a link
            raise CodegenError(
                f"{what} answers {wire.name} with the shape {tuple(result.shape)}, and was compiled for {expected.shape}: its"
                " size depends on the values given; compile again with inputs like these"
            )
    return results


def _check_tensors(tensors: Sequence[Any], wires: Sequence[WireTensor], names: Sequence[str], compiled: str) -> int | None:
    """Return the batch of the call, if it is open.

    Shapes and dtypes are part of the compiled program, which would not notice others itself.
    """
    if len(tensors) != len(wires):
        raise CodegenError(f"{compiled} for {len(wires)} tensors, called with {len(tensors)}")
    for tensor, wire, name in zip(tensors, wires, names, strict=True):
        if not is_tensor(tensor):
            raise CodegenError(f"{name}: {compiled} for a tensor, called with a {type(tensor).__qualname__}")
        shape, dtype = tuple(tensor.shape), type_name(tensor.dtype)
        if not wire.fits(shape) or dtype != wire.dtype:
            raise CodegenError(
                f"{name}: {compiled} for {wire.dtype} of shape {shown_shape(wire)}, called with {dtype} of shape {shape}; "
                "compile again for it"
            )
    return _one_batch(tensors, wires, names, compiled)


def _one_batch(tensors: Sequence[Any], wires: Sequence[WireTensor], names: Sequence[str], compiled: str) -> int | None:
    if all(wire.batch is None for wire in wires):
        return None
    batch = common_batch(wires, [tuple(tensor.shape) for tensor in tensors])
    if batch is None:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in zip(names, tensors, strict=True))
        raise CodegenError(f"{compiled} for one batch, called with several: {shapes}")
    return batch
