"""Whatever a public function is given, it answers or raises a CicError whose message can be read."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cic
from benchmarks.harness.random_problems import network_shaped
from tests.cic.hand_made import splitting_model


class NoWords:
    def __repr__(self) -> str:
        raise RuntimeError("no words")

    __str__ = __repr__


def _deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    return nested


ODD = [
    *(
        None,
        True,
        0,
        -1,
        10**400,
        10**5000,
        float("nan"),
        float("inf"),
        1e308,
        "",
        "x",
        "\0",
        "\ud800",
        "a" * 100_000,
        b"x",
        3j,
    ),
    *([], [None], ["x"], {}, {"a": 1}, {5: 5}, (), (1, 2), {1, 2}, object(), NoWords(), int, lambda: 1, _deep(), range(3)),
    *(np.zeros(3), np.float32(2), torch.zeros(2), torch.tensor(3.0), iter([1]), Path("/dev/null")),
]
MODEL = splitting_model(network_shaped(random.Random(3), 12), cic.Box(), 0.01, 2.0)
NOWHERE = "/nowhere/at/all"
COMPILE: dict[str, Any] = {"args": (torch.ones(2),), "device": "raspberry-pi-4b", "server": "i7-13700k"}
# What is refused before anything is traced.
EARLY = ("device", "server", "box", "defaults", "precision", "most_minimum_cuts", "most_cuts")


def _no_model(**changed: Any) -> object:
    return cic.compile(torch.nn.Linear(3, 3), **{**COMPILE, **changed})


def _table(**changed: Any) -> object:
    return cic.SplittingModel(MODEL.table.replaced(**changed), MODEL.graph).decide(2e6)


CALLS: dict[str, Callable[[Any], object]] = {
    "load": cic.load,
    "load_profile": cic.load_profile,
    "decide": MODEL.decide,
    **{
        f"decide {name}": lambda odd, name=name: MODEL.decide(1e6, **{name: odd})
        for name in ("rtt", "downlink", "device_slowdown", "server_slowdown", "op_times")
    },
    "save": lambda odd: MODEL.save(odd if not isinstance(odd, str | Path) else f"{NOWHERE}/{odd}"),
    **{
        f"Box {name}": lambda odd, name=name: (cic.Box(**{name: odd}), cic.Box(**{name: (odd, odd)}))
        for name in ("uplink", "downlink_ratio", "rtt", "device_slowdown", "server_slowdown")
    },
    **{f"Conditions {at}": lambda odd, at=at: cic.Conditions(*[1.0] * at, odd, *[1.0] * (4 - at)) for at in range(5)},
    **{f"Precision {name}": lambda odd, name=name: cic.Precision(**{name: odd}) for name in ("codecs", "accuracy", "input")},
    "Precision calibration": lambda odd: cic.Precision("int8", odd),
    "Cut id": lambda odd: cic.Cut(odd, (1, 1, 1, 1, 1), lambda: ((), ())).label,
    "Cut features": lambda odd: cic.Cut("a", odd, lambda: ((), ())).label,
    "Cut codecs": lambda odd: cic.Cut("a", (1, 1, 1, 1, 1), lambda: ((), ()), odd).label,
    **{f"table {name}": lambda odd, name=name: _table(**{name: odd}) for name in MODEL.table.__slots__},
    "SplittingModel table": lambda odd: cic.SplittingModel(odd, MODEL.graph).decide(2e6),
    "SplittingModel graph": lambda odd: cic.SplittingModel(MODEL.table, odd).decide(2e6),
    "export_decision": lambda odd: cic.export_decision(odd, NOWHERE, "c"),
    "export_decision path": lambda odd: cic.export_decision(MODEL, odd, "moon"),
    "export_decision format": lambda odd: cic.export_decision(MODEL, NOWHERE, odd),
    "export_decision prefix": lambda odd: cic.export_decision(MODEL, NOWHERE, "c", prefix=odd),
    "load_cut": lambda odd: cic.load_cut(odd, "cut-01"),
    "load_cut id": lambda odd: cic.load_cut(NOWHERE, odd),
    "load_cut half": lambda odd: cic.load_cut(NOWHERE, "cut-01", half=odd),
    "export_half": lambda odd: cic.export_half(odd, "cut-01", "head", NOWHERE),
    "export_triton": lambda odd: cic.export_triton(odd, NOWHERE),
    "export_triton cuts": lambda odd: cic.export_triton(NOWHERE, NOWHERE, cuts=odd),
    "emit model": lambda odd: cic.emit(torch.nn.ReLU(), odd, NOWHERE),
    **{
        f"emit {name}": lambda odd, name=name: cic.emit(f"{NOWHERE}.onnx", MODEL, NOWHERE, **{name: odd})
        for name in ("verify_on", "cuts", "formats", "storage", "tolerance")
    },
    "trace_model": lambda odd: cic.trace_model(f"{NOWHERE}/{odd}.onnx" if isinstance(odd, str) else odd),
    **{
        f"trace_model {name}": lambda odd, name=name: cic.trace_model(f"{NOWHERE}.onnx", **{name: odd})
        for name in ("args", "kwargs", "shapes", "name")
    },
    **{f"compile {name}": lambda odd, name=name: _no_model(**{name: odd}) for name in EARLY},
}


@pytest.mark.parametrize("call", CALLS)
def test_odd_arguments_are_answered_or_refused(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_trace(*_: object, **__: object) -> object:
        raise cic.TraceError("far enough")

    monkeypatch.setattr("cic.compilation.pipeline.trace_model", no_trace)
    for odd in ODD:
        try:
            CALLS[call](odd)
        except cic.CicError as error:
            assert str(error)


@pytest.mark.parametrize("odd", [None, 1, "False", np.zeros(2), NoWords()])
def test_flags_are_true_or_false_and_the_digest_is_a_text(odd: Any) -> None:
    """A text that says False would replace a directory, taken as true."""
    with pytest.raises(cic.ArgumentError, match="replace"):
        cic.emit(f"{NOWHERE}.onnx", MODEL, NOWHERE, replace=odd)
    with pytest.raises(cic.ArgumentError, match="optimize"):
        cic.load_cut(NOWHERE, "cut-01", optimize=odd)
    if odd is not None and not isinstance(odd, str):
        with pytest.raises(cic.ArgumentError, match="weights_digest"):
            cic.load_cut(NOWHERE, "cut-01", weights_digest=odd)


@pytest.mark.parametrize("side", ["device", "server"])
def test_the_side_without_a_machine_is_named(side: str) -> None:
    with pytest.raises(cic.CostError, match=f"the {side} is described by None"):
        _no_model(**{side: None})
