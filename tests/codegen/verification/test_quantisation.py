"""One step of rounding is allowed where a model rounds, and nowhere else."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from codegen.rounding import Step
from codegen.verification.quantisation import steps_of
from tests.codegen.onnx_models import looping
from tests.codegen.onnx_oddities import quantised


def test_steps_are_those_of_the_last_quantiser():
    direct, integers, after, weights, given = steps_of(ir.from_proto(quantised()))
    assert direct == Step(absolute=0.25) and integers == Step(absolute=1.0)
    assert after == Step(relative=1 / 127)
    assert weights == given == Step()
    assert set(steps_of(ir.from_proto(looping()))) == {Step()}


def test_a_step_is_allowed_and_two_are_not():
    answer = np.array([0.25, -4.0, 1.5])
    largest = float(np.abs(answer).max())
    assert 0.25 / largest <= Step(absolute=0.25).allowance(largest) < 2 * 0.25 / largest
    assert Step().allowance(largest) == Step().allowance(0.0) == Step(absolute=1.0).allowance(0.0) == 0
    assert Step(relative=0.01).allowance(5.0) == pytest.approx(0.01, rel=0.01)
