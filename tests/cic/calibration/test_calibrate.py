"""What cuts were measured to take is what the corrected table adds up to, of ops and of codecs."""

from __future__ import annotations

import random

import pytest

from cic.calibration.calibrate import Ran, corrected_graph, predicted_graph
from cic.calibration.measured_cuts import CutTimes
from cic.calibration.tails import ServerTime
from cic.compilation.reproof import reproved
from cic.decision.splitting_model import SplittingModel


def ran(model: SplittingModel, seed: int) -> Ran:
    """Every cut, on a machine whose ops and codecs take other times than predicted, each by a factor of its own."""
    draw, graph = random.Random(seed), model.graph()
    device, server = ([draw.uniform(0.5, 3) for _ in graph.ops] for _ in range(2))
    times = []
    for cut, ops in zip(model.cuts, graph.cuts, strict=True):
        head_s = sum(graph.ops[op].device_ns * device[op] for op in ops) * 1e-9
        tail_s = sum(op.server_ns * server[place] for place, op in enumerate(graph.ops) if place not in set(ops)) * 1e-9
        encode_s = {name: 1e-3 * len(name) for name in cut.crossing}
        times.append(CutTimes(cut, head_s, encode_s, ServerTime(2e-3 * len(cut.crossing), tail_s)))
    return Ran(times, 5, "board", "onnxruntime", "rack", "torchscript")


@pytest.mark.parametrize("seed", range(3))
def test_a_calibrated_table_says_what_was_measured(compiled: SplittingModel, seed: int) -> None:
    found = ran(compiled, seed)
    graph = corrected_graph(compiled, found)
    after = {cut.label: cut for cut in reproved(compiled, graph).cuts}
    longest = max(each.device_s for each in found.cuts), max(each.server_s for each in found.cuts)
    for each in found.cuts:
        cut = after[each.cut.label]
        assert cut.device_ns * 1e-9 == pytest.approx(each.device_s, rel=0.05, abs=0.02 * longest[0])
        assert cut.server_ns * 1e-9 == pytest.approx(each.server_s, rel=0.05, abs=0.02 * longest[1])
    assert predicted_graph(graph) == compiled.graph()
    assert graph.calibration is not None and len(graph.calibration.cuts) == len(compiled.cuts)


@pytest.mark.parametrize("seed", range(3))
def test_a_measurement_that_agrees_within_its_error_changes_no_op(compiled: SplittingModel, seed: int) -> None:
    draw, graph = random.Random(seed), compiled.graph()
    times = []
    for cut, ops in zip(compiled.cuts, graph.cuts, strict=True):
        head_s = sum(graph.ops[op].device_ns for op in ops) * 1e-9
        tail_s = sum(op.server_ns for place, op in enumerate(graph.ops) if place not in set(ops)) * 1e-9
        off = [draw.uniform(0.8, 1.2) for _ in range(2)]
        server = ServerTime(0.0, tail_s * off[1])
        times.append(CutTimes(cut, head_s * off[0], dict.fromkeys(cut.crossing, 0.0), server, head_s * 0.1, tail_s * 0.1))
    after = corrected_graph(compiled, Ran(times, 5, "board", "onnxruntime", "rack", "torchscript"))
    for old, new in zip(graph.ops, after.ops, strict=True):
        assert new.device_ns == pytest.approx(old.device_ns, rel=0.01, abs=10)
        assert new.server_ns == pytest.approx(old.server_ns, rel=0.01, abs=10)
