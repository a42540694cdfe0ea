"""Tensors go into ONNX Runtime and come back as they were, with memory of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from codegen.errors import CodegenError
from codegen.formats.emitter import Runner
from codegen.formats.onnx_session import Execution, open_session, runner_of
from codegen.split import WireTensor
from tests.codegen.onnx_models import value

TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.float16: TensorProto.FLOAT16,
    torch.bfloat16: TensorProto.BFLOAT16,
    torch.float8_e4m3fn: TensorProto.FLOAT8E4M3FN,
    torch.float8_e4m3fnuz: TensorProto.FLOAT8E4M3FNUZ,
    torch.float8_e5m2: TensorProto.FLOAT8E5M2,
    torch.float8_e5m2fnuz: TensorProto.FLOAT8E5M2FNUZ,
    torch.bool: TensorProto.BOOL,
    torch.int8: TensorProto.INT8,
    torch.int16: TensorProto.INT16,
    torch.int32: TensorProto.INT32,
    torch.int64: TensorProto.INT64,
    torch.uint8: TensorProto.UINT8,
    torch.uint16: TensorProto.UINT16,
    torch.uint32: TensorProto.UINT32,
    torch.uint64: TensorProto.UINT64,
}


CARD = ("CUDAExecutionProvider", "CPUExecutionProvider")


def runner(kind: int, shape: tuple[int, ...], inputs: tuple[WireTensor, ...] = ()) -> Runner:
    """Pass x on as it is, and through a float32; with `inputs` as arrays."""
    nodes = [helper.make_node("Cast", ["x"], ["f"], to=1), helper.make_node("Cast", ["f"], ["y"], to=kind)]
    graph = helper.make_graph(nodes, "g", [value("x", shape, kind)], [value("x", shape, kind), value("y", shape, kind)])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return runner_of(open_session(made.SerializeToString(), "a half"), "a half", inputs=inputs, arrays=bool(inputs))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_arrays_hold_the_bits_of_types_that_numpy_lacks(dtype: torch.dtype):
    """Without torch on the way; torch alone says here which bits they are."""
    held = dtype if hasattr(np, str(dtype).removeprefix("torch.")) else {1: torch.uint8, 2: torch.uint16}[dtype.itemsize]
    for shape in ((2, 3), (), (0, 4)):
        x = torch.tensor([[0, 1, 2], [1, 0, 3]]).reshape(-1)[: int(np.prod(shape))].reshape(shape).to(dtype)
        wire = WireTensor("x", shape, str(dtype).removeprefix("torch."), x.nbytes)
        for answer in runner(TYPES[dtype], shape, (wire,))(x.view(held).numpy()):
            assert isinstance(answer, np.ndarray)
            assert torch.equal(torch.from_numpy(answer).view(held), x.view(held))


def test_a_session_has_the_threads_and_the_providers_that_it_is_told():
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [value("x", [2])], [value("y", [2])])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    session = open_session(made, "a half", execution=Execution(threads=3))
    assert session.get_session_options().intra_op_num_threads == 3
    assert session.get_providers() == ["CPUExecutionProvider"]
    with pytest.raises(CodegenError, match=r"a half is not ONNX that onnxruntime \S+ can run with CUDAExecutionProvider"):
        open_session(made, "a half", execution=Execution(1, CARD))


def test_a_provider_that_onnx_runtime_goes_on_without_is_missed(monkeypatch: pytest.MonkeyPatch):
    class Fallen:
        def __init__(self, *arguments: object, **options: object) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr("onnxruntime.InferenceSession", Fallen)
    with pytest.raises(CodegenError, match="was asked to run a half with CUDAExecutionProvider and took CPUExecutionProvider"):
        open_session(b"", "a half", execution=Execution(1, CARD))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_values_come_back_as_they_were(dtype: torch.dtype):
    for shape in ((2, 3), (), (0, 4)):
        x = torch.tensor([[0, 1, 2], [1, 0, 3]]).reshape(-1)[: int(np.prod(shape))].reshape(shape).to(dtype)
        for answer in runner(TYPES[dtype], shape)(x):
            assert answer.dtype == dtype and answer.shape == x.shape and torch.equal(answer.double(), x.double())


@pytest.mark.parametrize("as_array", [False, True])
def test_an_output_that_is_an_input_is_the_callers_own(as_array: bool):
    run = runner(TensorProto.FLOAT, (4,))
    for x in (torch.arange(4.0), torch.arange(8.0)[::2], torch.complex(torch.ones(4), torch.arange(4.0)).conj().imag):
        given = x.resolve_neg().numpy() if as_array else x
        before = x.clone().resolve_neg()
        passed, _ = run(given)
        given[:] = -1
        junk = [torch.full((4,), 7.0) for _ in range(50)]
        assert junk and np.array_equal(np.asarray(passed), before.numpy())
        passed[:] = 5
        assert np.array_equal(given if as_array else given.resolve_neg().numpy(), np.full(4, -1))


def test_answers_that_depend_on_no_input_are_the_callers_own():
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0, 2, 3, 4])
    nodes = [helper.make_node("Neg", ["w"], ["k"]), helper.make_node("Relu", ["x"], ["y"])]
    outputs = [value(name, [4]) for name in ("k", "w", "y")]
    graph = helper.make_graph(nodes, "g", [value("x", [4])], outputs, [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    run = runner_of(open_session(made.SerializeToString(), "a half"), "a half")
    first = [answer.clone() for answer in run(torch.ones(4))]
    for answer in run(torch.ones(4)):
        answer.fill_(99)
    assert all(torch.equal(one, other) for one, other in zip(first, run(torch.ones(4)), strict=True))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(4, dtype=torch.complex64), "no tensors of the type complex64; emit as torchscript"),
        (np.zeros(4, np.complex64), "no tensors of the type complex64"),
        (np.array(["a"] * 4), "no tensors of the type <U1"),
        (torch.zeros(4).to_sparse(), "cannot take a torch.sparse_coo tensor on cpu"),
        (torch.zeros(4, device="meta"), "cannot take a torch.strided tensor on meta"),
        ([0.0] * 4, "takes tensors of torch or arrays of numpy, not a list"),
    ],
)
def test_what_it_has_no_tensors_for_is_refused_by_name(given: object, message: str):
    with pytest.raises(CodegenError, match=message):
        runner(TensorProto.FLOAT, (4,))(given)
