"""An emitted model on disk: `manifest.json` and, for each cut, a directory with its head and tail.

    resnet50.split/
      manifest.json
      <cut id>/head.ts, tail.ts                  plain files; or, with shared weights,
      <cut id>/head.ts.bare, tail.ts.bare
      weights/<SHA-256>.bin                      each weight once (`codegen.weights.shared_weights`)

It is built and verified in a temporary directory beside its place and then renamed, so a bundle is either whole or
absent. What an older bundle of the same model and weights has besides is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path

import torch
from torch import fx

from codegen.bundle.addition import put_bundle
from codegen.bundle.directory import CutPlan, Weights, check_request, file_record, place_of_bundle, standing_bundle
from codegen.bundle.weights import settled, stored
from codegen.calls.structure import Structure, leaf_count
from codegen.errors import CodegenError, as_codegen_error
from codegen.files.whole_directory import built_beside
from codegen.formats.emitter import Emitter, emitter_of
from codegen.formats.plain_operators import QUANTISERS, in_torch_operators, steps_of
from codegen.manifest import CutRecord, HalfFiles, Manifest, write_manifest
from codegen.split import Split
from codegen.splitters.fx import split, wire_tensor
from codegen.verification.equivalence import Progress, check_alike, redraw, verify
from codegen.weights.weights_digest import torch_weights_digest

Whole = Callable[..., Sequence[torch.Tensor]]


@dataclass(frozen=True)
class Source:
    """What a bundle is made from.

    module: flat and safe to cut, see `codegen.splitters.fx`.
    tensors: names of the nodes that may cross.
    example_inputs: flat, in the order of the module's placeholders.
    input_structure: of {"args": (...), "kwargs": {...}}; output_structure: of the model's answer (`codegen.calls.structure`).
    model_digest: names the model in the manifest.
    further_inputs: more input sets to verify on, like `example_inputs`.
    """

    module: fx.GraphModule
    tensors: Collection[str]
    example_inputs: Sequence[torch.Tensor]
    input_structure: Structure
    output_structure: Structure
    model_digest: str
    further_inputs: Sequence[Sequence[torch.Tensor]] = ()


def write_bundle(
    directory: str | Path,
    source: Source,
    plans: Sequence[CutPlan],
    *,
    formats: Sequence[str] = ("torchscript",),
    weights: Weights = "auto",
    whole: Whole | None = None,
    tolerance: float | None = None,
    progress: Progress | None = None,
    replace: bool = False,
) -> Manifest:
    """Split, write and verify every cut, and put the bundle at `directory`, added to what was emitted there before.

    weights: "shared" stores each weight once however many halves use it, "inline" makes every half one plain file, "auto"
        shares if that saves `codegen.bundle.weights.WORTH_SHARING_BYTES`.
    whole: the model as a function from flat inputs to flat outputs, to compare with (None: `source.module`).
    progress: is told each finished step ("write <cut id>", "head <cut id>", "tail <cut id>"); for each format there are
        three steps a cut.
    replace: an older bundle goes, whatever model it is of. Else what it has besides stays (`codegen.bundle.addition`).
    Returns the manifest of all that is there. Raises CodegenError (UnsplittableError, MismatchError), also for what the file
    system refuses; then nothing is left behind and an older bundle stays as it was.
    """
    directory = place_of_bundle(directory)
    with as_codegen_error(f"cannot write {directory}"):
        check_request(directory, plans, weights)
        _check_inputs(source)
        emitters = [emitter_of(name) for name in formats]
        standing_bundle(directory, _outline(source, emitters), plans, replace=replace)
        with built_beside(directory) as building:
            manifest = _write_halves(building, source, plans, emitters, weights, progress)
            manifest = settled(building, manifest, weights)
            write_manifest(building, manifest)
            manifest = _verified(building, manifest, source, whole, tolerance, progress)
            write_manifest(building, manifest)
            return put_bundle(building, manifest, directory, weights=weights, replace=replace)


# ---------------------------------------------------------------------------------------------------------- writing


def _write_halves(
    building: Path,
    source: Source,
    plans: Sequence[CutPlan],
    emitters: Sequence[Emitter],
    weights: Weights,
    progress: Progress | None,
) -> Manifest:
    cuts = []
    sizes: dict[str, int] = {}
    for plan in plans:
        halves = split(source.module, plan.device_nodes, source.tensors)
        files = {}
        for emitter in emitters:
            plain = _write_cut(building, plan.id, halves, source, emitter, progress)
            files[emitter.format] = stored(building, plain, emitter, weights, sizes)
        cuts.append(
            CutRecord(
                id=plan.id,
                device_ops=plan.device_ops,
                crossing=halves.crossing,
                kept=halves.kept,
                returned=halves.returned,
                outputs=halves.outputs,
                files=files,
            )
        )
    return changed(_outline(source, emitters), cuts=tuple(cuts), weights=sizes)


def _outline(source: Source, emitters: Sequence[Emitter]) -> Manifest:
    """What is known of the bundle before anything is written: the manifest without cuts."""
    versions: dict[str, str] = {}
    for emitter in emitters:
        versions.update(emitter.versions())
    return Manifest(
        model_digest=source.model_digest,
        weights_digest=torch_weights_digest(source.module),
        versions=versions,
        inputs=tuple(wire_tensor(node) for node in source.module.graph.nodes if node.op == "placeholder"),
        input_structure=source.input_structure,
        output_structure=source.output_structure,
        cuts=(),
    )


def _write_cut(
    building: Path, cut_id: str, halves: Split, source: Source, emitter: Emitter, progress: Progress | None
) -> HalfFiles:
    (building / cut_id).mkdir(exist_ok=True)
    # A half may change what it is given in place, as the model may, so each gets its own copies.
    inputs = [tensor.detach().clone() for tensor in source.example_inputs]
    with torch.no_grad():
        results = halves.head(*[tensor.clone() for tensor in inputs])
    crossing = [tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in results[: len(halves.crossing)]]
    examples = {"head": (halves.head, inputs), "tail": (halves.tail, crossing)}
    records = {}
    for name, (half, example) in examples.items():
        path = building / cut_id / f"{name}{emitter.suffix}"
        emitter.write(in_torch_operators(half, keep=(QUANTISERS,) if emitter.format == "onnx" else ()), example, path)
        records[name] = file_record(building, path)
    if progress is not None:
        progress(f"write {cut_id}")
    return HalfFiles(**records)


# -------------------------------------------------------------------------------------------------------- verifying


def _verified(
    building: Path,
    manifest: Manifest,
    source: Source,
    whole: Whole | None,
    tolerance: float | None,
    progress: Progress | None,
) -> Manifest:
    """Return the manifest with the verification of each cut in each format, on the example, on the same numbers in another
    order if the model takes them so, and on the further input sets."""
    input_sets = [list(source.example_inputs), *map(list, source.further_inputs)]
    expected = [_answer(whole or source.module, inputs) for inputs in input_sets]
    redrawn = redraw(source.example_inputs)
    try:
        expected.insert(1, _answer(whole or source.module, redrawn))
        input_sets.insert(1, redrawn)
    except CodegenError:  # as one that takes offsets, which must be sorted
        pass
    for format_name in manifest.cuts[0].files:
        checks = verify(
            building,
            manifest,
            input_sets,
            expected,
            format_name=format_name,
            tolerance=tolerance,
            progress=progress,
            steps=steps_of(source.module),
        )
        cuts = tuple(changed(cut, verification=(*cut.verification, checks[cut.id])) for cut in manifest.cuts)
        manifest = changed(manifest, cuts=cuts)
    return manifest


def _answer(whole: Whole, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    try:
        with torch.no_grad():
            return list(whole(*[tensor.detach().clone() for tensor in inputs]))
    except Exception as error:  # a model raises what it likes
        raise CodegenError(f"the whole model cannot run on inputs to verify on: {type(error).__name__}: {error}") from error


# ------------------------------------------------------------------------------------------------------- checking


def _check_inputs(source: Source) -> None:
    inputs = [node.name for node in source.module.graph.nodes if node.op == "placeholder"]
    for what, count in (
        ("example inputs", len(source.example_inputs)),
        ("described inputs", leaf_count(source.input_structure)),
    ):
        if count != len(inputs):
            raise CodegenError(f"the module has {len(inputs)} inputs ({', '.join(inputs)}), but there are {count} {what}")
    check_alike(inputs, source.example_inputs, source.further_inputs)
