"""A splitting model for the same graph at other op times: its table is found anew, and proved as compiling proves it.

Nothing is traced, measured or run. The cuts that are known keep their ids, whether they can still be optimal or not, since
their halves may have been emitted; cuts that can be optimal now come in besides, under ids of their own. Where an accuracy was
asked for, a new cut loses no more than some known one, as it was never run on calibration inputs
(`cic.decision.off_table.problem.shown_forbidden`). A table of a few cuts keeps these and no others, and what
they lose is proved anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numba  # noqa: F401 - the solver needs it, and its first use would say so late

from cic.compilation.assembly import stored_proof
from cic.compilation.known_cuts import with_cuts
from cic.compilation.lowering import bounds
from cic.compilation.stream_cuts import with_stream_cuts
from cic.decision.off_table.limit_rows import limit_rows
from cic.decision.off_table.problem import shown_forbidden, stored_problem
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_graph import StoredGraph
from cic.errors import CompileError
from cic.precision.table_search import find_table
from cic.progress import Tell, teller
from compress.errors import CompressError
from mincut.codecs import without
from mincut.errors import MincutError
from mincut.lower_envelope import Envelope
from mincut.oracle import Limits
from mincut.problem import Problem


def reproved(
    model: SplittingModel,
    graph: StoredGraph,
    *,
    emitted: Mapping[tuple[str, ...], str] = MappingProxyType({}),
    most_solves: int = 20_000,
    progress: Tell | None = None,
) -> SplittingModel:
    """The splitting model of `graph`: the one of `model` with other times, of ops or of forms.

    emitted: ids of cuts in a bundle by their device ops, which new cuts get if they are those, and do not get otherwise.

    Raises:
        CompileError: the times make no problem that can be solved.
        ArtifactError: the graph does not fit the table of `model`.
    """
    tell = teller(progress)
    try:
        problem = stored_problem(graph)
        if model.table.few is not None:
            return _few_again(model, graph, problem, tell)
        forbidden = [sorted(pairs) for pairs in shown_forbidden(model.table, graph, problem)]
        found = _envelope(model, problem, forbidden, limit_rows(graph), most_solves, tell)
    except (MincutError, CompressError) as error:
        raise CompileError(f"the corrected times of {model.name} give no table: {error}") from error
    sides = zip(found.placements, found.codecs, strict=True)
    renewed = with_cuts(model, graph, problem, sides, proof=stored_proof(found), forbidden=forbidden, emitted=emitted)
    return renewed if model.table.stream is None else with_stream_cuts(renewed, model.table.stream.box, emitted=emitted)


def _few_again(model: SplittingModel, graph: StoredGraph, problem: Problem, tell: Tell) -> SplittingModel:
    """The same few cuts at other times, compared with all that compiling allowed. Of what others would lose nobody knows."""
    from cic.compilation.few_cuts import with_loss  # scipy takes a while to load

    assert model.table.few is not None
    same = with_cuts(model, graph, problem, (), proof=model.proof, forbidden=graph.alternatives)
    return with_loss(same, model.table.few.replaced(at_least=None), progress=tell)


def _envelope(
    model: SplittingModel,
    problem: Problem,
    forbidden: Sequence[Sequence[tuple[int, int]]],
    limits: Limits | None,
    most_solves: int,
    tell: Tell,
) -> Envelope:
    """Every placement that can be optimal in the box of the model, with its proof."""
    within = bounds(model.box, model.information.uncertainty)
    parts = []
    if problem.codecs is not None and any(forbidden):
        parts = [replace(problem, codecs=without(problem.codecs, pairs)) for pairs in forbidden]
    found, _ = find_table(problem, parts, within, limits=limits, most_solves=most_solves, tell=tell)
    return found
