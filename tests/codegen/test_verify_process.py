"""The process of a verification stores what a half returns to stored tensors, and which results share memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from codegen.errors import CodegenError
from codegen.loading import load_cut
from codegen.verification import equivalence
from codegen.verification.tensor_file import read_tensors, write_tensors
from codegen.verify_process import answer


@pytest.mark.parametrize(("broken", "told"), [(None, ""), ("head", "head"), ("tail", "tail")])
def test_halves_are_run_by_forks_and_the_one_that_fails_is_named(
    broken: str | None, told: str, bundle: Path, tmp_path: Path
) -> None:
    x = torch.randn(1, 3, 8, 8)
    write_tensors(tmp_path / "in", [x])
    asked = {"directory": str(bundle), "format": "torchscript", "optimize": False}
    given = {"head": "in", "tail": "head.out"}
    requests = [
        {
            **asked,
            "half": half,
            "jobs": [
                {
                    "cut": "none" if half == broken else "cut-0",
                    "inputs": [str(tmp_path / given[half])],
                    "results": [str(tmp_path / f"{half}.out")],
                    **({"strides": [[list(x.stride())]]} if half == "head" else {}),
                }
            ],
        }
        for half in ("head", "tail")
    ]
    lines: list[str] = []
    if broken is None:
        equivalence._run_fresh(requests, tmp_path, lines.append)
        assert lines == ["head cut-0", "tail cut-0"]
    else:
        with pytest.raises(CodegenError, match=f"verifies each {told} ended with code 1: .*there is no cut 'none'"):
            equivalence._run_fresh(requests, tmp_path, lines.append)
    assert (tmp_path / "head.out").exists() == (broken != "head")
    assert (tmp_path / "tail.out").exists() == (broken is None)


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
