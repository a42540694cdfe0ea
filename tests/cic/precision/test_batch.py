"""A batch is read as its form says, and one that is written otherwise is told by what was given and what to write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cic.errors import CompileError
from cic.precision.batch import batch_of, batches_in, flat_inputs
from codegen.calls.call import describe_named
from codegen.calls.structure import describe

ONE, LABELS = torch.rand(6, 4), torch.zeros(6, dtype=torch.long)
OF_ONE, OF_TWO = (describe({"args": (ONE[:1],) * count, "kwargs": {}})[0] for count in (1, 2))
OF_NAMES = describe_named({"image": ONE[:1], "mask": ONE[:1]})


def read(given: Any, structure: Any = OF_ONE) -> tuple[list[Any], Any]:
    batch = batch_of(3, given, structure)
    return flat_inputs(3, given, batch, structure), batch.labels


def test_a_batch_is_read_as_its_form_says() -> None:
    for given, structure, count, labels in (
        (ONE, OF_ONE, 1, None),
        ((ONE, LABELS), OF_ONE, 1, LABELS),
        ([ONE, None], OF_ONE, 1, None),
        ({"args": [ONE], "labels": LABELS}, OF_ONE, 1, LABELS),
        ({"args": (ONE, ONE)}, OF_TWO, 2, None),
        ({"image": ONE, "mask": ONE, "labels": LABELS}, OF_NAMES, 2, LABELS),
        ({"args": (ONE,), "kwargs": {"mask": ONE}}, OF_NAMES, 2, None),
    ):
        inputs, found = read(given, structure)
        assert len(inputs) == count and all(value is ONE for value in inputs) and found is labels


@pytest.mark.parametrize("given", [[ONE, ONE], (ONE, ONE), (ONE.numpy(), ONE), (ONE, ONE.double())])
@pytest.mark.parametrize("structure", [OF_ONE, OF_TWO])
def test_a_pair_of_inputs_is_not_a_pair_with_labels(given: Any, structure: Any) -> None:
    with pytest.raises(CompileError, match=r"batch 3 is a pair of arrays of floats, both of shape \(6, 4\).*'args'"):
        read(given, structure)


@pytest.mark.parametrize(
    ("given", "structure", "told"),
    [
        ([ONE], OF_ONE, "called with a list; it is a list of one thing; write that itself, as in calibration="),
        ((ONE,), OF_ONE, "it is a tuple of one thing"),
        ((ONE, ONE, ONE), OF_ONE, r"it is a tuple of 3; a batch is an array, \(array, labels\), or"),
        (((ONE, ONE), LABELS), OF_TWO, r"it is a pair, \(inputs, labels\); write {'args': \(first, second\)}"),
        (ONE, OF_TWO, r"it is a Tensor of shape \(6, 4\); write {'args': \(first, second\)} for several inputs"),
        ("a.png", OF_ONE, "it is 'a.png'; a batch is an array"),
        ({"args": ONE}, OF_ONE, r"a Tensor of shape \(6, 4\) as its args; write {'args': \(array,\)}"),
        ({"kwargs": ONE}, OF_ONE, "as its kwargs; write {'kwargs': {'image': array}}"),
        ({"image": ONE}, OF_ONE, "inputs by name belong in its kwargs"),
    ],
)
def test_what_does_not_fit_is_told_by_what_was_given_and_what_to_write(given: Any, structure: Any, told: str) -> None:
    with pytest.raises(CompileError, match=told) as raised:
        read(given, structure)
    assert "calibration batch 3" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("given", [ONE, ONE.numpy(), {"args": (ONE,)}, "calib.npz", b"1", 3, ONE[0, 0], np.array(1.0)])
def test_one_batch_is_no_list_of_batches(given: Any) -> None:
    with pytest.raises(CompileError, match=r"calibration is .*(write calibration=|give a list of batches)") as raised:
        batches_in(given, [ONE[:1]])
    assert "\n" not in str(raised.value)


def test_batches_come_from_whatever_gives_them_in_turn() -> None:
    assert list(batches_in((each for each in [ONE]), [ONE[:1]])) == [ONE]
    assert len(list(batches_in(np.zeros((5, 6, 4)), [ONE[:1]]))) == 5


@pytest.mark.parametrize("shape", [(6, 2), None, 3])
def test_what_has_a_shape_and_is_no_array_is_not_taken_for_one(shape: Any) -> None:
    """As a table of rows has, each of which is a batch."""

    class Table(list[Any]):
        pass

    table = Table([ONE])
    table.shape = shape  # type: ignore[attr-defined]
    assert list(batches_in(table, [ONE[:1]])) == [ONE]
    with pytest.raises(CompileError, match="it is a Table of one thing"):
        read(table)
