"""The Python file of a table answers what the table says, and nothing else of it is needed."""

from __future__ import annotations

import ast

import pytest

from codegen.decision.python_module import python_module
from tests.codegen.decision.small_tables import two_cuts


@pytest.fixture(scope="module")
def made() -> dict:
    names: dict = {}
    exec(python_module(two_cuts()), names)  # the project's own source, made on the line before
    return names


def test_the_best_cut_is_the_one_of_the_least_sum(made: dict) -> None:
    for uplink in (2e5, 5e6, 9.9e6, 1.1e7, 5e8):
        latencies = (0.01 + 1e6 / uplink, 0.11)
        best = latencies.index(min(latencies))
        assert made["decide"](uplink) == made["decide_all"](uplink, uplink, 0.0, 1.0, 1.0) == best
        assert made["latency_s"](best, made["default_conditions"](uplink)) == pytest.approx(min(latencies), rel=1e-15)
        assert made["cut_id"](best) == two_cuts().cut_ids[best]


def test_outside_the_box_only_the_best_known_is_told(made: dict) -> None:
    assert made["decide"](1e4) == made["OUTSIDE"] and made["best_known"]((1e4, 1e4, 0.0, 1.0, 1.0)) == 1
    assert made["decide"](-1.0) == made["decide"](float("nan")) == made["INVALID"]


def test_it_imports_nothing() -> None:
    tree = ast.parse(python_module(two_cuts()))
    assert ast.get_docstring(tree)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
