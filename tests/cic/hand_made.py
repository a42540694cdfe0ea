"""Splitting models made from random graphs: lower → compress → envelope → assemble, as the compiler does."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import cycle

from benchmarks.harness.bare_tables import NO_CALL, provenance
from benchmarks.harness.hand_made import graph_of, random_conditions  # noqa: F401 - tests take both from here, too
from benchmarks.harness.plain_problem import PlainProblem
from cic.compilation.assembly import assemble
from cic.compilation.lowering import Lowered, bounds, lower
from cic.decision.conditions import Box, Conditions
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.precision.target_search import within_target


def lowered(plain: PlainProblem) -> Lowered:
    sides = {1: "device", 2: "server"}
    return lower(
        graph_of(plain),
        [time * 1e-9 for time in plain.device_ns],
        [time * 1e-9 for time in plain.server_ns],
        pins={f"op{op}": sides[pin] for op, pin in enumerate(plain.pinned) if pin},
    )


def splitting_model(plain: PlainProblem, box: Box, rtt_s: float = 0.0, downlink_ratio: float = 1.0) -> SplittingModel:
    low = lowered(plain)
    chosen = within_target(low.problem, low.forms, bounds(box, 0.0), None, most_solves=20_000, tell=lambda _: None)
    uplink_bps = box.uplink_bps[0]
    return assemble(
        low,
        chosen,
        box,
        Conditions(uplink_bps, uplink_bps * downlink_ratio, rtt_s),
        NO_CALL,
        provenance(len(low.graph.ops), chosen.solved_ops),
    )


def changed(model: SplittingModel, **changes: object) -> SplittingModel:
    """The same model with some fields of its table changed."""
    return SplittingModel(model.table.replaced(**changes), model.graph, lambda: model.stored_codecs)


def with_stored(model: SplittingModel, contents: Sequence[bytes]) -> SplittingModel:
    """The same model with these contents stored; cut after cut sends its tensors under a codec made from one of them."""
    stored, cuts = {sha256(content).hexdigest(): content for content in contents}, []
    for digest, cut in zip(cycle(stored), model.cuts):
        codecs = [f"transform-0.5@{digest}"] * len(cut.crossing)
        cuts.append(Cut(cut.id, cut.features, lambda cut=cut: (cut.device_ops, cut.crossing), codecs))
    return SplittingModel(model.table.replaced(cuts=tuple(cuts)), model.graph, lambda: stored)


def unfinished(model: SplittingModel) -> SplittingModel:
    """The same model, but for a proof that says nothing."""
    return changed(model, proof=model.proof.replaced(complete=False))
