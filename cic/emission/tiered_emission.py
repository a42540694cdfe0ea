"""`emit_tiers`: the part of each machine in a row, for every cut of a tiered model, verified against the whole model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import nn

from cic.decision.arguments import check_calls, check_path, check_text, check_texts
from cic.decision.tiered_cut import TieredCut
from cic.decision.tiered_model import TieredModel
from cic.emission.emission import Call, check_tolerance, left_as_it_was, users_own
from cic.errors import ArgumentError, ArtifactError, EmitError
from cic.graph import Graph
from cic.inputs.example_inputs import make_inputs
from cic.progress import Progress, Tell, teller
from cic.trace.any_model import is_traced, read_program_file, trace_model
from cic.trace.traced import Traced
from codegen.bundle.directory import Storage
from codegen.calls.call import flatten_call
from codegen.chain import Chain, ChainPlan, LoadedChain, load_chain, write_chain
from codegen.checked_json import shown
from codegen.errors import codegen_error_as


def emit_tiers(
    model: Any,
    tiered_model: TieredModel,
    directory: str | Path,
    *,
    verify_on: Sequence[Call] = (),
    cuts: Sequence[str] | None = None,
    formats: Sequence[str] | None = None,
    storage: Storage = "auto",
    tolerance: float | None = None,
    progress: Tell | None = None,
) -> Chain:
    """Write the parts of every cut of a tiered model to a new directory (`codegen.chain` says what lies there).

    Args:
        model: the model that was compiled, as `cic.emit` takes it; another training of it is fine.
        verify_on, cuts, formats, storage, tolerance, progress: as for `cic.emit`.

    Returns:
        Which bundles hold the parts of each cut.

    Raises:
        EmitError: the model is not the compiled one, a cut is unknown, a part differs from the whole, or the directory exists
            or cannot be written. Then nothing is left behind.
        TraceError: the model cannot be read or traced.
    """
    if not isinstance(tiered_model, TieredModel):
        raise ArgumentError(f"the tiered model is {shown(tiered_model)}; give what cic.compile_tiers or cic.load_tiers returns")
    check_path(directory, "the directory to emit to")
    check_calls(verify_on, "verify_on")
    check_texts(cuts, "the cuts to emit")
    check_texts(formats, "the formats")
    check_text(storage, "storage")
    check_tolerance(tolerance)
    tell = teller(progress)
    given = read_program_file(model)
    traced = _same_model(given, tiered_model, verify_on)
    plans = [_plan(traced.graph, cut) for cut in _wanted(tiered_model, cuts)]
    with codegen_error_as(EmitError, tiered_model.name):
        further = [flatten_call(traced.source.input_structure, *call) for call in verify_on[not is_traced(given) :]]
        with left_as_it_was(given) if isinstance(given, nn.Module) else nullcontext() as before:
            return write_chain(
                directory,
                traced.source,
                plans,
                formats=formats,
                storage=storage,
                whole=None if before is None else users_own(given, traced, before),
                further_inputs=further,
                tolerance=tolerance,
                progress=lambda text: tell(Progress(text)),
            )


def load_tiered_cut(directory: str | Path, cut_id: str, *, format_name: str | None = None) -> LoadedChain:
    """All parts of an emitted cut, to be run in this process: what it returns is called as the model is.

    Raises:
        ArtifactError: the directory holds no such cut, or a file is damaged.
    """
    check_path(directory, "the directory of the emitted parts")
    check_text(cut_id, "the id of a cut")
    with codegen_error_as(ArtifactError):
        return load_chain(directory, cut_id, format_name=format_name)


def _wanted(model: TieredModel, cuts: Sequence[str] | None) -> list[TieredCut]:
    known = {cut.id: cut for cut in model.cuts}
    wanted = list(known if cuts is None else dict.fromkeys(cuts))
    if not wanted or any(cut_id not in known for cut_id in wanted):
        raise EmitError(f"cuts to emit are {wanted}, the tiered model has {', '.join(known)}")
    return [known[cut_id] for cut_id in wanted]


def _plan(graph: Graph, cut: TieredCut) -> ChainPlan:
    """What lies before each link that is used; of a cut that uses none, before the first: all of it."""
    near = [
        [op for op, digit in zip(graph.ops, cut.tier_of, strict=True) if int(digit) <= link]
        for link in range(max(cut.links, 1))
    ]
    return ChainPlan(
        cut.id,
        tuple(frozenset(node for op in ops for node in op.members) for ops in near),
        tuple(tuple(op.name for op in ops) for ops in near),
    )


def _same_model(given: Any, model: TieredModel, calls: Sequence[Call]) -> Traced:
    """Trace what was given, on the first call or on inputs like the compiled ones; EmitError unless it is what was compiled."""
    args, kwargs = ((), {}) if is_traced(given) else calls[0] if calls else make_inputs(model.inputs)
    traced = trace_model(given, args, kwargs, name=model.name)
    if traced.graph.digest != model.graph_digest:
        raise EmitError(
            f"{traced.source.called} is not the one that was compiled as {model.name}: its graph has digest"
            f" {traced.graph.digest[:12]}, compiled was {model.graph_digest[:12]}; compile it again"
        )
    return traced
