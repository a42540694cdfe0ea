"""An emitted model on disk: `manifest.json` and, for each cut, a directory with its head and tail.

    resnet50.split/
      manifest.json
      <cut id>/head.ts, tail.ts                  plain files; or, with shared weights,
      <cut id>/head.ts.bare, tail.ts.bare
      weights/<SHA-256>.bin                      each weight once (`codegen.weights.shared_weights`)
      codecs/<SHA-256>                           what codecs of crossing tensors are made from (`codegen.bundle.codecs`)

It is built and verified in a temporary directory beside its place and then renamed, so a bundle is either whole or
absent. What an older bundle of the same model and weights has besides is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch

from codegen.bundle.addition import put_bundle
from codegen.bundle.codecs import check_codecs, write_codecs
from codegen.bundle.directory import CutPlan, Storage, check_request, file_record, place_of_bundle, standing_bundle
from codegen.bundle.source import Source, Whole
from codegen.bundle.weights import settled, stored
from codegen.calls.structure import leaf_count
from codegen.errors import CodegenError, as_codegen_error
from codegen.files.whole_directory import built_beside
from codegen.formats.emitter import Emitter, emitter_of, format_called
from codegen.manifest import CutRecord, FileRecord, HalfFiles, Manifest, served_name, write_manifest
from codegen.split import Split
from codegen.splitters.open_batch import at_batch
from codegen.verification.equivalence import Progress, Tensors, check_alike, redraw, verify
from codegen.verification.fresh_halves import started_ahead


def write_bundle(
    directory: str | Path,
    source: Source,
    plans: Sequence[CutPlan],
    *,
    formats: Sequence[str] | None = None,
    storage: Storage = "auto",
    whole: Whole | None = None,
    further_inputs: Sequence[Tensors] = (),
    tolerance: float | None = None,
    progress: Progress | None = None,
    replace: bool = False,
    codecs: Mapping[str, bytes] = MappingProxyType({}),
    name: str | None = None,
) -> Manifest:
    """Split, write and verify every cut, and put the bundle at `directory`, added to what was emitted there before.

    formats: names of `codegen.formats.emitter`; None: the first of the source's own.
    storage: "shared" stores each weight once however many halves use it, "inline" makes every half one plain file, "auto"
        shares if that saves `codegen.bundle.weights.WORTH_SHARING_BYTES`.
    whole: the model as a function from flat inputs to flat outputs, to compare with (None: `source.whole()`).
    further_inputs: more input sets to verify on, like the source's `example_inputs`.
    progress: is told each finished step ("write <cut id>", "head <cut id>", "tail <cut id>"); for each format there are
        three steps a cut.
    replace: an older bundle goes, whatever model it is of. Else what it has besides stays (`codegen.bundle.addition`).
    codecs: the contents that plans name, by SHA-256; others are left out.
    name: of the model, which names of its tails on servers begin with; None: the directory's up to its first dot.
    Returns the manifest of all that is there. Raises CodegenError (UnsplittableError, MismatchError), also for what the file
    system refuses; then nothing is left behind and an older bundle stays as it was.
    """
    directory = place_of_bundle(directory)
    with as_codegen_error(f"cannot write {directory}"):
        check_request(directory, plans, storage)
        check_codecs(plans, codecs)
        emitters = _emitters(source, formats)
        outline = _outline(source, emitters, served_name(directory.name.partition(".")[0] if name is None else name))
        _check_inputs(outline, source.example_inputs, further_inputs)
        further_inputs = [*further_inputs, *_other_batches(source)]
        standing_bundle(directory, outline, plans, replace=replace)
        # First of all: what the whole cannot do, no half can, and then nothing need be written.
        input_sets, expected = _answered(source.whole() if whole is None else whole, source.example_inputs, further_inputs)
        with started_ahead(), built_beside(directory) as building:
            sizes: dict[str, int] = {}
            cuts = [_write_cut(building, plan, source, emitters, storage, sizes, progress) for plan in plans]
            stored_codecs = write_codecs(building, plans, codecs)
            manifest = changed(outline, cuts=tuple(cuts), weights=sizes, codecs=stored_codecs)
            manifest = settled(building, manifest, storage)
            write_manifest(building, manifest)
            manifest = _verified(building, manifest, source, input_sets, expected, tolerance, progress)
            write_manifest(building, manifest)
            return put_bundle(building, manifest, directory, storage=storage, replace=replace)


# ---------------------------------------------------------------------------------------------------------- writing


def _emitters(source: Source, formats: Sequence[str] | None) -> list[Emitter]:
    wanted = tuple(dict.fromkeys(map(format_called, formats or source.formats[:1])))
    emitters = [emitter_of(name) for name in wanted]
    if not set(wanted).issubset(source.formats):
        known = ", ".join(map(repr, source.formats))
        raise CodegenError(f"{source.called} is emitted in the format {known} only, not as {', '.join(wanted)}")
    return emitters


def _outline(source: Source, emitters: Sequence[Emitter], name: str) -> Manifest:
    """What is known of the bundle before anything is written: the manifest without cuts."""
    versions: dict[str, str] = {}
    for emitter in emitters:
        versions.update(emitter.versions())
    return Manifest(
        model_digest=source.model_digest,
        weights_digest=source.weights_digest,
        versions=versions,
        inputs=source.inputs,
        input_structure=source.input_structure,
        output_structure=source.output_structure,
        cuts=(),
        name=name,
    )


def _write_cut(
    building: Path,
    plan: CutPlan,
    source: Source,
    emitters: Sequence[Emitter],
    storage: Storage,
    sizes: dict[str, int],
    progress: Progress | None,
) -> CutRecord:
    halves = source.split(plan.device_nodes)
    (building / plan.id).mkdir()
    files = {}
    for emitter in emitters:
        plain = _write_halves(building, plan.id, source, halves, emitter)
        if progress is not None:
            progress(f"write {plan.id}")
        files[emitter.format] = stored(building, plain, emitter, storage, sizes)
    return CutRecord(
        id=plan.id,
        device_ops=plan.device_ops,
        crossing=halves.crossing,
        kept=halves.kept,
        returned=halves.returned,
        outputs=halves.outputs,
        files=files,
        codecs=plan.codecs,
    )


def _write_halves(building: Path, cut_id: str, source: Source, halves: Split, emitter: Emitter) -> HalfFiles:
    records: dict[str, FileRecord] = {}
    for half, program in source.programs(halves, emitter.format).items():
        path = building / cut_id / f"{half}{emitter.suffix}"
        emitter.write(program.half, program.example, path, program.open_axes)
        records[half] = changed(file_record(building, path), needs=program.needs)
    return HalfFiles(**records)


# -------------------------------------------------------------------------------------------------------- verifying

VERIFIED_BATCHES = (1, 3, 16)
"""Of a model with an open batch, besides that of its example. Two fix a line in the batch, others show that it holds."""


def _other_batches(source: Source) -> list[list[torch.Tensor]]:
    """Return the example at other batches, if the batch is open."""
    batches = source.batches
    if batches is None:
        return []
    wanted = sorted({*VERIFIED_BATCHES, batches.other} - {batches.example})
    drawn = redraw(source.example_inputs)
    return [
        [at_batch(tensor, axis, batch) for tensor, axis in zip(drawn, batches.axes, strict=True)]
        for batch in wanted
        if batch <= batches.greatest
    ]


def _answered(whole: Whole, example: Tensors, further: Sequence[Tensors]) -> tuple[list[Tensors], list[Tensors]]:
    """Return what to verify on, the example, the same numbers in another order if the model takes them so, and the further
    input sets, and the whole model's answers."""
    input_sets = [example, *further]
    expected: list[Tensors] = [_answer(whole, inputs) for inputs in input_sets]
    redrawn = redraw(example)
    try:
        expected.insert(1, _answer(whole, redrawn))
        input_sets.insert(1, redrawn)
    except CodegenError:  # as one that takes offsets, which must be sorted, or a sampling rate and a size that belong together
        pass
    return input_sets, expected


def _answer(whole: Whole, inputs: Tensors) -> list[torch.Tensor]:
    try:
        with torch.no_grad():
            return list(whole(*[tensor.detach().clone() for tensor in inputs]))
    except CodegenError:
        raise
    except Exception as error:  # a model raises what it likes
        raise CodegenError(f"the whole model cannot run on inputs to verify on: {type(error).__name__}: {error}") from error


def _verified(
    building: Path,
    manifest: Manifest,
    source: Source,
    input_sets: Sequence[Tensors],
    expected: Sequence[Tensors],
    tolerance: float | None,
    progress: Progress | None,
) -> Manifest:
    """Return the manifest with the verification of each cut in each format."""
    for format_name in manifest.cuts[0].files:
        checks = verify(
            building,
            manifest,
            input_sets,
            expected,
            format_name=format_name,
            tolerance=tolerance,
            steps=source.steps(),
            plain_whole=partial(source.whole, optimize=False),
            progress=progress,
        )
        cuts = tuple(changed(cut, verification=(*cut.verification, checks[cut.id])) for cut in manifest.cuts)
        manifest = changed(manifest, cuts=cuts)
    return manifest


def _check_inputs(outline: Manifest, example: Tensors, further: Sequence[Tensors]) -> None:
    names = [wire.name for wire in outline.inputs]
    for what, count in (("example inputs", len(example)), ("described inputs", leaf_count(outline.input_structure))):
        if count != len(names):
            raise CodegenError(f"the module has {len(names)} inputs ({', '.join(names)}), but there are {count} {what}")
    check_alike(names, example, further, outline.inputs)
