"""A part of a torch model computes the same with every engine, and a profile says which one it measured."""

from __future__ import annotations

from importlib.util import find_spec
from unittest.mock import patch

import numpy as np
import pytest

from cic.cost.measure import measure, workbench_of
from cic.cost.profile import load_profile
from cic.engine.engine_name import engine_name
from cic.errors import EngineError

# "cpu:0" is the processor by way of what a card takes: its tensors go there and come back.
ENGINES = ["torchscript", "torchscript:cpu:0", "pt2", "pt2:cpu:0", "onnxruntime", "openvino"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_part_computes_what_it_does_in_the_network(traced, engine: str):
    if engine == "openvino" and find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    bench, ops = workbench_of(traced, engine_name(engine)), traced.graph.ops
    tail = ops[len(ops) // 2 :]
    (make,), (expected,) = bench.parts([tail]), workbench_of(traced).parts([tail])
    for ours, theirs in zip(make()(), expected()(), strict=True):
        array = ours.numpy() if hasattr(ours, "numpy") else ours
        np.testing.assert_allclose(array, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_a_profile_says_with_which_engine_it_was_measured(traced, tmp_path):
    with patch("cic.cost.measure.codecs_here", lambda: ()):
        profile = measure(traced, seconds_per_op=0.002, cuts=1, engine="pt2")
        usual = measure(traced, seconds_per_op=0.002, cuts=0)
    assert (profile.engine, usual.engine) == ("pt2", "torchscript")
    profile.save(tmp_path / "here.profile.json")
    assert load_profile(tmp_path / "here.profile.json").provenance(traced.graph, "torch").engine == "pt2"


def test_an_engine_that_is_not_here_is_refused_before_anything_is_measured(traced):
    with pytest.raises(EngineError, match="no engine 'tensorrt'; known are onnxruntime, torchscript, pt2, openvino"):
        measure(traced, engine="tensorrt")
    with pytest.raises(EngineError, match="no device 'cuda:9' here"):
        measure(traced, engine="torchscript:cuda:9")
    with patch.dict("sys.modules", {"openvino": None}), pytest.raises(EngineError, match=r"cic-compiler\[openvino\]"):
        measure(traced, engine="openvino")
