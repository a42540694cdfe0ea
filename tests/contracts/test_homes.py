"""A module's test is where its name says, and `codegen` is tested without `cic` but for files that are named here."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contracts.source_files import ROOT

TESTS = ROOT / "tests"
PACKAGES = ("cic", "codegen", "compress", "mincut")

WHOLE_WAYS = {
    "cic/codec/test_payload_format.py",
    "cic/commands/test_codecs.py",
    "cic/commands/test_warnings.py",
    "cic/compilation/test_codecs_compiled.py",
    "cic/trace/fx/test_random_writes.py",
    "codegen/decision/test_sources.py",
    "codegen/serving/test_triton_server.py",
    "codegen/test_memory.py",
    "compress/test_conditions.py",
    "mincut/test_face.py",
    "mincut/test_optimum.py",
}
"""Tests of several modules together, or of one property of a module that has a test of its name besides."""

WITH_CIC = {
    "decision/test_sources.py",
    "flat_module.py",
    "formats/test_plain_operators.py",
    "onnx_models.py",
    "serving/test_triton_repository.py",
    "splitters/test_onnx.py",
    "test_memory.py",
    "weights/test_onnx_file.py",
    "weights/test_onnx_weights.py",
}
"""Files under tests/codegen that take traced networks or splitting models from `cic`; none may come to them."""


def names_a_module(path: Path) -> bool:
    named = ROOT / path.with_name(path.stem.removeprefix("test_"))
    return named.is_dir() or named.with_suffix(".py").is_file()


def test_every_test_is_named_after_a_module_or_a_room() -> None:
    found = [path.relative_to(TESTS) for package in PACKAGES for path in (TESTS / package).rglob("test_*.py")]
    assert len(found) > 80
    assert {path.as_posix() for path in found if not names_a_module(path)} == WHOLE_WAYS


def test_codegen_is_tested_without_cic() -> None:
    tests = (TESTS / "codegen").rglob("*.py")
    using = [path for path in tests if re.search(r"^\s*(from|import) cic\b", path.read_text(encoding="utf-8"), flags=re.M)]
    assert {path.relative_to(TESTS / "codegen").as_posix() for path in using} == WITH_CIC
