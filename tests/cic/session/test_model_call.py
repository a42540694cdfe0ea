"""Calls become flat arrays and answers the model's own structure, in arrays or in tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cic.errors import InputError
from cic.session.model_call import ModelCall
from codegen.calls.structure import describe
from codegen.manifest import CutRecord, Manifest
from codegen.split import OutputSource, WireTensor

IDS, MASK = WireTensor("ids", (1, 4), "int64", 32), WireTensor("mask", (1, 4), "bfloat16", 8)
SCORES, HIDDEN = WireTensor("scores", (2,), "bfloat16", 4), WireTensor("hidden", (1,), "float32", 4)
RECORD = CutRecord(
    "cut-1", (), (), (HIDDEN,), (SCORES,), (OutputSource("tail", 0), OutputSource("head", 0)), {}
)  # fmt: skip


@pytest.fixture
def call() -> ModelCall:
    ids, mask = np.zeros((1, 4), np.int64), torch.zeros((1, 4), dtype=torch.bfloat16)
    given, _ = describe({"args": (ids,), "kwargs": {"mask": mask}})
    answered, _ = describe({"scores": torch.zeros(2), "more": (torch.zeros(1),)})
    return ModelCall(Manifest("0" * 64, "0" * 64, {}, (IDS, MASK), given, answered, (RECORD,)))


def test_tensors_and_arrays_are_taken_alike(call: ModelCall) -> None:
    ids, mask = np.arange(4).reshape(1, 4), torch.tensor([[1.0, 0.5, 0.0, 2.0]], dtype=torch.bfloat16)
    bits = mask.view(torch.int16).numpy().view(np.uint16)
    (first, second), as_torch = call.flatten((ids,), {"mask": mask})
    assert as_torch and (first == ids).all() and second.dtype == np.uint16 and (second == bits).all()
    (_, again), as_torch = call.flatten((ids,), {"mask": bits})
    assert not as_torch and (again == bits).all()


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {"mask": np.zeros((1, 4), np.uint16)}, "args"),
        ((np.zeros((1, 4), np.int64),), {}, "mask"),
        (
            (np.zeros((1, 5), np.int64),),
            {"mask": np.zeros((1, 4), np.uint16)},
            r"args\[0\].*compiled for int64 of shape \(1, 4\)",
        ),
        ((np.zeros((1, 4), np.int32),), {"mask": np.zeros((1, 4), np.uint16)}, r"args\[0\].*called with int32"),
        ((np.zeros((1, 4), np.int64),), {"mask": np.zeros((1, 4), np.float32)}, "mask.*bfloat16"),
        ((np.array([[object()] * 4]),), {"mask": np.zeros((1, 4), np.uint16)}, "args"),
        (("ids",), {"mask": np.zeros((1, 4), np.uint16)}, "args"),
    ],
)
def test_other_calls_are_refused_by_name(call: ModelCall, args: tuple[object], kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call.flatten(args, kwargs)


def test_answers_have_the_model_s_structure(call: ModelCall) -> None:
    scores, hidden = np.array([0x3F80, 0x4000], np.uint16), np.array([5.0], np.float32)
    plain = call.assemble(RECORD, (hidden,), (scores,), as_torch=False)
    assert plain["scores"] is scores and plain["more"] == (hidden,)
    tensors = call.assemble(RECORD, (hidden,), (scores,), as_torch=True)
    assert tensors["scores"].dtype == torch.bfloat16 and tensors["scores"].tolist() == [1.0, 2.0]
    assert tensors["more"][0].tolist() == [5.0]


def test_arguments_that_are_given_by_name_are_known(call: ModelCall) -> None:
    assert call.takes("mask") and not call.takes("ids") and not call.takes("deadline")
