"""`decide` by throughput is exact: it equals brute force over all closed sets, by look-ups in the box and solved elsewhere."""

from __future__ import annotations

import pickle
import random
import sys
from itertools import pairwise

import numpy as np
import pytest

import cic
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, small_problem
from cic.compilation.stream_cuts import stream_box, with_stream_cuts
from cic.decision.conditions import Box, Conditions
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.decision.throughput import Throughput, ThroughputDecision
from cic.errors import ArtifactError, DecisionError
from tests.cic.decision.brute_force import AMOUNTS, numbers
from tests.cic.hand_made import random_conditions, splitting_model
from tests.oracles.brute_force import closed_sets

BY_RATE = Throughput()


def for_streams(plain: PlainProblem, box: Box | None = None, streams: Box | None = None) -> SplittingModel:
    box = box or Box()
    return with_stream_cuts(splitting_model(plain, box), streams or stream_box(box))


def shortest(plain: PlainProblem, conditions: tuple[float, ...]) -> float:
    uplink, downlink, _, device, server = conditions
    prices = np.array([device * 1e-9, server * 1e-9, 8 / uplink, 8 / downlink])
    return float((closed_sets(plain).features[:, :4] * prices).max(axis=1).min())


def check_shortest(plain: PlainProblem, decision: cic.Decision, conditions: tuple[float, ...]) -> None:
    assert isinstance(decision, ThroughputDecision) and decision.optimal
    assert decision.interval_s == BY_RATE.cost(decision.cut, Conditions(*conditions))
    assert decision.interval_s <= shortest(plain, conditions) * (1 + 1e-9)


def test_a_look_up_equals_brute_force_at_every_bandwidth() -> None:
    rng, box, extra = random.Random(80), Box(), 0
    for _ in range(60):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = loads(dumps(for_streams(plain, box)))
        assert model.table.stream is not None
        extra += len(model.table.stream.extra)
        for _ in range(10):
            uplink, downlink, rtt, device, _ = random_conditions(rng, box)
            conditions = uplink, downlink, rtt, 1.0, 1.0
            decision = model.decide(*conditions[:1], rtt, downlink, objective="throughput")
            assert decision.source == "table"
            check_shortest(plain, decision, conditions)
            # Both machines slower alike are a faster link.
            if box.uplink_bps[0] < uplink * device < box.uplink_bps[1]:
                slowed = uplink, downlink, rtt, device, device
                alike = model.decide(uplink, rtt, downlink, device, device, objective=BY_RATE)
                assert alike.source == "table"
                check_shortest(plain, alike, slowed)
    assert extra > 5, "some of the best cuts for streams are never the fastest"


def test_a_wider_box_holds_the_cuts_for_its_slowdowns() -> None:
    rng, box = random.Random(81), Box(device_slowdown=(0.5, 4), server_slowdown=(1, 8))
    for _ in range(30):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = for_streams(plain, box, box)
        for _ in range(10):
            conditions = random_conditions(rng, box)
            uplink, downlink, rtt, device, server = conditions
            decision = model.decide(uplink, rtt, downlink, device, server, objective="throughput")
            assert decision.source == "table" and decision.outside == ()
            check_shortest(plain, decision, conditions)


def test_elsewhere_it_is_solved_for() -> None:
    rng, box = random.Random(82), Box()
    for index in range(30):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, box) if index % 2 else for_streams(plain, box)
        for _ in range(4):
            conditions = random_conditions(rng, box)
            uplink, downlink, rtt, device, server = conditions
            decision = model.decide(uplink, rtt, downlink, device, server, objective="throughput")
            assert decision.source == "solver"
            check_shortest(plain, decision, conditions)
            assert decision.upload_bytes == decision.cut.upload_bytes and len(decision.crossing) >= 0


def test_other_op_times_are_solved_for() -> None:
    rng = random.Random(83)
    for _ in range(20):
        plain = numbers(small_problem(rng, 7, amounts=AMOUNTS))
        model = for_streams(plain)
        device_ns, server_ns = ([rng.choice([0, 5_000, 10**6]) for _ in range(plain.op_count)] for _ in range(2))
        times = {f"op{op}": (device_ns[op] * 1e-9, server_ns[op] * 1e-9) for op in range(plain.op_count)}
        other = PlainProblem(device_ns, server_ns, plain.download_bytes, plain.pinned, plain.tensors)
        decision = model.decide(3e6, 0.0, 3e6, op_times=times, objective="throughput")
        check_shortest(other, decision, (3e6, 3e6, 0.0, 1.0, 1.0))


def test_without_a_solver_the_best_known_cut_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numbers(small_problem(random.Random(84), 8, amounts=AMOUNTS))
    model = for_streams(plain)
    monkeypatch.setitem(sys.modules, "cic.decision.off_table.solving", None)
    decision = model.decide("5Mbps", server_slowdown=3.0, objective="throughput")
    assert isinstance(decision, ThroughputDecision) and not decision.optimal and decision.source == "table"
    assert decision.interval_s == min(BY_RATE.cost(cut, decision.conditions) for cut in model.cuts)
    assert "server slowdown 3" in decision.outside[0]
    with pytest.raises(DecisionError, match="solver"):
        model.decide("5Mbps", op_times={"op0": (1, 1)}, objective="throughput")


def test_among_some_cuts_the_one_with_most_answers_is_chosen() -> None:
    model = for_streams(network_shaped(random.Random(85), 30))
    ids = [cut.id for cut in model.cuts]
    best = model.decide("20Mbps", objective="throughput")
    for chosen in (ids[:1], ids[-2:], ids, [best.cut_id]):
        decision = model.decide("20Mbps", among=chosen, objective="throughput")
        assert isinstance(decision, ThroughputDecision)
        costs = [BY_RATE.cost(cut, decision.conditions) for cut in model.cuts if cut.id in chosen]
        assert decision.interval_s == min(costs)
        assert decision.optimal == (decision.interval_s == BY_RATE.cost(best.cut, decision.conditions))
    with pytest.raises(DecisionError, match="op_times and among"):
        model.decide("20Mbps", among=ids[:1], op_times={}, objective="throughput")


def test_an_answer_says_how_many_and_why() -> None:
    model = for_streams(network_shaped(random.Random(86), 30))
    rates = []
    for uplink in (1e6, 1e7, 1e8, 1e9):
        decision = model.decide(uplink, objective="throughput")
        assert isinstance(decision, ThroughputDecision)
        assert decision.frames_per_second == pytest.approx(1 / decision.interval_s)
        assert decision.terms[f"{decision.slowest_stage}_s"] == decision.interval_s
        assert decision.cut.label in decision.why and f"{decision.frames_per_second:.3g} answers/s" in decision.why
        others = [cut for cut in model.cuts if cut.id in (DEVICE_ONLY, SERVER_ONLY) and cut.id != decision.cut_id]
        better = min(others, key=lambda cut: BY_RATE.cost(cut, decision.conditions))
        assert f"{better.id} gives {1 / BY_RATE.cost(better, decision.conditions):.3g}" in decision.why
        rates.append(decision.frames_per_second)
        again = pickle.loads(pickle.dumps(decision))  # noqa: S301 - of this test's own making
        assert (again.cut_id, again.why, again.optimal, again.source) == (
            decision.cut_id,
            decision.why,
            decision.optimal,
            decision.source,
        )
    assert all(slower <= faster for slower, faster in pairwise(rates))


def test_of_equally_many_answers_those_with_less_delay_are_taken() -> None:
    # The server takes 9 ms of either, which is all that counts; computing the first op on the device delays answers.
    plain = PlainProblem([8_000_000, 10**9], [0, 9_000_000], [0, 0], [0, 0], [(-1, [0], 100, True), (0, [1], 100, True)])
    decision = for_streams(plain).decide("100Mbps", objective="throughput")
    assert decision.cut_id == SERVER_ONLY


def test_latency_is_decided_as_without_streams() -> None:
    rng = random.Random(87)
    for _ in range(10):
        plain = network_shaped(rng, 30)
        without, with_streams = splitting_model(plain, Box()), for_streams(plain)
        assert b'"stream"' not in dumps(without) and b'"stream"' in dumps(with_streams)
        for _ in range(20):
            uplink, downlink, rtt, device, server = random_conditions(rng, Box())
            plain_cut = without.decide(uplink, rtt, downlink, device, server).cut
            cut = with_streams.decide(uplink, rtt, downlink, device, server).cut
            assert (cut.id, cut.features) == (plain_cut.id, plain_cut.features)
            assert without.decide(uplink).cut.features == with_streams.decide(uplink).cut.features


@pytest.mark.parametrize("bad", ["fast", 3, object()])
def test_an_objective_that_is_none_is_refused(bad: object) -> None:
    model = splitting_model(network_shaped(random.Random(88), 5), Box())
    with pytest.raises(DecisionError, match="the objective is"):
        model.decide("5Mbps", objective=bad)  # type: ignore[arg-type]


def test_a_damaged_proof_for_streams_is_refused() -> None:
    content = dumps(for_streams(network_shaped(random.Random(89), 30)))
    model = loads(content)
    assert model.table.stream is not None
    beyond = model.table.replaced(stream=model.table.stream.replaced(extra=(len(model.cuts),)))
    with pytest.raises(ArtifactError, match=r"stream\.extra"):
        loads(dumps(SplittingModel(beyond, model.graph)))
    with pytest.raises(ArtifactError, match="box of streams"):
        model.table.stream.replaced(box=None)
    assert cic.Throughput() == BY_RATE and hash(BY_RATE) == hash(Throughput()) and repr(BY_RATE) == "Throughput()"
