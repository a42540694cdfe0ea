"""Wherever an ONNX model is cut, its halves compute what the whole computes, or the cut is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest

from codegen.errors import CodegenError, UnsplittableError
from codegen.splitters.onnx import split_onnx
from tests.codegen import onnx_models
from tests.codegen.onnx_models import closed_sets, may_cross, random_inputs, read, run_split, run_whole, save

MODELS = ["branching", "looping", "plumbing", "counting"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", [3, 4])
def test_every_closed_set_is_the_model_or_refused(name: str, seed: int, tmp_path: Path):
    made = getattr(onnx_models, name)()
    path, whole = save(made, tmp_path / f"{name}.onnx"), read(made)
    split = refused = 0
    for draw in range(2):
        inputs = random_inputs(whole, draw)
        expected = run_whole(path, inputs)
        for nodes in closed_sets(whole, 12, seed):
            try:
                halves = split_onnx(whole, nodes, may_cross(whole))
            except UnsplittableError as error:
                assert name == "counting" and "cannot be sent" in str(error)
                refused += 1
                continue
            split += 1
            for half in (halves.head, halves.tail):
                onnx.checker.check_model(onnx_ir.to_proto(half), full_check=True)
            for result, wanted in zip(run_split(halves, list(inputs.values())), expected, strict=True):
                np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-6)
            crossing = {wire.name for wire in halves.crossing}
            assert not crossing & {wire.name for wire in halves.kept}
    assert split >= 4
    assert bool(refused) == (name == "counting")


def test_captures_cross_and_weights_go_where_they_are_used():
    whole = read(onnx_models.branching())
    halves = split_onnx(whole, frozenset({"early_relu", "late_exp", "total", "compare"}), may_cross(whole))
    assert [wire.name for wire in halves.crossing] == ["x", "early", "late", "flag"]
    assert set(halves.head.graph.initializers) == {"limit"}
    assert set(halves.tail.graph.initializers) == {"w", "m"}


def test_a_set_that_is_not_closed_is_refused_naming_both_nodes():
    whole = read(onnx_models.looping())
    with pytest.raises(
        UnsplittableError, match="repeat is to run on the device but reads outside, which is made on the server"
    ):
        split_onnx(whole, frozenset({"start_neg", "repeat"}), may_cross(whole))
    with pytest.raises(CodegenError, match="the device node 'nowhere' is not in the graph"):
        split_onnx(whole, frozenset({"nowhere"}), may_cross(whole))


def test_what_may_not_cross_does_not():
    whole = read(onnx_models.looping())
    with pytest.raises(UnsplittableError, match="repeat on the server reads outside, which is made on the device and cannot"):
        split_onnx(whole, {"outside_tanh"}, {"x", "start", "end", "y"})
