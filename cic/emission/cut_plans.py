"""Which nodes each wanted cut puts on the device: from the names in a splitting model to those of a traced graph."""

from __future__ import annotations

from collections.abc import Sequence

from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_codecs import needed_digest
from cic.errors import EmitError
from cic.graph import Graph
from codegen.bundle.directory import CutPlan


def cut_plans(graph: Graph, splitting_model: SplittingModel, cuts: Sequence[str] | None) -> list[CutPlan]:
    """The cuts to emit, all of them if `cuts` is None.

    Raises:
        EmitError: a cut is unknown, or none is wanted.
    """
    # Cuts that differ only in their codecs have the same halves.
    wanted = list(splitting_model.cut_by_id if cuts is None else dict.fromkeys(cuts))
    unknown = [cut_id for cut_id in wanted if cut_id not in splitting_model.cut_by_id]
    if unknown or not wanted:
        raise EmitError(f"cuts to emit are {wanted}, the splitting model has {', '.join(splitting_model.cut_by_id)}")
    members = {op.name: op.members for op in graph.ops}
    plans = []
    for cut_id in wanted:
        cut = splitting_model.cut_by_id[cut_id]
        nodes = frozenset(node for name in cut.device_ops for node in members[name])
        plans.append(CutPlan(cut_id, nodes, cut.device_ops, stored_for(splitting_model, cut)))
    return plans


def stored_for(splitting_model: SplittingModel, cut: Cut) -> tuple[str, ...]:
    """Digests of the stored contents that a decision for this cut can need: on the table, or off it under another form."""
    stored = splitting_model.stored_codecs
    if not stored:
        return ()
    forms = [name for tensor in splitting_model.graph().tensors if tensor.name in cut.crossing for name in tensor.codecs]
    used = [name for other in splitting_model.cuts if other.id == cut.id for name in other.codecs]
    return tuple(sorted(stored.keys() & {needed_digest(name) for name in (*forms, *used)}))
