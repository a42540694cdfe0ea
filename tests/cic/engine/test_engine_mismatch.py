"""A person is told when a half is run by another engine than the one its times are of."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from benchmarks.harness.random_problems import small_problem
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.engine.engine_mismatch import engine_mismatch
from cic.errors import EngineError
from tests.cic.hand_made import changed, splitting_model


@pytest.fixture(scope="module")
def plain() -> SplittingModel:
    return splitting_model(small_problem(random.Random(3)), Box())


def measured(plain: SplittingModel, device: str | None, server: str | None) -> SplittingModel:
    """A splitting model from a file, whose times were measured with these engines."""
    information = plain.information
    sides = {"device": device, "server": server}
    machines = {side: getattr(information, side).replaced(engine=engine) for side, engine in sides.items()}
    return loads(dumps(changed(plain, information=information.replaced(**machines))))


def test_the_engine_that_was_measured_and_one_that_nothing_is_known_of_need_no_word(plain: SplittingModel):
    model = measured(plain, "onnxruntime", None)
    assert engine_mismatch(model, "device", "onnxruntime") is None
    assert engine_mismatch(model, "device", "onnxruntime:CPU") is None
    assert engine_mismatch(model, "server", "torchscript:cuda") is None


def test_another_engine_or_another_place_is_told_with_both_names_and_what_to_do(plain: SplittingModel):
    model = measured(plain, "torchscript", "onnxruntime:CUDAExecutionProvider")
    told = engine_mismatch(model, "device", "onnxruntime")
    assert told is not None and "the device" in told and "measured with torchscript, and onnxruntime runs its half" in told
    assert "cic profile --engine onnxruntime" in told
    told = engine_mismatch(model, "server", "onnxruntime")
    assert told is not None and "the server" in told and "measured with onnxruntime:CUDAExecutionProvider" in told


def test_a_calibrated_model_has_the_times_of_the_engines_that_were_calibrated(plain: SplittingModel):
    model = measured(plain, "torchscript", "torchscript")
    calibration = SimpleNamespace(device_engine="openvino", server_engine="torchscript")
    graph = model.graph().replaced(calibration=calibration)
    model = SplittingModel(model.table, lambda: graph)
    assert engine_mismatch(model, "device", "openvino:CPU") is None
    assert "measured with openvino" in str(engine_mismatch(model, "device", "torchscript"))
    assert engine_mismatch(model, "server", "torchscript") is None


def test_an_unknown_engine_is_refused(plain: SplittingModel):
    with pytest.raises(EngineError, match="no engine 'tensorrt'"):
        engine_mismatch(measured(plain, "torchscript", None), "device", "tensorrt")
