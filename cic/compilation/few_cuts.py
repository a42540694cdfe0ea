"""A table that keeps a few of its cuts: those that lose least anywhere in its box, with a proof of what they lose. Needs scipy.

The loss is how much longer the best kept cut takes than the best of all cuts, where that is most: over all conditions of the
box, and at any round trip, however short. `mincut.table_choice` says which cuts lose least, and `mincut.proof` proves the loss:
with one minimum cut, found without the table, at each corner of the envelope of the kept cuts.

Device-only and server-only are kept if they are in the table. Cuts that differ only in their codecs count once and stay
together, since their halves are the same.
"""

from __future__ import annotations

from math import isinf

from cic.compilation.known_cuts import known_cuts
from cic.compilation.lowering import price_box
from cic.decision.break_points import break_points, line
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut, details_of
from cic.decision.few_cuts import FewCuts
from cic.decision.off_table.limit_rows import limit_rows
from cic.decision.off_table.problem import stored_alternatives, stored_problem
from cic.decision.proof import StoredProof
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_codecs import needed_digests
from cic.decision.stored_graph import StoredGraph
from cic.errors import CompileError
from cic.progress import Progress, Tell, teller
from mincut.errors import MincutError
from mincut.problem import Features
from mincut.proof import prove
from mincut.table_choice import choose


def with_few_cuts(model: SplittingModel, most_cuts: int, *, progress: Tell | None = None) -> SplittingModel:
    """The same splitting model with the best few of its cuts, and the proof of what they lose; itself if it has no more.

    most_cuts: at least 2.

    Raises:
        CompileError: nothing can be proved of what they lose.
    """
    ids = list(dict.fromkeys(cut.id for cut in model.cuts))
    if len(ids) <= most_cuts:
        return model
    teller(progress)(Progress(f"choosing {most_cuts} of {len(ids)} cuts"))
    chosen = choose(
        [Features(*cut.features) for cut in model.cuts],
        [ids.index(cut.id) for cut in model.cuts],
        [place for place, cut_id in enumerate(ids) if cut_id in (DEVICE_ONLY, SERVER_ONLY)],
        most_cuts,
        price_box(model.box),
    )
    kept = {ids[group] for group in chosen.groups}
    return with_loss(_only(model, kept), FewCuts(of=len(ids), at_least=chosen.at_least), progress=progress)


def with_loss(model: SplittingModel, few: FewCuts, *, progress: Tell | None = None) -> SplittingModel:
    """The same splitting model, which keeps a few cuts, with the proof of what they lose at the times of its graph.

    Raises:
        CompileError: nothing can be proved of it.
    """
    tell = teller(progress)
    graph = model.graph()
    try:
        problem = stored_problem(graph)
        placed = known_cuts(model, graph, problem)
        found = prove(
            problem,
            price_box(model.box),
            [each.on_device for each in placed],
            [each.codec for each in placed],
            alternatives=stored_alternatives(graph, problem),
            limits=limit_rows(graph),
            most_loss=float("inf"),
            progress=lambda done, of: tell(Progress("proving what the kept cuts lose", done, of)),
        )
    except MincutError as error:
        raise CompileError(f"what the kept cuts of {model.name} lose cannot be proved: {error}") from error
    if isinf(found.gap):
        raise CompileError(f"the kept cuts of {model.name} may take any number of times as long as the best one; keep more")
    rays = tuple((*prices,) for prices in found.rays)
    proof = StoredProof(complete=False, gap=found.gap, solves=model.proof.solves + len(rays), rays=rays)
    return SplittingModel(model.table.replaced(proof=proof, few=few), model.graph, lambda: model.stored_codecs)


def _only(model: SplittingModel, kept: set[str]) -> SplittingModel:
    """The table with the cuts of these ids alone; its proof is still that of the whole one."""
    whole = model.graph()
    places = [place for place, cut in enumerate(model.cuts) if cut.id in kept]
    graph: StoredGraph = whole.replaced(cuts=tuple(whole.cuts[place] for place in places))
    known = [model.cuts[place] for place in places]
    cuts = tuple(
        Cut(cut.id, cut.features, details_of(lambda: graph, place), cut.codecs, cut.accuracy) for place, cut in enumerate(known)
    )
    rtt_s, ratio = model.default_rtt_s, model.default_downlink_ratio
    points, best = break_points([line(cut.row, rtt_s, ratio, 1.0, 1.0) for cut in cuts], model.box.uplink_bps)
    table = model.table.replaced(cuts=cuts, break_points=tuple(points), best_between=tuple(best))
    stored = model.stored_codecs
    needed = {digest: stored[digest] for digest in sorted(needed_digests(table, graph)) if digest in stored}
    return SplittingModel(table, lambda: graph, lambda: needed)
