"""`decide` gives the optimum for any conditions: in the box from the table, outside it or with other op times by solving."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, small_problem
from cic.decision.conditions import Box, Conditions
from cic.decision.splitting_model import SplittingModel, just_above
from cic.errors import CicError, CompileError, DecisionError, UnitError
from tests.cic.hand_made import lowered, random_conditions, splitting_model, unfinished
from tests.oracles.brute_force import closed_sets

AMOUNTS = [0, 1, 100, 12_345, 10**6, 10**8]


def lowest_latency(plain: PlainProblem, conditions: tuple[float, ...]) -> float:
    """Seconds, by trying every closed set."""
    uplink, downlink, rtt, device, server = conditions
    prices = np.array([device * 1e-9, server * 1e-9, 8 / uplink, 8 / downlink, rtt])
    return float((closed_sets(plain).features @ prices).min())


def numbers(plain: PlainProblem) -> PlainProblem:
    """The same without pins, which may leave nothing allowed."""
    return PlainProblem(plain.device_ns, plain.server_ns, plain.download_bytes, [0] * plain.op_count, plain.tensors)


def test_look_ups_equal_brute_force_everywhere_in_the_box() -> None:
    rng, box = random.Random(30), Box()
    for _ in range(120):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, box)
        for _ in range(15):
            conditions = random_conditions(rng, box)
            uplink, downlink, rtt, device, server = conditions
            decision = model.decide(uplink, rtt, downlink, device, server)
            assert decision.source == "table"
            assert decision.optimal
            assert decision.latency_s <= lowest_latency(plain, conditions) * (1 + 1e-7) + 1e-15


def test_the_bandwidth_alone_gives_the_same_as_all_defaults_spelt_out() -> None:
    rng, box = random.Random(31), Box()
    for _ in range(60):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        ratio, rtt = rng.choice([1.0, 3.0, 10.0]), rng.choice([0.0, 0.02])
        model = splitting_model(plain, box, rtt, ratio)
        for _ in range(15):
            uplink = random_conditions(rng, box)[0]
            short, long = model.decide(uplink), model.decide(uplink, rtt, uplink * ratio, 1.0, 1.0)
            assert short.latency_s == pytest.approx(long.latency_s, rel=1e-9, abs=1e-15)
            assert short.latency_s == pytest.approx(lowest_latency(plain, (uplink, uplink * ratio, rtt, 1.0, 1.0)), rel=1e-7)
            assert model.decide(f"{uplink!r}bps").cut is short.cut


def test_outside_the_box_a_minimum_cut_is_computed() -> None:
    rng = random.Random(32)
    narrow = Box(uplink=("1Mbps", "2Mbps"), downlink_ratio=(1, 1), rtt=(0, 0), device_slowdown=(1, 1), server_slowdown=(1, 1))
    for _ in range(80):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, narrow)
        conditions = random_conditions(rng, Box())
        uplink, downlink, rtt, device, server = conditions
        decision = model.decide(uplink, rtt, downlink, device, server)
        assert decision.source == "solver"
        assert decision.optimal
        assert decision.latency_s == pytest.approx(lowest_latency(plain, conditions), rel=1e-6, abs=1e-12)


def test_other_op_times_are_solved_for() -> None:
    rng = random.Random(33)
    for _ in range(80):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, Box())
        changed = rng.sample(range(plain.op_count), rng.randint(1, plain.op_count))
        times = {op: (rng.choice(AMOUNTS), rng.choice(AMOUNTS)) for op in changed}
        decision = model.decide(1e6, op_times={f"op{op}": (pair[0] * 1e-9, pair[1] * 1e-9) for op, pair in times.items()})
        other = PlainProblem(
            [times[op][0] if op in times else time for op, time in enumerate(plain.device_ns)],
            [times[op][1] if op in times else time for op, time in enumerate(plain.server_ns)],
            plain.download_bytes,
            plain.pinned,
            plain.tensors,
        )
        assert decision.source == "solver"
        assert decision.latency_s == pytest.approx(lowest_latency(other, (1e6, 1e6, 0.0, 1.0, 1.0)), rel=1e-6, abs=1e-12)


def test_extreme_times_and_conditions_are_solved_exactly() -> None:
    """Op times from nothing to a day, slowdowns from 10^-9 to 10^9, links from a bit in a month to beyond any port."""
    rng, extreme = random.Random(35), [0, 1, 12_345, 10**9, 99_999 * 10**9]
    for _ in range(80):
        plain = numbers(small_problem(rng, 8, amounts=AMOUNTS))
        model = splitting_model(plain, Box())
        times = {op: (rng.choice(extreme), rng.choice(extreme)) for op in range(plain.op_count) if rng.random() < 0.7}
        other = PlainProblem(
            [times[op][0] if op in times else time for op, time in enumerate(plain.device_ns)],
            [times[op][1] if op in times else time for op, time in enumerate(plain.server_ns)],
            plain.download_bytes,
            plain.pinned,
            plain.tensors,
        )
        uplink, downlink = 10 ** rng.uniform(-8, 14), 10 ** rng.uniform(-8, 14)
        conditions = uplink, downlink, rng.choice([0.0, 1e-9, 1e6]), 10 ** rng.uniform(-9, 9), 10 ** rng.uniform(-9, 9)
        decision = model.decide(
            uplink,
            conditions[2],
            downlink,
            *conditions[3:],
            {f"op{op}": (pair[0] * 1e-9, pair[1] * 1e-9) for op, pair in times.items()},
        )
        assert decision.optimal and decision.source == "solver"
        assert decision.latency_s <= lowest_latency(other, conditions) * (1 + 2e-6)


@pytest.mark.parametrize(
    "op_times",
    [
        *(5, ["op1"], "op1", {"op1": 5}, {"op1": "ab"}, {"op1": (1.0, "x")}, {"op1": (1.0, None)}, {"op1": {1, 2}}),
        *(
            {"op1": (float("nan"), 1.0)},
            {"op1": (10**400, 1)},
            {"op1": (1.0, -1.0)},
            {None: (1.0, 1.0)},
            {("op1",): (1.0, 1.0)},
        ),
    ],
)
def test_op_times_of_other_kinds_are_refused(model: SplittingModel, op_times: object) -> None:
    with pytest.raises(DecisionError, match="op_times"):
        model.decide(1e6, op_times=op_times)  # type: ignore[arg-type]


def test_never_slower_than_one_machine_alone_and_faster_links_never_hurt() -> None:
    rng, box = random.Random(34), Box()
    for _ in range(30):
        plain = network_shaped(rng, rng.randint(10, 120))
        model = splitting_model(plain, box)
        low = lowered(plain)
        everything, nothing = (np.full(plain.op_count, side) for side in (True, False))
        previous = math.inf
        for step in range(60):
            uplink = 5e4 * 2e5 ** (step / 59) * (1 - 1e-12)
            latency = model.decide(max(uplink, 5e4)).latency_s
            for side in (everything, nothing):
                device, server, upload, download, _ = low.problem.features(side)
                assert latency <= (device + server) * 1e-9 + (upload + download) * 8 / uplink + 1e-12
            assert latency <= previous * (1 + 1e-12)
            previous = latency


@pytest.fixture(scope="module")
def model() -> SplittingModel:
    return splitting_model(network_shaped(random.Random(1), 40), Box(), 0.01, 2.0)


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), -float("inf"), 1e-300, 1e18, "fast", None, True, 0.0])
def test_bad_bandwidths_are_refused(model: SplittingModel, bad: object) -> None:
    with pytest.raises(UnitError):
        model.decide(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        {"rtt": -1.0},
        {"rtt": "soon"},
        {"downlink": 0.0},
        {"downlink": float("nan")},
        {"device_slowdown": 0.0},
        {"device_slowdown": float("nan")},
        {"server_slowdown": -1.0},
        {"server_slowdown": float("inf")},
    ],
)
@pytest.mark.parametrize("others", [{}, {"rtt": 0.01, "downlink": 2e7, "device_slowdown": 1.0, "server_slowdown": 1.0}])
def test_bad_conditions_are_refused(model: SplittingModel, arguments: dict[str, object], others: dict[str, float]) -> None:
    with pytest.raises(UnitError):
        model.decide(1e7, **{**others, **arguments})  # type: ignore[arg-type]


def test_op_times_of_unknown_ops_or_absurd_values_are_refused(model: SplittingModel) -> None:
    with pytest.raises(DecisionError, match="op999"):
        model.decide(1e7, op_times={"op999": (1.0, 1.0)})
    for bad in [(1.0,), (-1.0, 1.0), (float("nan"), 1.0)]:
        with pytest.raises(DecisionError, match="op0"):
            model.decide(1e7, op_times={"op0": bad})  # type: ignore[dict-item]


def test_terms_add_up_and_everything_can_be_shown(model: SplittingModel) -> None:
    for bandwidth in (1e5, 1e6, 1e7, 1e8, 1e9):
        decision = model.decide(bandwidth)
        assert sum(decision.terms.values()) == pytest.approx(decision.latency_s)
        assert decision.cut_id in decision.why
        assert decision.cut_id in repr(decision)
        assert decision.upload_bytes == decision.cut.features[2]
        assert set(decision.device_ops) <= {op.name for op in model.graph().ops}
        assert decision.conditions.uplink_bps == bandwidth
        assert decision.conditions.downlink_bps == 2 * bandwidth
        assert decision.terms["rtt_s"] in (0.0, 0.01)


def test_an_unfinished_proof_is_not_called_optimal() -> None:
    model = unfinished(splitting_model(network_shaped(random.Random(1), 40), Box()))
    assert not model.decide(1e7).optimal
    assert not model.decide(1e7, rtt="20ms").optimal


def test_just_above_is_the_next_float() -> None:
    rng = random.Random(6)
    edges = [2.0**power for power in range(-26, 47)]
    for number in [*edges, *(math.nextafter(edge, 0) for edge in edges), *(rng.uniform(1, 2) * edge for edge in edges * 99)]:
        assert just_above(number) == math.nextafter(number, math.inf)


def test_boxes_upside_down_or_unreadable_are_refused() -> None:
    for bad in [{"uplink": (2e6, 1e6)}, {"rtt": ("1s",)}, {"device_slowdown": 3}, {"uplink": "1Mbps"}]:
        with pytest.raises(CompileError):
            Box(**bad)  # type: ignore[arg-type]
    with pytest.raises(CicError):
        Box(uplink=(0, 1e6))


def test_edges_of_the_box_are_inside() -> None:
    box = Box()
    for uplink in box.uplink_bps:
        for ratio in box.downlink_ratio:
            assert box.contains(Conditions(uplink, uplink * ratio, 0.5, 0.5, 50.0))
    assert not box.contains(Conditions(1e6, 1e6, 0.6))
    assert not box.contains(Conditions(1e6, 0.5e6, 0.1))
