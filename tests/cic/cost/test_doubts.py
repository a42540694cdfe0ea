"""What a fit has never seen is named, with its share of the time; what it has seen is not."""

import dataclasses

import pytest

from cic.cost.doubts import doubts
from cic.cost.machine import Machine
from cic.graph import Graph, Op

BOARD = Machine(
    "board", 1e10, 2e9, 1e-5, lacks=["float16"], runtime="torch", fitted_families=["convolution", "gru"],
    fitted_types=["float32", "int8"],
)  # fmt: skip


def graph(*ops):
    kinds_of = [(kinds if isinstance(kinds, tuple) else (kinds,), arithmetic) for kinds, arithmetic in ops]
    made = [
        Op(f"op{i}", kinds, (f"n{i}",), (), (), flops=10**7, memory_bytes=10**5, arithmetic=arithmetic)
        for i, (kinds, arithmetic) in enumerate(kinds_of)
    ]
    return Graph("net", tuple(made), (), (), ())


@pytest.mark.parametrize(
    "op",
    [(("conv2d", "batch_norm", "silu"), "float32"), ("gru", "float32"), ("conv1d", "int8"), ("cat", "int64"), ("add", "bool")],
)
def test_what_was_fitted_raises_no_doubt(op):
    assert doubts(graph(op), BOARD, "torch") == ()


@pytest.mark.parametrize(
    "op, words",
    [
        ("sort float32", "sorting"), ("lstm float32", "lstm"), ("grid_sampler float32", "grid_sampler"),
        ("mylib.roll float32", "mylib.roll"), ("linalg_inv float32", "linear algebra"), ("loop float32", "loop"),
        ("conv2d float16", "no float16 arithmetic"), ("conv2d float64", "products in float64"),
        ("conv2d bfloat16", "products in bfloat16"), ("conv2d int64", "products in int64"),
        ("conv2d complex64", "products in complex64"),
    ],
)  # fmt: skip
def test_what_was_not_is_named(op, words):
    (doubt,) = doubts(graph(tuple(op.split())), BOARD)
    assert words in doubt and "board" in doubt and "100.0%" in doubt


def test_the_gravest_comes_first_and_trifles_do_not_come():
    ops = graph(("sort", "float32"), ("conv2d", "float16"), ("conv2d", "float32"))
    small = dataclasses.replace(ops.ops[0], flops=0, memory_bytes=0)
    found = doubts(dataclasses.replace(ops, ops=(small, *ops.ops[1:])), BOARD)
    assert len(found) == 1 and "float16" in found[0]
    assert "float16" in doubts(ops, BOARD)[0] and "sorting" in doubts(ops, BOARD)[1]


def test_another_runtime_is_named():
    (doubt,) = doubts(graph(("conv2d", "float32")), BOARD, "onnxruntime")
    assert "torch" in doubt and "onnxruntime" in doubt


def test_own_figures_are_taken_at_their_word_but_for_other_types():
    mine = Machine("mine", 1e10, 1e9)
    assert doubts(graph(("sort", "float32"), ("mylib.roll", "float32")), mine, "torch") == ()
    assert len(doubts(graph(("conv2d", "float16")), mine)) == 1
