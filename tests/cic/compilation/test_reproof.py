"""A table found anew for other op times is proved, keeps its ids, and decides as a minimum cut with those times does."""

from __future__ import annotations

import random

import pytest

from cic.codec.registry import stage_of
from cic.compilation.reproof import reproved
from cic.compilation.verification import verify
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.decision.stored_graph import StoredGraph

UPLINKS = [10.0**exponent for exponent in (5, 5.5, 6, 6.5, 7, 7.5, 8, 9)]


def with_times(graph: StoredGraph, seed: int) -> StoredGraph:
    draw = random.Random(seed)
    ops = [
        op.replaced(
            device_ns=round(op.device_ns * 10 ** draw.uniform(-1, 1)), server_ns=round(op.server_ns * 10 ** draw.uniform(-1, 1))
        )
        for op in graph.ops
    ]
    return graph.replaced(ops=tuple(ops))


def test_the_same_times_give_the_same_table(compiled: SplittingModel) -> None:
    again = reproved(compiled, compiled.graph())
    assert [(cut.label, cut.features, cut.accuracy) for cut in again.cuts] == [
        (cut.label, cut.features, cut.accuracy) for cut in compiled.cuts
    ]
    assert again.break_points == compiled.break_points
    assert again.proved


@pytest.mark.parametrize("seed", range(3))
def test_other_times_give_another_table_that_is_proved(compiled: SplittingModel, seed: int) -> None:
    graph = with_times(compiled.graph(), seed)
    found = loads(dumps(reproved(compiled, graph)))
    assert verify(found).gap <= 1e-6 and found.proved
    # A known cut keeps its id, and no id stands for two device sides.
    assert {cut.id: cut.device_ops for cut in found.cuts}.items() >= {cut.id: cut.device_ops for cut in compiled.cuts}.items()
    assert len({cut.device_ops for cut in found.cuts}) == len({cut.id for cut in found.cuts})
    times = {op.name: (op.device_ns * 1e-9, op.server_ns * 1e-9) for op in graph.ops}
    for uplink in UPLINKS:
        assert found.decide(uplink).latency_s == pytest.approx(compiled.decide(uplink, op_times=times).latency_s, rel=1e-6)


def test_a_new_cut_has_the_id_under_which_it_was_emitted_and_no_other_one(compiled: SplittingModel) -> None:
    graph = with_times(compiled.graph(), 5)
    known = {cut.id for cut in compiled.cuts}
    new = [cut for cut in reproved(compiled, graph).cuts if cut.id not in known]
    assert new
    again = reproved(compiled, graph, emitted={new[0].device_ops: "cut-77", ("another",): new[0].id})
    ids = {cut.device_ops: cut.id for cut in again.cuts}
    assert ids[new[0].device_ops] == "cut-77" and new[0].id not in ids.values()


def test_a_new_cut_loses_no_more_than_a_known_one(compiled: SplittingModel) -> None:
    def lost(cut) -> set[tuple[str, str]]:
        return {(tensor, stage_of(name)) for tensor, name in cut.codec_of.items() if stage_of(name) != "raw"}

    known = [lost(cut) for cut in compiled.cuts]
    found = reproved(compiled, with_times(compiled.graph(), 5))
    assert len(found.cuts) > len(compiled.cuts)
    assert all(any(lost(cut) <= other for other in known) for cut in found.cuts)
