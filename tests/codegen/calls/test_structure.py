"""Nested values are taken apart and put together without loss, and a call that differs is refused by name."""

from __future__ import annotations

import importlib
import json
import math
import sys
import types
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codegen.calls.structure import describe, flatten_like, leaf_names, rebuild
from codegen.calls.structure_check import check_structure
from codegen.errors import CodegenError
from tests.codegen.small_models import Answer, Pair

leaves = st.builds(torch.arange, st.integers(0, 4))
constants = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3))
values = st.recursive(
    leaves | constants,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3).map(OrderedDict),
        st.tuples(inner, inner).map(lambda both: Pair(*both)),
        st.tuples(inner, inner).map(lambda both: Answer(*both)),
    ),
    max_leaves=12,
)


def same(left: object, right: object) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, torch.Tensor):
        return left is right
    if isinstance(left, Answer):
        return all(same(getattr(left, name), getattr(right, name)) for name in ("logits", "hidden", "note"))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@given(values)
def test_there_and_back(value):
    structure, tensors = describe(value)
    structure = json.loads(json.dumps(structure))
    assert same(rebuild(structure, tensors), value)
    assert all(map(same, flatten_like(structure, value), tensors))
    assert len(leaf_names(structure)) == len(tensors)


@given(values, values)
def test_another_value_gives_exactly_its_own_tensors_or_is_refused(compiled, called):
    structure, _ = describe(compiled)
    try:
        flat = flatten_like(structure, called)
    except CodegenError:
        assert not same(compiled, called)
    else:
        assert sorted(map(id, flat)) == sorted(map(id, describe(called)[1]))


def call(*args, **kwargs):
    return {"args": args, "kwargs": kwargs}


@pytest.mark.parametrize(
    ("called", "message"),
    [
        (call(1.0, use_mask=True, sizes=[1, 2]), r"args\[0\]: compiled for a tensor, called with 1.0"),
        (call(torch.ones(1), use_mask=False, sizes=[1, 2]), r"kwargs.use_mask: compiled for True, called with False; comp"),
        (call(torch.ones(1), use_mask=1, sizes=[1, 2]), r"kwargs.use_mask: compiled for True, called with 1"),
        (call(torch.ones(1), use_mask=True, sizes=[1, 3]), r"kwargs.sizes\[1\]: compiled for 2, called with 3"),
        (call(torch.ones(1), use_mask=True, sizes=[1]), r"kwargs.sizes: compiled with 2 entries, called with 1"),
        (call(torch.ones(1), use_mask=True, sizes=(1, 2)), r"kwargs.sizes: compiled for a list, called with a tuple"),
        (call(torch.ones(1), sizes=[1, 2]), r"kwargs.use_mask is missing"),
        (call(torch.ones(1), use_mask=True, sizes=[1, 2], extra=None), r"kwargs.extra was not given when"),
        (call(torch.ones(1), True, sizes=[1, 2]), r"args: compiled with 1 entries, called with 2"),
    ],
)
def test_the_field_that_differs_is_named(called, message):
    structure, _ = describe(call(torch.ones(1), use_mask=True, sizes=[1, 2]))
    with pytest.raises(CodegenError, match=message):
        flatten_like(structure, called)


def test_keyword_arguments_come_in_any_order():
    one, two = torch.ones(1), torch.ones(2)
    structure, _ = describe(call(a=one, b=two))
    assert flatten_like(structure, call(b=two, a=one)) == [one, two]
    assert leaf_names(structure) == ["kwargs.a", "kwargs.b"]


def test_what_is_not_a_number_survives_json():
    structure, _ = describe([math.nan, math.inf, -math.inf])
    structure = json.loads(json.dumps(structure, allow_nan=False))
    assert math.isnan(rebuild(structure, [])[0]) and rebuild(structure, [])[1:] == [math.inf, -math.inf]
    assert flatten_like(structure, [math.nan, math.inf, -math.inf]) == []


def test_an_output_like_those_of_hugging_face_comes_back_as_its_class():
    structure, tensors = describe(ModelOutput(logits=torch.ones(2), hidden=(torch.zeros(1),)))
    value = rebuild(structure, tensors)
    assert type(value) is ModelOutput and value["logits"] is tensors[0] and value.loss is None


def test_a_class_that_cannot_be_found_comes_back_by_its_fields():
    @dataclass
    class Local:
        value: torch.Tensor

    Named = namedtuple("Named", ["one", "two"])
    structure, tensors = describe(Local(torch.ones(1)))
    assert rebuild(structure, tensors) == {"value": tensors[0]}
    structure, tensors = describe(Named(torch.ones(1), 2))
    value = rebuild(structure, tensors)
    assert isinstance(value, tuple) and value.one is tensors[0] and value.two == 2 and value._fields == ("one", "two")


@pytest.mark.parametrize("name", ["max", "sort", "topk", "svd", "mode", "kthvalue", "linalg_qr", "cummax"])
def test_named_results_of_torch_come_back_as_they_were(name):
    kind = getattr(torch.return_types, name)
    value = kind([torch.ones(index) for index in range(kind.n_sequence_fields)])
    structure, tensors = describe(value)
    structure = json.loads(json.dumps(structure))
    again = rebuild(structure, tensors)
    assert type(again) is kind and all(map(same, again, value))
    assert all(map(same, flatten_like(structure, value), tensors))
    with pytest.raises(CodegenError, match=rf"compiled for a torch.return_types:{name}, called with a tuple"):
        flatten_like(structure, tuple(value))
    elsewhere = rebuild({**structure, "class": "no_such_module:max"}, tensors)
    assert isinstance(elsewhere, tuple) and elsewhere._fields == kind.__match_args__


@dataclass
class Twofold:
    """Its `__init__` neither takes every field nor keeps what it takes."""

    scores: torch.Tensor
    places: torch.Tensor = field(init=False)
    unset: torch.Tensor = field(init=False)
    text: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.scores = self.scores * 2


def test_fields_that_are_no_arguments_of_init_are_kept():
    value = Twofold(torch.ones(2))
    value.places, value.text = torch.zeros(3), "seen"
    structure, tensors = describe(value)
    again = rebuild(json.loads(json.dumps(structure)), tensors)
    assert type(again) is Twofold and again.scores is value.scores and again.places is value.places
    assert again.text == "seen" and not hasattr(again, "unset")
    assert all(map(same, flatten_like(structure, value), tensors))


class DynamicLayer:
    def __init__(self) -> None:
        self.is_initialized = False

    def update(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys, self.values, self.is_initialized = keys.clone(), values.clone(), True


class Cache:
    def __init__(self, pairs=()) -> None:
        self.layers = [self.layer() for _ in pairs]
        for layer, (keys, values) in zip(self.layers, pairs, strict=True):
            layer.update(keys, values)

    layer = DynamicLayer


class DynamicCache(Cache):
    pass


class StaticCache(Cache):
    layer = type("StaticLayer", (DynamicLayer,), {})


@pytest.fixture
def like_transformers(monkeypatch):
    """Classes that look like those of transformers."""
    module = types.ModuleType("transformers.cache_utils")
    for kind in (Cache, DynamicCache, StaticCache):
        monkeypatch.setattr(kind, "__module__", module.__name__)
        monkeypatch.setattr(module, kind.__name__, kind, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("like_transformers")
def test_a_cache_is_its_keys_and_values(monkeypatch):
    pairs = [(torch.ones(1), torch.ones(2)), (torch.ones(3), torch.ones(4))]
    structure, tensors = describe({"past": DynamicCache(pairs)})
    structure = json.loads(json.dumps(structure))
    assert check_structure(structure, "the call") == 4
    assert leaf_names(structure) == ["past[0][0]", "past[0][1]", "past[1][0]", "past[1][1]"]
    again = rebuild(structure, tensors)["past"]
    assert type(again) is DynamicCache and [layer.keys for layer in again.layers] == tensors[::2]
    assert all(map(same, flatten_like(structure, {"past": again}), tensors))
    assert all(
        map(same, flatten_like(structure, {"past": [tuple(pair) for pair in pairs]}), [t for pair in pairs for t in pair])
    )
    monkeypatch.delitem(sys.modules, "transformers.cache_utils")
    assert rebuild(structure, tensors)["past"] == ((tensors[0], tensors[1]), (tensors[2], tensors[3]))


@pytest.mark.usefixtures("like_transformers")
def test_a_cache_that_is_more_than_that_is_refused_with_advice():
    with pytest.raises(CodegenError, match=r"past is a StaticCache of transformers with StaticLayer, .*use_cache=False"):
        describe({"past": StaticCache([(torch.ones(1), torch.ones(2))])})


def test_a_path_in_a_manifest_cannot_name_just_any_function():
    structure = {"kind": "dataclass", "class": "os:system", "keys": ["command"], "items": [{"kind": "none"}]}
    assert rebuild(structure, []) == {"command": None}


def test_a_structure_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Answer:\n    value: object\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    structure = {"kind": "dataclass", "class": "evil_module:Answer", "keys": ["value"], "items": [{"kind": "none"}]}
    assert rebuild(structure, []) == {"value": None} and "evil_module" not in sys.modules
    assert importlib.import_module("evil_module").Answer(None) == rebuild(structure, [])
    monkeypatch.delitem(sys.modules, "evil_module")


def test_a_structure_does_not_wake_lazy_modules(monkeypatch):
    lazy = types.ModuleType("lazy_module")
    lazy.__getattr__ = lambda name: pytest.fail(f"{name} was looked for")
    monkeypatch.setitem(sys.modules, "lazy_module", lazy)
    structure = {"kind": "namedtuple", "class": "lazy_module:Point", "keys": ["x"], "items": [{"kind": "none"}]}
    assert rebuild(structure, []) == (None,)


@pytest.mark.parametrize("value", [{1, 2}, torch.nn.ReLU, b"raw", 1j, {(1, 2): torch.ones(1)}])
def test_other_values_are_refused_with_their_place(value):
    with pytest.raises(CodegenError, match=r"kwargs.odd"):
        describe(call(odd=value))


@dataclass
class ModelOutput(OrderedDict):
    """A dict and a dataclass at once, whose empty fields are not entries."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden: tuple[torch.Tensor, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("loss", "logits", "hidden"):
            if getattr(self, name) is not None:
                super().__setitem__(name, getattr(self, name))


@dataclass
class Doubled:
    """Made from something else than its fields."""

    one: object
    two: object

    def __init__(self, both: object) -> None:
        self.one = self.two = both


def test_a_dataclass_that_is_made_from_something_else_comes_back() -> None:
    structure, leaves = describe(Doubled(torch.ones(2)))
    again = rebuild(structure, leaves)
    assert type(again) is Doubled and again.one is leaves[0] and again.two is leaves[1]


def test_what_no_file_can_keep_is_refused() -> None:
    endless: list[object] = [torch.ones(1)]
    endless.append(endless)
    with pytest.raises(CodegenError, match="holds itself"):
        describe(endless)
    with pytest.raises(CodegenError, match="an int of 16610 bits"):
        describe((torch.ones(1), 10**5000))
