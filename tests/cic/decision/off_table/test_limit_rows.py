"""Linear rows say exactly what a head holds at once, as running a head tensor by tensor does; loose limits have none."""

from __future__ import annotations

import random

import numpy as np

from benchmarks.harness.bounded_oracles import crossing_tensors, placements
from benchmarks.harness.hand_made import graph_of
from benchmarks.harness.limited_problems import draw, peak
from benchmarks.harness.plain_problem import PlainProblem
from cic.compilation.limits import rows_for
from cic.compilation.lowering import lower
from cic.decision.stored_limits import StoredLimits
from cic.precision.wire_form import WireForm
from mincut.bound_tree import keeps
from tests.draws import draws


def limits(**sizes: int) -> StoredLimits:
    every = dict.fromkeys(("upload_bytes", "memory_bytes", "weights_bytes"))
    return StoredLimits(**{**every, "weights": (), **sizes})


def test_rows_keep_what_a_head_holds_within_memory_and_forbid_no_more() -> None:
    rng, tight = random.Random(1540), 0
    for _ in range(draws(300)):
        plain, forms, _ = draw(rng, "memory", 6)
        graph = graph_of(plain)
        named = {
            f"t{index}": [WireForm(f"form{place}", size, 0.0, 0.0, 0.0) for place, (size, _, _) in enumerate(each)]
            for index, each in enumerate(forms)
        }
        times = [0.0] * plain.op_count
        problem = lower(graph, times, times, forms=named).problem
        for side in placements(plain):
            chosen = [rng.randrange(len(each)) for each in forms]
            payload = sum(forms[tensor][chosen[tensor]][0] for tensor in crossing_tensors(plain, side))
            held = peak(plain, side, payload)
            codec = np.array(chosen, dtype=np.int64) if problem.codecs is not None else None
            for most, within in ((held, True), (held - 1, False)):
                if most < 0:
                    continue
                rows = rows_for(graph, limits(memory_bytes=most))
                assert rows is not None
                assert keeps(problem, rows(problem), np.array(side), codec) == within
                tight += 1
    assert tight > 500


def test_moments_that_cannot_exceed_memory_have_no_row() -> None:
    chain = PlainProblem([1] * 4, [1] * 4, [0, 0, 0, 3], [0] * 4, [(-1, [0], 50, True), (0, [1], 9, True), (1, [2], 8, True),
                                                                  (2, [3], 7, True)])  # fmt: skip
    graph = graph_of(chain)
    problem = lower(graph, [0.0] * 4, [0.0] * 4).problem
    loose, tight = rows_for(graph, limits(memory_bytes=1000)), rows_for(graph, limits(memory_bytes=60))
    assert loose is not None and tight is not None
    assert loose(problem) == []
    # At the first op the input and its result are held: 59. At the end what crosses and its payload: the input twice.
    names = [row.name for row, _ in tight(problem)]
    assert "memory at op 0" not in names
    assert names[-1] == "memory at the end"
