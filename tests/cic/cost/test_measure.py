"""Measured profiles: every op gets a time, the times add up to the network, and the network is left as it was."""

import time
from unittest.mock import patch

import pytest
import torch
from torch import nn

from cic.cost.measure import measure
from cic.cost.pricing import price
from cic.cost.profile import load_profile
from cic.cost.torch_workbench import TorchWorkbench
from cic.errors import CostError
from cic.trace.fx.torch_trace import trace


@pytest.fixture(scope="module")
def profile(traced):
    return measure(traced, seconds_per_op=0.05)


def test_every_op_has_a_time_and_conv_costs_something(traced, profile):
    prices = price(traced.graph, profile)
    assert len(prices) == len(traced.graph.ops)
    assert all(seconds >= 0 for seconds in prices)
    assert all(prices[i] > 0 for i, op in enumerate(traced.graph.ops) if "conv2d" in op.kinds)
    assert {name for op in profile.ops for name in op.names} == {op.name for op in traced.graph.ops}


def test_the_times_add_up_to_the_network(traced, profile):
    assert sum(price(traced.graph, profile)) == pytest.approx(profile.sum_s)
    assert profile.sum_s == pytest.approx(profile.whole_s, rel=0.35)
    assert profile.halves_error < 0.35


def test_the_profile_says_that_elapsed_time_was_measured_and_how(profile):
    measured = profile.measured
    assert measured.clock == "elapsed" and measured.repetitions >= 3 and measured.op_repetitions >= 3
    assert 0 < measured.whole_low_s <= measured.whole_median_s and measured.whole_low_s <= profile.whole_s
    assert measured.elapsed_s >= 0.99 * measured.processor_s > 0
    assert all(op.low_s <= op.median_s for op in profile.ops)


def test_waiting_counts_as_time(traced):
    """An op that waits for something else takes no processor time, and its answer is as late."""

    class Bench(TorchWorkbench):
        def whole(self):
            run = super().whole()
            return lambda: (time.sleep(0.02), run())

    with patch("cic.cost.measure.workbench_of", Bench):
        waited = measure(traced, seconds_per_op=0.01, cuts=0)
    assert waited.whole_s > 0.02 and waited.sum_s > 0.02
    assert "times processor time" in waited.measured.warning


def test_a_second_profile_agrees_loosely(traced, profile):
    again = measure(traced, seconds_per_op=0.05)
    assert again.whole_s / profile.whole_s == pytest.approx(1, abs=0.75)
    assert set(again.seconds) == set(profile.seconds)


def test_without_cuts_the_ops_are_scaled_to_the_whole(traced):
    plain = measure(traced, seconds_per_op=0.02, cuts=0)
    assert plain.sum_s == pytest.approx(plain.whole_s, rel=1e-3)
    assert plain.halves_error == 0


def test_a_profile_survives_its_file(profile, tmp_path):
    profile.save(tmp_path / "p.json")
    assert load_profile(tmp_path / "p.json") == profile


def test_threads_are_restored(traced):
    before = torch.get_num_threads()
    assert measure(traced, threads=2, seconds_per_op=0.01, cuts=0).threads == 2
    assert torch.get_num_threads() == before


def test_measuring_changes_no_weight_and_no_input(traced):
    state = {name: value.clone() for name, value in traced.module.state_dict().items()}
    inputs = [tensor.clone() for tensor in traced.source.example_inputs]
    measure(traced, seconds_per_op=0.01, cuts=2)
    assert all(torch.equal(value, state[name]) for name, value in traced.module.state_dict().items())
    assert all(torch.equal(one, two) for one, two in zip(traced.source.example_inputs, inputs, strict=True))


@pytest.mark.parametrize(
    "arguments",
    [{"threads": 0}, {"threads": True}, {"threads": 1.5}, {"seconds_per_op": 0}, {"seconds_per_op": float("nan")},
     {"seconds_per_op": "1"}, {"cuts": -1}, {"cuts": 2.0}],
)  # fmt: skip
def test_bad_arguments_are_refused_by_name(traced, arguments):
    with pytest.raises(CostError, match=next(iter(arguments))):
        measure(traced, **arguments)


def test_an_op_of_another_network_has_no_price(profile):
    other = trace(nn.Sequential(nn.Conv2d(3, 5, 3)).eval(), (torch.rand(1, 3, 48, 48),), name="other")
    with pytest.raises(CostError, match="Profile this model again"):
        price(other.graph, profile)


def test_each_step_is_told_with_its_number(traced, capsys):
    told = []
    measure(traced, seconds_per_op=0.01, cuts=1, progress=told.append)
    assert [each.done for each in told] == list(range(1, told[0].of + 1))
    assert {each.of for each in told} == {len({op.signature for op in traced.graph.ops}) + 4}
    assert capsys.readouterr() == ("", "")


def test_a_network_of_one_op_can_be_profiled():
    single = trace(nn.Sequential(nn.Linear(64, 64)).eval(), (torch.rand(8, 64),), name="single")
    profile = measure(single, seconds_per_op=0.02)
    assert len(profile.ops) == 1 and profile.sum_s == pytest.approx(profile.whole_s, rel=1e-3)
