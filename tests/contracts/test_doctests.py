"""The packages that can be used alone show how, and what they show is so."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["codegen", "compress", "mincut"])
def test_examples_in_the_docstrings_of_packages_run(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name))
    assert not failed
    assert tried or name != "codegen"
