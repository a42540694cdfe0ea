"""Models by name: found, built alike each time, or refused by saying which part is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from cic.errors import TraceError
from cic.inputs.model_source import load_model

SOURCE = """
from torch import nn
layer = nn.Linear(2, 2)
number = 3
def build(): return nn.Linear(3, 1)
def fail(): raise ValueError("no weights here")
def other(): return 3
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "user_models_for_cic.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "user_models_for_cic"


def test_callable_and_module(source: str) -> None:
    built, args = load_model(f"{source}:build")
    assert isinstance(built, nn.Linear) and args is None
    assert torch.equal(built.weight, load_model(f"{source}:build")[0].weight)
    assert load_model(f"{source}:layer")[0].in_features == 2


def test_working_directory_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models_here_for_cic.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"] + [p for p in __import__("sys").path if p])
    assert isinstance(load_model("models_here_for_cic:build")[0], nn.Linear)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet50", "names no model"),
        (":build", "names no model"),
        ("no_such_package_cic:build", "cannot be imported"),
        ("{source}:missing", "has no 'missing'"),
        ("{source}:number", "neither a module nor callable"),
        ("{source}:fail", "no weights here"),
        ("{source}:other", "returned a int"),
        ("missing.pt2", "no such file"),
        ("torchvision:resnet51", "no model 'resnet51'.*resnet50"),
    ],
)
def test_refusals(text: str, message: str, source: str) -> None:
    with pytest.raises(TraceError, match=message):
        load_model(text.format(source=source))


def test_torchvision_models_have_a_fixed_seed() -> None:
    first, second = (load_model("torchvision:mobilenet_v3_small")[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_exported_program_brings_its_inputs(tmp_path: Path) -> None:
    given = (torch.ones(1, 2),)
    torch.export.save(torch.export.export(nn.Linear(2, 3), given, strict=False), tmp_path / "linear.pt2")
    program, args = load_model(str(tmp_path / "linear.pt2"))
    assert isinstance(program, torch.export.ExportedProgram) and torch.equal(args[0], given[0])


def test_damaged_program_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.pt2").write_bytes(b"not a program")
    with pytest.raises(TraceError, match=r"bad\.pt2"):
        load_model(str(tmp_path / "bad.pt2"))
    assert not caplog.records, "torch's own traceback reaches the user"
