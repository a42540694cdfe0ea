"""A Machine accepts only figures that can price something."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cic.cost.machine import Machine
from cic.errors import CostError

GOOD = {"name": "board", "flops_per_s": 1e10, "memory_bytes_per_s": 2e9, "op_overhead_s": 1e-5}


@pytest.mark.parametrize("field", ["flops_per_s", "memory_bytes_per_s", "op_overhead_s", "fit_error"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, "fast", True, [], 10**400])
def test_a_bad_figure_is_refused_by_name_and_value(field, value):
    with pytest.raises(CostError, match=field) as caught:
        Machine(**{**GOOD, field: value})
    assert "board" in str(caught.value)


@pytest.mark.parametrize("field", ["flops_per_s", "memory_bytes_per_s"])
def test_a_rate_of_zero_is_refused_but_no_overhead_is_fine(field):
    with pytest.raises(CostError, match=field):
        Machine(**{**GOOD, field: 0})
    assert Machine(**{**GOOD, "op_overhead_s": 0}).op_overhead_s == 0


@pytest.mark.parametrize("changes", [{"name": ""}, {"name": None}, {"source": None}, {"threads": -1}, {"threads": 1.5}])
def test_bad_descriptions_are_refused(changes):
    with pytest.raises(CostError):
        Machine(**{**GOOD, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"type_rates": {"float16": 0.0}}, {"type_rates": {"float16": math.nan}}, {"type_rates": [1.0]},
        {"family_rates": {1: 1.0}}, {"step_s": {"gru": -1.0}}, {"cache_bytes_per_s": 0}, {"lacks": "float16"},
        {"fitted_types": [1]}, {"runtime": None},
    ],
    ids=str,
)  # fmt: skip
def test_bad_tables_are_refused_by_name(changes):
    with pytest.raises(CostError, match=f"board.*{next(iter(changes))}"):
        Machine(**{**GOOD, **changes})


def test_a_machine_from_json_equals_one_written_by_hand():
    by_hand = Machine(**GOOD, lacks=("float16",), type_rates={"int8": 2.0})
    assert Machine(**GOOD, lacks=["float16"], type_rates={"int8": 2.0}) == by_hand
    assert hash(by_hand) == hash(Machine(**GOOD, lacks=["float16"], type_rates={"int8": 2.0})) != hash(Machine(**GOOD))


def test_a_machine_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Machine(**GOOD).flops_per_s = 1.0


@given(factor=st.floats(1.01, 100), field=st.sampled_from(["flops_per_s", "memory_bytes_per_s", "op_overhead_s"]))
def test_the_digest_tells_machines_apart(factor, field):
    assert Machine(**GOOD).digest == Machine(**GOOD).digest
    assert Machine(**GOOD).digest != Machine(**{**GOOD, field: GOOD[field] * factor}).digest
