"""The cuts that streams need: with them a table holds the shortest interval between two answers, too.

They are found once the table for latency is there, from the graph that stands beside it and on all of its ops: the rules of
`compress` keep the fastest cut, and not the one of the shortest interval. Where an accuracy was asked for, a new cut loses no
more than some cut of the table, as it was never run on calibration inputs (`cic.decision.off_table.problem.shown_forbidden`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cic.compilation.known_cuts import known_cuts, with_cuts
from cic.compilation.lowering import price_box
from cic.decision.conditions import Box
from cic.decision.off_table.problem import shown_alternatives, stored_problem
from cic.decision.splitting_model import SplittingModel
from cic.decision.stream_proof import StreamProof
from cic.errors import CompileError
from cic.progress import Progress, Tell, teller
from mincut.errors import MincutError, TooManyError
from mincut.oracle import Candidate
from mincut.stage_front import StageBox, stage_front


def stream_box(box: Box) -> Box:
    """Where a table is to hold cuts for streams, if nothing else is said: the links of `box`, machines as fast as profiled.

    A range of slowdowns takes many cuts more: each place of a network where it is about as long on the device as on the server.
    """
    return Box(box.uplink_bps, box.downlink_ratio, box.rtt_s, (1, 1), (1, 1))


def with_stream_cuts(
    model: SplittingModel,
    box: Box,
    *,
    emitted: Mapping[tuple[str, ...], str] = MappingProxyType({}),
    progress: Tell | None = None,
) -> SplittingModel:
    """The same splitting model with all cuts of the shortest interval anywhere in a box, and the word that they are there.

    emitted: as in `cic.compilation.known_cuts.with_cuts`.

    Raises:
        CompileError: too many cuts would have to be looked at, or the model has limits.
    """
    tell = teller(progress)
    graph = model.graph()
    if graph.limits is not None:
        raise CompileError(
            f"{model.name} is compiled with throughput and with limits; cuts for streams are not searched within limits, so "
            "leave one of them out"
        )
    problem = stored_problem(graph)
    known = known_cuts(model, graph, problem)
    try:
        found = stage_front(
            problem,
            StageBox.of(price_box(box)),
            alternatives=shown_alternatives(model.table, graph, problem),
            known=[Candidate(each.on_device, each.codec, problem.features(each.on_device, each.codec)) for each in known],
            progress=lambda done, of: tell(Progress("finding every cut for streams", done, of)),
        )
    except TooManyError as error:
        raise CompileError(
            f"the cuts of {model.name} for streams cannot be found: {error}; give narrower slowdowns in throughput=cic.Box(…), "
            "or fewer codecs"
        ) from error
    except MincutError as error:
        raise CompileError(f"the cuts of {model.name} for streams cannot be found: {error}") from error
    grown = with_cuts(
        model,
        graph,
        problem,
        zip(found.placements, found.codecs, strict=True),
        proof=model.proof,
        forbidden=graph.alternatives,
        emitted=emitted,
    )
    before = {(cut.id, cut.codecs) for cut in model.cuts}
    extra = tuple(place for place, cut in enumerate(grown.cuts) if (cut.id, cut.codecs) not in before)
    table = grown.table.replaced(stream=StreamProof(box=box, extra=extra))
    return SplittingModel(table, grown.graph, lambda: grown.stored_codecs)
