"""`emit`: both halves of every cut on disk, verified against the whole model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cic.decision.arguments import check_calls, check_flag, check_model, check_number, check_path, check_text, check_texts
from cic.decision.splitting_model import SplittingModel
from cic.emission.cut_plans import cut_plans
from cic.emission.matching_weights import other_weights
from cic.errors import EmitError, TraceError
from cic.inputs.example_inputs import make_inputs
from cic.inputs.former_names import formerly, renamed
from cic.precision.picture_input import picture_input
from cic.progress import Progress, Tell, counted, teller
from cic.trace.any_model import is_onnx, is_traced, read_program_file, trace_model, with_greatest_batch, with_open_batch
from cic.trace.fx.flat_model import evaluating
from cic.trace.pixel_model import traces, with_pixels
from cic.trace.preservation.preservation import Preserved, preserved
from cic.trace.traced import Traced
from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import Storage
from codegen.calls.call import flatten_call
from codegen.calls.structure import describe, rebuild
from codegen.checked_json import shown
from codegen.errors import codegen_error_as
from codegen.manifest import Manifest

if TYPE_CHECKING:
    import onnx


Call = tuple[Sequence[Any], Mapping[str, Any]]
_STEPS_PER_CUT = 3
"""Each cut is written, and its head and its tail are run: `codegen.bundle.bundle.write_bundle` tells of each."""


@renamed(weights="storage")
@formerly(args="verify_on=[(args, kwargs)]", kwargs="verify_on=[(args, kwargs)]")
def emit(
    model: nn.Module | torch.export.ExportedProgram | Traced | onnx.ModelProto | str | Path,
    splitting_model: SplittingModel,
    directory: str | Path,
    *,
    verify_on: Sequence[Call] = (),
    cuts: Sequence[str] | None = None,
    formats: Sequence[str] | None = None,
    storage: Storage = "auto",
    tolerance: float | None = None,
    replace: bool = False,
    greatest_batch: int = 64,
    progress: Tell | None = None,
) -> Manifest:
    """Write head and tail of every cut of a splitting model, verified against the whole model in fresh processes.

    A directory that holds this model with these weights keeps the cuts and formats that are not emitted anew.

    Args:
        model: the model that was compiled; the path of an ONNX or .pt2 file or an `onnx.ModelProto` will do, too. Another
            training of it is fine, and the manifest says which, unless the table has codecs, which were measured with the
            weights it was compiled with.
        verify_on: calls, as pairs (args, kwargs), that every cut must answer as the whole does: real inputs, say. The model is
            traced on the first of them if it is not traced already. Default: inputs drawn like the compiled examples.
        cuts: ids to emit; default: all.
        formats: file formats, see `codegen.formats.emitter`; default: TorchScript, and for an ONNX file ONNX, its only one.
        storage: "shared" stores each weight once however many cuts there are, "inline" makes every half one plain file that
            its runtime opens without CIC (as `export_half` does later), "auto" shares if that saves 1 MiB.
        tolerance: largest relative error of any output; default by dtype, 1e-4 for float32.
        replace: what was emitted to `directory` before goes, of whatever model it is. What is not part of an emitted model is
            never replaced.
        greatest_batch: that the halves of a model with an open batch take; what a peer sends is never larger than for it.
        progress: told of each finished step, three a cut and format; see `cic.progress`, print will do.

    Returns:
        The manifest of all that is in the directory then.

    Raises:
        EmitError: the model is not the compiled one, a cut is unknown, a half differs from the whole, the directory holds
            something else, or cannot be written. Then it is as it was.
        TraceError: the model cannot be read or traced.
    """
    check_model(splitting_model)
    check_path(directory, "the directory to emit to")
    check_calls(verify_on, "verify_on")
    check_texts(cuts, "the cuts to emit")
    check_texts(formats, "the formats")
    check_text(storage, "storage")
    check_flag(replace, "replace")
    check_tolerance(tolerance)
    check_number(greatest_batch, "the greatest batch", 2, 2**20, whole=True)
    tell = teller(progress)
    given = read_program_file(model)
    if not is_traced(given):
        tell(Progress("tracing"))
    traced = _same_model(given, splitting_model, verify_on, greatest_batch)
    source = traced.source
    plans = cut_plans(traced.graph, splitting_model, cuts)
    steps = _STEPS_PER_CUT * len(plans) * len(formats or ("its usual one",))
    with codegen_error_as(EmitError, splitting_model.name):
        further_inputs = [flatten_call(source.input_structure, *call) for call in verify_on[not is_traced(given) :]]
        if (inputs := traced.pixel_inputs) is not None:
            further_inputs = [inputs.pixels(tensors) for tensors in further_inputs]
        with left_as_it_was(given) if isinstance(given, nn.Module) else nullcontext() as before:
            return write_bundle(
                directory,
                source,
                plans,
                formats=formats,
                storage=storage,
                whole=None if before is None else users_own(given, traced, before),
                further_inputs=further_inputs,
                tolerance=tolerance,
                progress=counted(tell, steps),
                replace=replace,
                codecs=splitting_model.stored_codecs,
                name=splitting_model.name,
            )


def check_tolerance(tolerance: float | None) -> None:
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance < float("inf"):
        raise EmitError(f"the tolerance is {shown(tolerance)}; give the greatest relative error allowed, a number such as 1e-3")


@contextmanager
def left_as_it_was(model: nn.Module) -> Iterator[Preserved]:
    """Run a model in eval mode, and undo whatever it keeps of the calls."""
    with evaluating(model), preserved(model) as before:
        yield before


def users_own(model: nn.Module, traced: Traced, before: Preserved) -> Callable[..., Sequence[torch.Tensor]]:
    """The user's own model, not what was traced of it, as a function of flat tensors: what the halves are compared with.

    Its writes are watched here alone: torch makes a constant of what TorchScript records while a dispatch mode is active.
    """

    structure, inputs = traced.source.input_structure, traced.pixel_inputs

    def whole(*tensors: torch.Tensor) -> Sequence[torch.Tensor]:
        call = rebuild(structure, tensors if inputs is None else inputs.values(tensors))
        with before.writes_seen():
            return describe(copy_context().run(model, *call["args"], **call["kwargs"]))[1]

    return whole


def _same_model(given: Any, splitting_model: SplittingModel, calls: Sequence[Call], greatest_batch: int) -> Traced:
    """Trace what was given; EmitError unless it is what was compiled."""
    expected = splitting_model.information.graph_digest
    for traced in _traces(given, splitting_model, calls):
        if traced.graph.digest == expected:
            break
    else:
        raise EmitError(
            f"{traced.source.called} is not the one that was compiled as {splitting_model.name}: its graph has digest "
            f"{traced.graph.digest[:12]}, compiled was {expected[:12]} with torch {splitting_model.information.torch} "
            f"(here {torch.__version__}); compile it again"
        )
    if refusal := other_weights(splitting_model, traced.weights_digest):
        raise EmitError(refusal)
    return _with_batch(given, traced, splitting_model, greatest_batch)


def _with_batch(given: Any, traced: Traced, splitting_model: SplittingModel, greatest: int) -> Traced:
    """The model with its batch open where it was compiled so: it is traced at a second batch."""
    if splitting_model.table.batch is None:
        return traced
    if traced.open_batch is not None:
        return with_greatest_batch(traced, greatest)
    if is_traced(given):
        raise EmitError(
            f"{splitting_model.name} was compiled with an open batch; trace it with dynamic={{…}}, or give the model"
        )
    axes = tuple(next(iter(tensor.open_axes), None) for tensor in splitting_model.graph().inputs.tensors)
    opened = with_open_batch(traced, axes, lambda args, kwargs: next(_traces(given, splitting_model, [(args, kwargs)])))
    return with_greatest_batch(opened, greatest)


def _traces(given: Any, splitting_model: SplittingModel, calls: Sequence[Call]) -> Iterator[Traced]:
    """What may be the compiled model, made of what was given; where its pictures were declared, it takes pixels."""
    name = splitting_model.name
    drawn = not calls and not is_traced(given)
    args, kwargs = make_inputs(splitting_model.graph().inputs) if drawn else calls[0] if calls else ((), {})
    codecs = splitting_model.information.codecs
    try:
        if codecs is None or codecs.input is None:
            yield trace_model(given, args, kwargs, name=name)
            return
        normalisation = picture_input(codecs.input).normalisation
        for bare in traces(given, args, kwargs, normalisation, name=name):
            yield with_pixels(bare, normalisation)
    except TraceError as error:
        if not drawn or is_onnx(given):
            raise
        raise EmitError(
            f"{name} cannot be traced on inputs that emit draws like those it was compiled with: {error}. Where"
            " inputs mean something, as sorted offsets do, pass some that the model accepts: verify_on=[(args, kwargs)]"
        ) from error
