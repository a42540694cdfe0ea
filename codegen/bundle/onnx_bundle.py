"""A bundle made from an ONNX model: same directory, manifest and verification as one made from torch, format "onnx" only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from codegen.bundle.addition import put_bundle
from codegen.bundle.directory import CutPlan, Weights, check_request, file_record, place_of_bundle, standing_bundle
from codegen.bundle.weights import settled, stored
from codegen.calls.call import describe_named
from codegen.calls.structure import Structure, describe
from codegen.errors import CodegenError, as_codegen_error
from codegen.files.whole_directory import built_beside
from codegen.formats.emitter import Runner
from codegen.formats.onnx_kernels import explained
from codegen.formats.onnx_program import OnnxEmitter
from codegen.formats.onnx_session import open_session, runner_of
from codegen.manifest import CutRecord, FileRecord, HalfFiles, Manifest, write_manifest
from codegen.split import Split
from codegen.splitters.onnx import split_onnx, wire_tensor
from codegen.verification.equivalence import Progress, check_alike, redraw, verify
from codegen.verification.quantisation import steps_of
from codegen.weights.weights_digest import onnx_weights_digest

if TYPE_CHECKING:
    import onnx_ir


@dataclass(frozen=True)
class OnnxSource:
    """What a bundle is made from.

    model: with fixed shapes and named nodes, see `codegen.splitters.onnx`; path: of the file it was read from, or the bytes of
    a model that came as a message, which the halves are compared with.
    tensors: names of the values that may cross.
    example_inputs: a torch tensor for each of the model's inputs, in their order.
    model_digest: names the model in the manifest.
    further_inputs: more input sets to verify on, in the order of `example_inputs`.
    """

    model: onnx_ir.Model
    path: Path | bytes
    tensors: Collection[str]
    example_inputs: Mapping[str, torch.Tensor]
    model_digest: str
    further_inputs: Sequence[Sequence[torch.Tensor]] = ()

    @property
    def name(self) -> str:
        """What messages call the model."""
        return str(self.path) if isinstance(self.path, Path) else f"the model {self.model.graph.name!r}"


def write_onnx_bundle(
    directory: str | Path,
    source: OnnxSource,
    plans: Sequence[CutPlan],
    *,
    weights: Weights = "auto",
    tolerance: float | None = None,
    progress: Progress | None = None,
    replace: bool = False,
) -> Manifest:
    """Split, write and verify every cut, and put the bundle at `directory`; halves are called with inputs by name or in their
    order.

    Arguments and errors as for `codegen.bundle.torch_bundle.write_bundle`; the model's answer is a dict of tensors by output
    name.
    """
    directory = place_of_bundle(directory)
    with as_codegen_error(f"cannot write {directory}"):
        check_request(directory, plans, weights)
        check_alike(list(source.example_inputs), list(source.example_inputs.values()), source.further_inputs)
        outline = _outline(source)
        standing_bundle(directory, outline, plans, replace=replace)
        # First of all: what the whole cannot do, no half can, and then nothing need be written.
        input_sets, expected = _answered(source)
        with built_beside(directory) as building:
            sizes: dict[str, int] = {}
            cuts = [_write_cut(building, plan, source, weights, sizes, progress) for plan in plans]
            manifest = settled(building, changed(outline, cuts=tuple(cuts), weights=sizes), weights)
            write_manifest(building, manifest)
            checks = verify(
                building,
                manifest,
                input_sets,
                expected,
                format_name=OnnxEmitter.format,
                tolerance=tolerance,
                steps=steps_of(source.model),
                progress=progress,
            )
            verified = tuple(changed(cut, verification=(checks[cut.id],)) for cut in manifest.cuts)
            manifest = changed(manifest, cuts=verified)
            write_manifest(building, manifest)
            return put_bundle(building, manifest, directory, weights=weights, replace=replace)


def _outline(source: OnnxSource) -> Manifest:
    """What is known of the bundle before anything is written: the manifest without cuts."""
    return Manifest(
        model_digest=source.model_digest,
        weights_digest=onnx_weights_digest(source.model),
        versions=OnnxEmitter().versions(),
        inputs=tuple(map(wire_tensor, source.model.graph.inputs)),
        input_structure=describe_named(source.example_inputs),
        output_structure=_output_structure(source.model),
        cuts=(),
    )


def whole_of(source: OnnxSource) -> Runner:
    """Return the file itself as a function from tensors, in the order of the example inputs, to its outputs."""
    try:
        session = open_session(source.path, source.name)
    except CodegenError as error:
        raise explained(error, source.model, source.name, "convert that part of the model to float32") from error
    run = runner_of(session, source.name)
    names = list(source.example_inputs)
    order = [names.index(value.name) for value in session.get_inputs()]
    answered = [value.name for value in session.get_outputs()]
    wanted = [answered.index(str(value.name)) for value in source.model.graph.outputs]  # a file may name an output twice

    def whole(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        results = run(*(tensors[position] for position in order))
        return tuple(results[position] for position in wanted)

    return whole


def _write_cut(
    building: Path,
    plan: CutPlan,
    source: OnnxSource,
    weights: Weights,
    sizes: dict[str, int],
    progress: Progress | None,
) -> CutRecord:
    halves = split_onnx(source.model, plan.device_nodes, source.tensors)
    (building / plan.id).mkdir(exist_ok=True)
    plain = HalfFiles(**{half: _write_half(building, plan.id, half, halves) for half in ("head", "tail")})
    files = stored(building, plain, OnnxEmitter(), weights, sizes)
    if progress is not None:
        progress(f"write {plan.id}")
    return CutRecord(
        id=plan.id,
        device_ops=plan.device_ops,
        crossing=halves.crossing,
        kept=halves.kept,
        returned=halves.returned,
        outputs=halves.outputs,
        files={OnnxEmitter.format: files},
    )


def _write_half(building: Path, cut_id: str, half: str, halves: Split) -> FileRecord:
    path = building / cut_id / f"{half}{OnnxEmitter.suffix}"
    OnnxEmitter().write(getattr(halves, half), (), path)
    return file_record(building, path)


def _answered(source: OnnxSource) -> tuple[list[list[torch.Tensor]], list[list[torch.Tensor]]]:
    """Return what to verify on, the example, the same numbers in another order and the further input sets, and the whole
    model's answers."""
    example = list(source.example_inputs.values())
    whole = whole_of(source)
    expected = [list(whole(*example))]
    input_sets = [example]
    try:
        redrawn = redraw(example)
        expected.append(list(whole(*redrawn)))
        input_sets.append(redrawn)
    except CodegenError:  # as one that takes a sampling rate and a size that belong together
        pass
    for further in map(list, source.further_inputs):
        expected.append(list(whole(*further)))
        input_sets.append(further)
    return input_sets, expected


def _output_structure(model: onnx_ir.Model) -> Structure:
    placeholder = torch.empty(0)
    return describe({str(value.name): placeholder for value in model.graph.outputs})[0]
