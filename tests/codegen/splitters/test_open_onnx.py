"""Two ONNX halves made at two batches become one that answers at any batch, or are refused by name."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from codegen.errors import CodegenError
from codegen.formats.onnx_session import open_session, runner_of
from codegen.splitters.onnx import split_onnx
from codegen.splitters.open_batch import Batches
from codegen.splitters.open_onnx import opened_onnx
from tests.codegen.onnx_models import constant, may_cross, model, read, value

BATCHES = Batches((0,), 2, 4, 64)


def at_batch(batch: int, *, rows: float = 0.0) -> ir.Model:
    """As tracing leaves it: what the file reads off a shape is a constant. rows: in a constant of floats."""
    return read(
        model(
            [
                onnx.helper.make_node("Exp", ["x"], ["grown"], "grow"),
                onnx.helper.make_node("Gather", ["sizes", "first"], ["batch"], "take"),
                onnx.helper.make_node("Concat", ["batch", "rest"], ["form"], "join", axis=0),
                onnx.helper.make_node("Reshape", ["grown", "form"], ["flat"], "shape"),
                onnx.helper.make_node("Mul", ["flat", "factor"], ["y"], "scale"),
            ],
            [value("x", [batch, 2, 3])],
            [value("y", [batch, 6])],
            [
                constant("sizes", [batch, 2, 3], np.int64),
                constant("first", [0], np.int64),
                constant("rest", [6], np.int64),
                constant("factor", [2.0 + rows]),
            ],
        )
    )


def halves(here: ir.Model, there: ir.Model, *nodes: str) -> tuple[ir.Model, ir.Model]:
    one, two = (split_onnx(each, frozenset(nodes), may_cross(each)) for each in (here, there))
    return opened_onnx(one.head, two.head, BATCHES), opened_onnx(one.tail, two.tail, BATCHES)


@pytest.mark.parametrize("nodes", [(), ("grow",), ("grow", "take", "join", "shape")])
def test_halves_answer_at_other_batches(nodes: tuple[str, ...]) -> None:
    made = halves(at_batch(2), at_batch(4), *nodes)
    runners = []
    for half in made:
        raw = ir.to_proto(half).SerializeToString()
        onnx.checker.check_model(raw)
        runners.append(runner_of(open_session(raw, "a half"), "a half"))
    for batch in (1, 2, 5):
        x = np.random.default_rng(batch).normal(size=(batch, 2, 3)).astype(np.float32)
        (answer,) = runners[1](*runners[0](x))
        np.testing.assert_allclose(answer, 2 * np.exp(x).reshape(batch, 6), rtol=1e-5)
        with pytest.raises(CodegenError, match="onnxruntime cannot run"):
            runners[0](x[:, :1])


def test_constants_that_are_no_line_in_the_batch_and_other_structures_are_refused() -> None:
    with pytest.raises(CodegenError, match="factor is a constant that is another one at batch 4"):
        halves(at_batch(2), at_batch(4, rows=1.0))
    one, two = split_onnx(at_batch(2), {"grow"}, {"x", "grown"}), split_onnx(at_batch(4), set(), {"x", "grown"})
    with pytest.raises(CodegenError, match="have other nodes"):
        opened_onnx(one.tail, two.tail, BATCHES)
