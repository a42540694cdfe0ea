"""Halves are verified, and run, in processes that never imported the model's own code, though they could."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import cic

MODEL = """
import os, pathlib, torch
from torch import nn

with open(pathlib.Path(__file__).with_name("imports.txt"), "a") as record:
    print(os.getpid(), file=record)

class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        y = Doubled.apply(self.first(x))
        view = y[:, 1:3]
        y.mul_(x.mean().item())
        return {"answer": self.second(y), "view": view}
"""

RUN = """
import json, sys
import cic, torch
from safetensors.torch import load_file
x = load_file("x.safetensors")["0"]
for cut_id in sys.argv[1:]:
    cut = cic.load_cut("halves", cut_id)
    answer = cut.tail(*cut.head(x))
    assert "hostile_own_model" not in sys.modules
    print(json.dumps({key: value.tolist() for key, value in answer.items()}))
"""


def test_the_models_own_code_is_imported_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hostile_own_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    search_path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", search_path)  # those processes could import it, too
    torch.manual_seed(0)
    model = importlib.import_module("hostile_own_model").Own().eval()
    x = torch.randn(4, 6)
    splitting_model = cic.compile(model, (x,), device="raspberry-pi-zero-2w", server="i7-13700k")
    told: list[cic.Progress] = []
    cic.emit(model, splitting_model, tmp_path / "halves", verify_on=[((x,), {})], progress=told.append)
    assert {f"{half} {cut.id}" for half in ("head", "tail") for cut in splitting_model.cuts} <= {each.text for each in told}
    assert [each.done for each in told if each.done] == list(range(1, 3 * len(splitting_model.cut_by_id) + 1))
    assert told[-1].done == told[-1].of

    other = torch.randn(4, 6) + 1
    save_file({"0": other}, tmp_path / "x.safetensors")
    with torch.no_grad():
        expected = model(other)
    ids = [cut.id for cut in splitting_model.cuts]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *ids], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(ids)
    for given in answers:
        assert all(torch.allclose(torch.tensor(given[key]), expected[key], rtol=1e-4, atol=1e-5) for key in expected)
    assert (tmp_path / "imports.txt").read_text().split() == [str(os.getpid())]
