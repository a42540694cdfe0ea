"""Inputs that have names and an order are taken either way, once each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from codegen.calls.call import describe_named, flatten_call
from codegen.calls.structure import describe
from codegen.errors import CodegenError

INPUTS = {"a": np.zeros(1), "b": np.ones(1), "self": np.ones(2)}
NAMED = describe_named(INPUTS)


def test_every_way_to_pass_them_is_the_same_call():
    for count in range(len(INPUTS) + 1):
        names = list(INPUTS)
        for order in itertools.permutations(names[count:]):
            given = flatten_call(NAMED, [INPUTS[name] for name in names[:count]], {name: INPUTS[name] for name in order})
            assert all(one is other for one, other in zip(given, INPUTS.values(), strict=True))


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (["a", "b", "self", "a"], [], r"the model takes 3 inputs \(a, b, self\), called with 4 by position"),
        (["a"], ["a", "b", "self"], "the input 'a' is given by position and by name"),
        (["a"], ["b"], "self is missing"),
        (["a", "b"], ["self", "other"], "other was not given"),
    ],
)
def test_other_calls_are_refused_by_name(args: list[str], kwargs: list[str], message: str):
    with pytest.raises(CodegenError, match=message):
        flatten_call(NAMED, [INPUTS.get(name) for name in args], {name: INPUTS.get(name, np.ones(1)) for name in kwargs})


def test_other_models_are_called_as_they_were_compiled():
    structure, _ = describe({"args": (INPUTS["a"],), "kwargs": {"b": INPUTS["b"]}})
    assert len(flatten_call(structure, (INPUTS["a"],), {"b": INPUTS["b"]})) == 2
    with pytest.raises(CodegenError, match="pass by position"):
        flatten_call(structure, (INPUTS["a"], INPUTS["b"]), {})
