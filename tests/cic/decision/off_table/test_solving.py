"""Outside the box or with other op times the optimum is computed, and equals that of every closed set."""

from __future__ import annotations

import random

import pytest

from benchmarks.harness.hand_made import random_conditions
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import small_problem
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from cic.errors import DecisionError
from tests.cic.decision.brute_force import AMOUNTS, lowest_latency, numbers
from tests.cic.hand_made import splitting_model


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


def test_op_times_of_unknown_ops_or_absurd_values_are_refused(model: SplittingModel) -> None:
    with pytest.raises(DecisionError, match="op999"):
        model.decide(1e7, op_times={"op999": (1.0, 1.0)})
    for bad in [(1.0,), (-1.0, 1.0), (float("nan"), 1.0)]:
        with pytest.raises(DecisionError, match="op0"):
            model.decide(1e7, op_times={"op0": bad})  # type: ignore[dict-item]
