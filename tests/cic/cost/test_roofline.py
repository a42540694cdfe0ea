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


def with_(operation, **changes):
    return dataclasses.replace(operation, **changes)


PRODUCT = op(10**9, 10**7)


def test_every_step_of_a_recurrent_layer_costs_a_start_and_reads_its_weights_again():
    gru = with_(op(10**6, 10**5), kinds=("gru",), starts=99, reread_bytes=99 * 10**5)
    plain = with_(gru, starts=0, reread_bytes=0)
    cached = 3 * MACHINE.memory_bytes_per_s
    assert predict(gru, MACHINE) - predict(plain, MACHINE) >= 99 * MACHINE.op_overhead_s
    assert predict(gru, MACHINE) >= gru.reread_bytes / cached + 99 * MACHINE.op_overhead_s
    quick = dataclasses.replace(MACHINE, step_s={"gru": 1e-7}, cache_bytes_per_s=1e12)
    assert predict(plain, quick) < predict(gru, quick) < predict(gru, MACHINE)


def test_a_type_without_arithmetic_is_many_times_slower_in_products_only():
    board = dataclasses.replace(MACHINE, lacks=["float16"])
    half = with_(PRODUCT, arithmetic="float16")
    assert predict(half, board) > 10 * predict(PRODUCT, board)
    assert predict(with_(half, kinds=("relu",)), board) == predict(with_(PRODUCT, kinds=("relu",)), board)
    # What was measured is believed, and more work never takes less time there either.
    measured = dataclasses.replace(board, type_rates={"float16": 0.5})
    assert predict(PRODUCT, board) < predict(half, measured) < predict(half, board)
    assert predict(with_(half, memory_bytes=10**9), board) >= predict(half, board)


@pytest.mark.parametrize("arithmetic, factor", [("float64", 2), ("int8", 1), ("bfloat16", 1)])
def test_types_without_a_figure_get_the_usual_rate(arithmetic, factor):
    overhead = MACHINE.op_overhead_s
    other = predict(with_(PRODUCT, arithmetic=arithmetic), MACHINE) - overhead
    assert other == pytest.approx(factor * (predict(PRODUCT, MACHINE) - overhead))


def test_families_may_have_a_rate_of_their_own():
    slow = dataclasses.replace(MACHINE, family_rates={"pooling": 0.1})
    pool = with_(PRODUCT, kinds=("max_pool2d",))
    assert predict(pool, slow) == pytest.approx(10 * predict(pool, MACHINE), rel=0.01)
    assert predict(PRODUCT, slow) == predict(PRODUCT, MACHINE)
