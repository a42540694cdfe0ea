"""The predicted time grows with the work and falls with the machine's speed."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cic.cost.machine import Machine
from cic.cost.roofline import LARGEST_INTENSITY, REFERENCE_INTENSITY, predict
from cic.errors import CostError
from cic.graph import Op

MACHINE = Machine("board", flops_per_s=1e10, memory_bytes_per_s=2e9, op_overhead_s=1e-5)
amounts = st.integers(0, 10**13)


def op(flops, memory_bytes):
    return Op("conv", ("conv2d",), ("conv2d",), ("x",), ("y",), flops=flops, memory_bytes=memory_bytes)


@given(flops=amounts, memory_bytes=amounts, more=amounts)
def test_more_work_never_takes_less_time(flops, memory_bytes, more):
    # Rounding of the power may lose the last digits.
    base = predict(op(flops, memory_bytes), MACHINE) * (1 - 1e-12)
    assert predict(op(flops + more, memory_bytes), MACHINE) >= base
    assert predict(op(flops, memory_bytes + more), MACHINE) >= base


@given(flops=amounts, memory_bytes=amounts)
def test_no_op_beats_the_overhead_or_either_limit(flops, memory_bytes):
    seconds = predict(op(flops, memory_bytes), MACHINE)
    assert seconds >= MACHINE.op_overhead_s
    assert seconds >= memory_bytes / MACHINE.memory_bytes_per_s
    fastest = MACHINE.flops_per_s * (LARGEST_INTENSITY / REFERENCE_INTENSITY)
    assert seconds >= flops / fastest


@given(flops=amounts, memory_bytes=amounts, field=st.sampled_from(["flops_per_s", "memory_bytes_per_s"]))
def test_a_faster_machine_is_never_slower(flops, memory_bytes, field):
    faster = dataclasses.replace(MACHINE, **{field: getattr(MACHINE, field) * 3})
    assert predict(op(flops, memory_bytes), faster) <= predict(op(flops, memory_bytes), MACHINE)


def test_an_op_that_does_nothing_costs_the_overhead():
    assert predict(op(0, 0), MACHINE) == MACHINE.op_overhead_s


def test_at_the_reference_intensity_the_rate_is_the_machines():
    flops = 10**10
    seconds = predict(op(flops, int(flops / REFERENCE_INTENSITY)), MACHINE)
    assert seconds == pytest.approx(MACHINE.op_overhead_s + flops / MACHINE.flops_per_s)


@pytest.mark.parametrize("flops, memory_bytes", [(-1, 0), (0, -1)])
def test_negative_work_is_refused(flops, memory_bytes):
    with pytest.raises(CostError, match="conv"):
        predict(op(flops, memory_bytes), MACHINE)
