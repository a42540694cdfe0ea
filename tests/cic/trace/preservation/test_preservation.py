"""Whatever happens to a model while it is traced, it is as it was afterwards, whether it was traced or refused."""

from __future__ import annotations

import functools
import random
from array import array
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from threading import local
from typing import Any
from weakref import WeakKeyDictionary

import numpy
import pytest
import torch
from torch import Tensor, nn

import cic
from cic.errors import TraceError
from cic.trace.fx.torch_trace import trace
from cic.trace.preservation.places import settled
from cic.trace.preservation.preservation import preserved
from tests.codegen.unverified import unverified  # noqa: F401 - emission takes seconds where halves run in processes of their own

TABLES: dict[int, Tensor] = {}

LATEST: Tensor | None = None

BY_MODEL: WeakKeyDictionary[nn.Module, Tensor] = WeakKeyDictionary()

OF_THREAD = local()

OF_CONTEXT: ContextVar[Tensor | None] = ContextVar("OF_CONTEXT", default=None)


@functools.lru_cache
def cached_table(length: int) -> Tensor:
    return torch.arange(float(length))


class Settings:
    __slots__ = ("table",)
    shared: Tensor | None = None


class Keeper(nn.Module):
    """Keeps what `body` makes it keep, in one of many places."""

    def __init__(self, body: Callable[[Keeper, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.body = nn.Linear(4, 4), body
        self.register_buffer("table", torch.zeros(2))
        self.plain, self.count, self.log, self.ready = torch.zeros(4), 0, [torch.zeros(1)], False
        self.recent: deque[Any] = deque([1, 2], maxlen=2)
        self.seen, self.settings, self.array = {"a"}, Settings(), numpy.zeros(3)
        self.bytes, self.numbers = bytearray(1), array("i", [0])
        self.dice, self.generator = random.Random(0), torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.body(self, x)


def grows(m: Keeper, x: Tensor) -> Tensor:
    if m.table.shape[0] < x.shape[0]:
        m.table = torch.arange(float(x.shape[0]))
    return m.table[: x.shape[0], None]


def keeps_new_attribute(m: Keeper, x: Tensor) -> Tensor:
    m.last, m.count = x * 2, m.count + 1
    return m.last


def fills_containers(m: Keeper, x: Tensor) -> Tensor:
    m.log.append(x)
    m.recent.append(x)
    m.seen.add(len(m.seen))
    m.settings.table = x
    Settings.shared = x
    return x


def fills_a_global_dictionary(m: Keeper, x: Tensor) -> Tensor:
    if len(x) not in TABLES:
        TABLES[len(x)] = torch.arange(float(len(x)))
    return TABLES[len(x)][:, None]


def sets_a_global(m: Keeper, x: Tensor) -> Tensor:
    global LATEST  # noqa: PLW0603
    if LATEST is None:
        LATEST = torch.ones(4)
    return x + LATEST


def uses_a_cached_function(m: Keeper, x: Tensor) -> Tensor:
    return cached_table(len(x))[:, None]


def fills_places_of_the_standard_library(m: Keeper, x: Tensor) -> Tensor:
    if m not in BY_MODEL:
        BY_MODEL[m] = OF_THREAD.table = torch.ones(4)
    OF_CONTEXT.set(x)
    m.bytes[0], m.numbers[0] = 7, 7
    return BY_MODEL[m] + OF_THREAD.table


def changes_settings(m: Keeper, x: Tensor) -> Tensor:
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = True
    torch.set_grad_enabled(True)
    return x


def fills_in_place_once(m: Keeper, x: Tensor) -> Tensor:
    if not m.ready:
        m.plain.copy_(torch.arange(4.0))
        m.ready = True
    return m.plain


def changes_hooks_and_flags(m: Keeper, x: Tensor) -> Tensor:
    if not m.layer._forward_hooks:
        m.layer.register_forward_hook(lambda *_: None)
    m.layer.training = True
    m.layer.weight.requires_grad_(False)
    return x


def draws(m: Keeper, x: Tensor) -> Tensor:
    m.array += m.dice.random() + random.random() + numpy.random.rand()
    torch.rand(1, generator=m.generator)
    torch.rand(1)
    return x


def writes_through_data(m: Keeper, x: Tensor) -> Tensor:
    m.plain.data = m.plain.data * 0.9 + x.mean(0)
    return m.plain


def writes_to_a_buffer(m: Keeper, x: Tensor) -> Tensor:
    m.table.add_(1)
    return x * m.table[0]


def turns_a_buffer(m: Keeper, x: Tensor) -> Tensor:
    m.plain.unsqueeze_(0)
    return x


def is_interrupted(m: Keeper, x: Tensor) -> Tensor:
    m.count, m.plain = m.count + 1, x
    if torch.compiler.is_exporting():
        raise KeyboardInterrupt
    return x


def raises(m: Keeper, x: Tensor) -> Tensor:
    m.plain, m.table = x, x
    raise ValueError("no")


SPLIT = (
    *(grows, keeps_new_attribute, fills_containers, fills_a_global_dictionary, sets_a_global, uses_a_cached_function),
    *(fills_in_place_once, changes_hooks_and_flags, turns_a_buffer, fills_places_of_the_standard_library, changes_settings),
)

REFUSED = draws, writes_through_data, writes_to_a_buffer, is_interrupted, raises


def everything(model: Keeper) -> list[Any]:
    """All that the bodies above change, as values that can be compared; tensors with their identity and bytes."""

    def described(value: Any) -> Any:
        if isinstance(value, Tensor):
            return id(value), type(value), value.device, tuple(value.shape), value.stride(), value.requires_grad, value.tolist()
        if isinstance(value, dict):
            return [(key, described(item)) for key, item in value.items()]
        if isinstance(value, list | tuple | deque):
            return [described(item) for item in value]
        return (
            value.tolist()
            if isinstance(value, numpy.ndarray | array)
            else bytes(value)
            if isinstance(value, bytearray)
            else value
        )

    parts = [(id(part), vars(part)) for part in model.modules()]
    outside = TABLES, LATEST, Settings.shared, hasattr(model.settings, "table"), cached_table.cache_info()
    kept = len(BY_MODEL), vars(OF_THREAD), OF_CONTEXT.get()
    settings = (
        *(torch.get_default_dtype(), torch.get_float32_matmul_precision(), torch.is_grad_enabled()),
        *(torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
    )
    states = model.dice.getstate(), random.getstate(), numpy.random.get_state()[1].tolist()
    generators = model.generator.get_state().tolist(), torch.get_rng_state().tolist()
    return [described([number, own]) for number, own in parts] + [
        described(outside),
        described(kept),
        settings,
        states,
        generators,
    ]


@pytest.mark.parametrize("body", [*SPLIT, *REFUSED], ids=lambda body: body.__name__)
def test_the_model_is_as_it_was(body: Callable[[Keeper, Tensor], Tensor]) -> None:
    model, example = Keeper(body).train(), torch.randn(4, 4)
    model.layer.eval()
    before, given = everything(model), example.clone()
    try:
        trace(model, (example,))
        assert body in SPLIT or body is draws
    except (TraceError, KeyboardInterrupt):
        assert body in REFUSED
    assert everything(model) == before
    assert torch.equal(example, given)


@pytest.mark.parametrize("body", SPLIT, ids=lambda body: body.__name__)
def test_the_graph_is_the_same_before_and_after_a_call(body: Callable[[Keeper, Tensor], Tensor]) -> None:
    """Or `emit` would not know a model that somebody has called since it was compiled."""
    model, example = Keeper(body).eval(), torch.randn(4, 4)
    with preserved(model):
        fresh = trace(model, (example,))
        model(example)
        called = trace(model, (example,))
        assert fresh.graph.digest == called.graph.digest
        assert torch.equal(fresh.module(example)[0], called.module(example)[0])
    # The traced module holds values of its own of what was put back meanwhile.
    with torch.no_grad(), preserved(model):
        assert torch.allclose(fresh.module(example)[0], model(example))


def test_halves_compute_where_weights_are_watched_instead_of_copied(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.jit makes a constant of what it records while writes are watched."""
    monkeypatch.setattr("cic.trace.preservation.preservation.COPIED_WEIGHT_BYTES", 0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 2)).eval()
    example, other = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    compiled = cic.compile(model, (example,), device="raspberry-pi-4b", server="epyc-7742")
    cic.emit(model, compiled, tmp_path / "halves", cuts=["server-only"])
    cut = cic.load_cut(tmp_path / "halves", "server-only")
    assert torch.allclose(cut.tail(*cut.head(other)), model(other), rtol=1e-4, atol=1e-5)


def test_emission_leaves_the_model_too(tmp_path: Any) -> None:
    model, example = Keeper(grows).train(), torch.randn(4, 4)
    before = everything(model)
    compiled = cic.compile(model, (example,), device="raspberry-pi-4b", server="i7-13700k")
    cic.emit(model, compiled, tmp_path / "halves")
    assert everything(model) == before


def test_what_every_call_changes_is_no_cache() -> None:
    before, first, second = {"a": 1, "b": 2}, {"a": 5, "b": 3, "c": "x"}, {"a": 5, "b": 4, "c": "x", "d": 0}
    assert settled(before, first, second, by_name=True) == {"a": 5, "b": 2, "c": "x"}
    assert settled(before, first, second, by_name=False) == before
    assert settled(before, first, dict(first), by_name=False) == first
