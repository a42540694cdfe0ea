"""Do the saved halves compute what the whole model computes?

The answer comes from files alone, as a user would run them: one fresh process loads every head and stores its results,
a second loads every tail and runs it on the stored crossing tensors, and only then are outputs compared with the whole
model's. Every half runs on every input set. The answer of each run is overwritten before the next, and the first set is run
once more at the end: this finds a half that answers with its own constants, and one that answers otherwise after its first run,
when a runtime may have rewritten it. A half must also refuse another shape or dtype by itself, and two outputs may share memory
only where those of the whole model do. Crossing tensors arrive contiguous. A head gets inputs of another memory order, such as
channels last, twice: in that order, as from a caller, and contiguous, as from a file.

A quantised model rounds. A runtime that fuses ops beside a cut in another way than in the whole may round a value to the
neighbouring step, which moves later ones by several. So where the halves of such a model are further from the whole than one
step, two things must hold. Without the optimisations of the runtime, halves and whole agree as those of any other model do.
With them, the halves are at most twice as far from the whole as the whole's own two answers are apart.

The error of an output is max|split - whole| / max|whole|. A network with random weights can return all but zero
whatever its input, and then agreement shows nothing: such outputs are reported as not informative.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from codegen.calls.structure import leaf_names
from codegen.errors import CodegenError, MismatchError
from codegen.manifest import CutRecord, Manifest, OutputCheck, Verification
from codegen.rounding import Step
from codegen.split import Half, WireTensor
from codegen.verification.agreement import TOLERANCES, ZERO, largest, relative_error, wide
from codegen.verification.fresh_halves import run_fresh as _run_fresh
from codegen.verification.tensor_file import read_tensors, write_tensors
from codegen.verification.tensor_memory import overlapping

Tensors = Sequence[torch.Tensor]
Progress = Callable[[str], None]
Whole = Callable[..., Tensors]
Runs = dict[Half, dict[str, list[Path]]]
"""The files of results, by half, cut and input set."""


@dataclass(frozen=True)
class _Asked:
    """What all cuts are asked.

    expected: of each input set the whole model's flat outputs. names: of the outputs; informative: whether agreement says much.
    """

    manifest: Manifest
    input_sets: Sequence[Tensors]
    expected: Sequence[Tensors]
    names: Sequence[str]
    informative: Sequence[bool]
    format_name: str


def verify(
    directory: Path,
    manifest: Manifest,
    input_sets: Sequence[Tensors],
    expected: Sequence[Tensors],
    *,
    format_name: str,
    tolerance: float | None = None,
    steps: Sequence[Step] = (),
    plain_whole: Callable[[], Whole] | None = None,
    progress: Progress | None = None,
) -> dict[str, Verification]:
    """Run all cuts of the bundle in two fresh processes and compare with `expected`, the whole model's flat outputs.

    steps: for each output of a quantised model what one rounding step is to it, which is allowed besides unless a tolerance is
    given; none: no output is quantised. plain_whole: makes the whole of such a model without the runtime's optimisations.
    Returns the verification of each cut id. Raises MismatchError, naming cut, output and error, if one exceeds the
    tolerance (None: `codegen.verification.agreement.TOLERANCES`); CodegenError if a process fails.
    """
    names = leaf_names(manifest.output_structure, "output")
    informative = [_is_informative([outputs[index] for outputs in expected]) for index in range(len(names))]
    input_sets, expected = _in_both_orders(input_sets, expected)
    asked = _Asked(manifest, [*input_sets, input_sets[0]], [*expected, expected[0]], names, informative, format_name)
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=directory.parent) as scratch:
        runs = _run_halves(directory, manifest, asked.input_sets, Path(scratch), format_name, progress)
        checks, further = {}, []
        for cut in manifest.cuts:
            try:
                checks[cut.id] = _compare_cut(asked, cut, runs, tolerance, steps)
            except MismatchError:
                if tolerance is not None or plain_whole is None or all(step == Step() for step in steps):
                    raise
                further.append(cut)
        if further and plain_whole is not None:
            plain = _plainly(directory, asked, further, plain_whole(), Path(scratch))
            checks |= _compare_rounding(asked, further, runs, plain, steps)
        return {cut.id: checks[cut.id] for cut in manifest.cuts}


def redraw(inputs: Tensors, seed: int = 0) -> list[torch.Tensor]:
    """Return another input set of the same ranges, in the same memory order.

    The entries of each tensor are shuffled, which keeps token ids, indices and masks valid. Floating-point entries that
    are not all whole numbers are mixed with each other, too, since shuffling leaves a tensor's mean and maximum as they
    are, and a half that holds these as constants must be found. A floating-point tensor of one value throughout is moved
    by up to 1 either way.
    """
    generator = torch.Generator().manual_seed(seed)
    return [_redraw(tensor.detach().cpu(), generator) for tensor in inputs]


def check_alike(names: Sequence[str], example: Tensors, further: Sequence[Tensors], wires: Sequence[WireTensor] = ()) -> None:
    """Raise CodegenError, naming the input, unless each further input set has the example's shapes and dtypes.

    wires: say which of their axes are open.
    """
    for tensors in further:
        if len(tensors) != len(example):
            raise CodegenError(f"inputs to verify on hold {len(tensors)} tensors, the example has {len(example)}")
        for position, (name, tensor, like) in enumerate(zip(names, tensors, example, strict=True)):
            fits = wires[position].fits(tensor.shape) if wires else tensor.shape == like.shape
            if not fits or tensor.dtype != like.dtype:
                raise CodegenError(
                    f"the input {name} to verify on is {tensor.dtype} of shape {tuple(tensor.shape)}, the example's is"
                    f" {like.dtype} of shape {tuple(like.shape)}; shapes are fixed when compiling"
                )


_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}


def _redraw(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    flat = tensor.contiguous().reshape(-1)
    if flat.is_floating_point() and flat.dtype.itemsize > 1 and flat.numel() and bool((flat == flat[0]).all()):
        drawn = flat + torch.rand(flat.shape, generator=generator).mul(2).sub(1).to(flat.dtype)
    else:
        # torch 2.9 cannot pick from these, nor do bits care for the sign.
        bits = flat.view(_SIGNED[flat.dtype]) if flat.dtype in _SIGNED else flat
        drawn = bits[torch.randperm(flat.numel(), generator=generator)].view(flat.dtype)
        if flat.is_floating_point() and flat.dtype.itemsize > 1 and _is_fractional(flat):
            share = torch.rand(flat.shape, generator=generator).to(flat.dtype)
            drawn = drawn + share * (drawn.roll(1) - drawn)
    # A model may work in one order only, as one that takes `view` of channels-last pictures.
    return torch.empty_like(tensor).copy_(drawn.reshape(tensor.shape))


def _is_fractional(flat: torch.Tensor) -> bool:
    return bool(flat.isfinite().all()) and bool((flat != flat.round()).any())


def _in_both_orders(input_sets: Sequence[Tensors], expected: Sequence[Tensors]) -> tuple[list[Tensors], list[Tensors]]:
    """Return the input sets, those not contiguous followed by themselves contiguous, and what is expected of each."""
    sets, answers = [], []
    for inputs, outputs in zip(input_sets, expected, strict=True):
        packed = [tensor.contiguous() for tensor in inputs]
        changed = any(one is not other for one, other in zip(packed, inputs, strict=True))
        sets += [inputs, packed] if changed else [inputs]
        answers += [outputs] * (1 + changed)
    return sets, answers


def _is_informative(draws: Tensors) -> bool:
    """Tell whether an output is neither zero nor the same for all input sets."""
    draws = [draw for draw in draws if draw.numel()]
    draws = [draw for draw in draws if draw.shape == draws[0].shape]  # those of one batch, or of as many rows, can be compared
    if not draws or max(float(wide(draw).nan_to_num(0, 0, 0).abs().max()) for draw in draws) <= ZERO:
        return False
    return len(draws) == 1 or any(relative_error(draw, draws[0]) > TOLERANCES["float32"].emitted for draw in draws[1:])


def _tolerance(cut: CutRecord, manifest: Manifest) -> float:
    """Return that of the least precise dtype among inputs, crossing tensors and outputs, float32's where all are exact."""
    wires = (*manifest.inputs, *cut.crossing, *cut.kept, *cut.returned)
    allowed = [TOLERANCES[wire.dtype].emitted for wire in wires if wire.dtype in TOLERANCES]
    return max(allowed, default=TOLERANCES["float32"].emitted)


def _plainly(directory: Path, asked: _Asked, cuts: Sequence[CutRecord], whole: Whole, scratch: Path) -> tuple[_Asked, Runs]:
    """Run whole and halves without optimisations; return what is expected of the halves then, and what they gave."""
    (place := scratch / "plain").mkdir()
    with torch.no_grad():
        answers = [list(whole(*inputs)) for inputs in asked.input_sets]
    plain = replace(asked, manifest=replace(asked.manifest, cuts=tuple(cuts)), expected=answers)
    return plain, _run_halves(directory, plain.manifest, plain.input_sets, place, plain.format_name, None, optimize=False)


def _compare_rounding(
    asked: _Asked,
    cuts: Sequence[CutRecord],
    runs: Runs,
    plain: tuple[_Asked, Runs],
    steps: Sequence[Step],
) -> dict[str, Verification]:
    """Compare cuts of a quantised model that are further from the whole than one step, as the module says."""
    plain_asked, plain_runs = plain
    wider = [
        replace(step, relative=max(step.relative, 2 * _apart(plain_asked.expected, asked.expected, place)))
        if step != Step()
        else step
        for place, step in enumerate(steps)
    ]
    checks = {}
    for cut in cuts:
        _compare_cut(plain_asked, cut, plain_runs, None, ())
        checks[cut.id] = _compare_cut(asked, cut, runs, None, wider)
    return checks


def _apart(plain: Sequence[Tensors], expected: Sequence[Tensors], place: int) -> float:
    """Return how far the whole's own answers differ in an output; 0 if no number says that."""
    error = max(relative_error(mine[place], theirs[place].detach().cpu()) for mine, theirs in zip(plain, expected, strict=True))
    return error if math.isfinite(error) else 0.0


def _compare_cut(asked: _Asked, cut: CutRecord, runs: Runs, tolerance: float | None, steps: Sequence[Step]) -> Verification:
    expected, names = asked.expected, asked.names
    _check_memory(cut, runs, expected[0], names)
    usual = _tolerance(cut, asked.manifest) if tolerance is None else tolerance
    greatest = usual
    errors = [0.0] * len(names)
    for index, whole in enumerate(expected):
        halves = {half: read_tensors(runs[half][cut.id][index]) for half in ("head", "tail")}
        for position, source in enumerate(cut.outputs):
            error = relative_error(halves[source.half][source.position], whole[position].detach().cpu())
            errors[position] = max(errors[position], error)
            allowed = max(usual, steps[position].allowance(largest(whole[position]))) if steps and tolerance is None else usual
            greatest = max(greatest, allowed)
            if not error <= allowed:
                raise MismatchError(
                    f"cut {cut.id}: the halves differ from the whole model in {names[position]} (made by the"
                    f" {source.half}): relative error {error:.3g}, allowed {allowed:.3g}, input set {index};"
                    f" the model may be random or keep state between calls{_of_rows(cut, asked.format_name)}"
                )
    checks = tuple(OutputCheck(*check) for check in zip(names, errors, asked.informative, strict=True))
    return Verification(format=asked.format_name, tolerance=greatest, input_sets=len(expected) - 1, outputs=checks)


def _of_rows(cut: CutRecord, format_name: str) -> str:
    """Return what else may be the reason, where rows are chosen by numbers that ONNX Runtime rounds in another way."""
    if format_name != "onnx" or all(wire.batch is not None or not wire.open_axes for wire in cut.output_wires):
        return ""
    return (
        ", or ONNX Runtime chooses other rows, since it rounds in another way; emit another format, or compile an ONNX file of"
        " the whole model"
    )


def _check_memory(cut: CutRecord, runs: Runs, expected: Tensors, names: Sequence[str]) -> None:
    """Raise MismatchError if two outputs share memory that do not in the whole model: a change of one would change both."""
    whole = set(overlapping(expected))
    shared = {
        half: {tuple(pair) for pair in json.loads(paths[cut.id][0].with_suffix(".json").read_text())}
        for half, paths in runs.items()
    }
    for other, second in enumerate(cut.outputs):
        for one, first in enumerate(cut.outputs[:other]):
            pair = tuple(sorted((first.position, second.position)))
            same = first.half == second.half and (pair[0] == pair[1] or pair in shared[first.half])
            if same and (one, other) not in whole and expected[one].numel():
                raise MismatchError(
                    f"cut {cut.id}: {names[one]} and {names[other]} (made by the {first.half}) share memory, in the whole model"
                    " they do not, so a change of one in place would change both; return a copy (.clone()) of one"
                )


def _run_halves(
    directory: Path,
    manifest: Manifest,
    input_sets: Sequence[Tensors],
    scratch: Path,
    format_name: str,
    progress: Progress | None,
    *,
    optimize: bool = True,
) -> Runs:
    """Run all heads in one fresh process and all tails in a second; return the result files by half, cut and input
    set."""
    given = []
    for index, inputs in enumerate(input_sets):
        given.append(scratch / f"inputs-{index}.safetensors")
        write_tensors(given[-1], inputs)
    strides = [[list(torch.empty_like(tensor).stride()) for tensor in inputs] for inputs in input_sets]
    sources = {cut.id: given for cut in manifest.cuts}
    runs: Runs = {}
    requests = []
    for half in ("head", "tail"):
        runs[half] = {
            cut.id: [scratch / f"{half}-{number}-{index}.safetensors" for index in range(len(given))]
            for number, cut in enumerate(manifest.cuts)
        }
        jobs = [
            {
                "cut": cut_id,
                "inputs": [str(path) for path in paths],
                "results": [str(path) for path in runs[half][cut_id]],
                **({"strides": strides} if half == "head" else {}),
            }
            for cut_id, paths in sources.items()
        ]
        needs = [need.library for cut in manifest.cuts for need in cut.files[format_name].of(half).needs]
        request = {
            "directory": str(directory),
            "half": half,
            "format": format_name,
            "jobs": jobs,
            "optimize": optimize,
            # They are imported here, since the model calls what they register.
            "libraries": sorted(sys.modules.keys() & set(needs)),
        }
        requests.append(request)
        sources = runs[half]
    # torch is loaded once for all; elsewhere a process that has loaded it is not to be forked.
    for together in [requests] if sys.platform.startswith("linux") else [[request] for request in requests]:
        _run_fresh(together, scratch, progress)
    return runs
