"""The process of a verification stores what a half returns to stored tensors, and which results share memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from codegen.loading import load_cut
from codegen.verification.tensor_file import read_tensors, write_tensors
from codegen.verify_process import answer


def test_results_are_those_of_the_head_and_threads_are_as_asked(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = torch.randn(1, 3, 8, 8)
    write_tensors(tmp_path / "in", [x])
    job = {"cut": "cut-0", "inputs": [str(tmp_path / "in")] * 2, "strides": [[list(x.stride())]] * 2}
    job["results"] = [str(tmp_path / "first.out"), str(tmp_path / "second.out")]
    request = {"directory": str(bundle), "half": "head", "format": "torchscript", "threads": 1, "optimize": True, "jobs": [job]}
    (tmp_path / "request.json").write_text(json.dumps(request))
    before = torch.get_num_threads()
    try:
        answer(str(tmp_path / "request.json"))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert capsys.readouterr().out.splitlines() == ["head cut-0"]
    expected = load_cut(bundle, "cut-0", half="head").run_head_flat([x])
    for name in ("first", "second"):
        for result, wanted in zip(read_tensors(tmp_path / f"{name}.out"), expected, strict=True):
            torch.testing.assert_close(result, wanted)
        assert json.loads((tmp_path / f"{name}.json").read_text()) == []
