"""Weights from a file: those that were saved, however they were saved, or one line that says what does not fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from cic.cli import main
from cic.errors import InputError
from cic.inputs.weights_file import put_weights, read_weights
from codegen.manifest import read_manifest
from tests.cic.conftest import MACHINES
from tests.codegen.unverified import unverified  # noqa: F401 - processes that run halves take seconds


class Net(nn.Module):
    """Has what state dicts can have: statistics, a scalar, and one tensor by two names."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.words, self.norm = nn.Embedding(classes, 4), nn.BatchNorm1d(4)
        self.last = nn.Linear(4, classes, bias=False)
        self.last.weight = self.words.weight

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(self.norm(x))


def drawn(seed: int) -> Net:
    torch.manual_seed(seed)
    made = Net()
    nn.init.uniform_(made.norm.running_mean)
    return made.eval()


def read_into(file: Path) -> Net:
    model = drawn(2)
    put_weights(model, read_weights(str(file)), str(file), "nets:Net")
    return model


SAVED: dict[str, Callable[[Net, Path], None]] = {
    "w.safetensors": lambda net, path: save_model(net, str(path)),  # has one name of the tensor that has two
    "w.pth": lambda net, path: torch.save(net.state_dict(), path),
    "w.tar": lambda net, path: torch.save({"epoch": 3, "state_dict": net.state_dict()}, path),
    "w.ckpt": lambda net, path: torch.save({"model": nn.DataParallel(net).state_dict(), "best": 0.5}, path),
    "old.bin": lambda net, path: torch.save(
        {name: value for name, value in net.state_dict().items() if "num_batches" not in name}, path
    ),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_model_answers_as_the_one_that_was_saved(name: str, tmp_path: Path) -> None:
    saved, x = drawn(1), torch.randn(3, 4)
    SAVED[name](saved, tmp_path / name)
    read = read_into(tmp_path / name)
    assert torch.equal(read(x), saved(x)) and read.last.weight is read.words.weight
    assert not torch.equal(drawn(2)(x), saved(x)), "the test compares nothing"


REFUSED: dict[str, tuple[Callable[[Net, Path], Any], str]] = {
    "missing": (
        lambda net, path: torch.save({"norm.weight": net.norm.weight.data}, path),
        r"lacks \d of .* \(words.weight, norm",
    ),
    "unexpected": (
        lambda net, path: torch.save({**net.state_dict(), "head.bias": torch.ones(1)}, path),
        r"1 of its 8 are none of the model's \(head.bias\); name the model",
    ),
    "shape": (
        lambda net, path: torch.save(Net(5).state_dict(), path),
        "words.weight is float32 5x4 there and float32 2x4 in the model",
    ),
    "kind": (
        lambda net, path: torch.save({**net.state_dict(), "norm.bias": torch.ones(4, dtype=torch.int8)}, path),
        "norm.bias is int8 4 there",
    ),
    "whole model": (torch.save, r"holds more than tensors, .* save model.state_dict\(\)"),
    "no state dict": (lambda net, path: torch.save([torch.ones(1)], path), "holds no state dict"),
    "damaged": (lambda net, path: path.write_bytes(b"PK nothing"), "damaged"),
    "damaged safetensors": (lambda net, path: path.write_bytes(b"{}"), "cannot be read as safetensors"),
    "absent": (lambda net, path: None, "no such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_named_and_changes_nothing(case: str, tmp_path: Path) -> None:
    write, message = REFUSED[case]
    file = tmp_path / ("w.safetensors" if "safetensors" in message else "w.pt")
    write(drawn(1), file)
    model = drawn(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        put_weights(model, read_weights(str(file)), "w.pt", "nets:Net")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "trapped"),)

    torch.save({"norm.weight": Trap()}, tmp_path / "w.pt")
    with pytest.raises(InputError, match="could run anything"):
        read_weights(str(tmp_path / "w.pt"))
    assert not (tmp_path / "trapped").exists()


_SOURCE = "from torch import nn\ndef net(): return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)).eval()\n"


def test_commands_take_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets_with_weights.py").write_text(_SOURCE)
    torch.manual_seed(5)  # another than that of models which are built by name
    trained = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    save_file(trained.state_dict(), str(tmp_path / "w.safetensors"))
    model = "nets_with_weights:net"

    def said(code: int, *arguments: str) -> str:
        assert main(list(arguments)) == code
        return capsys.readouterr().err

    compile_it = ("compile", model, "--input", "1x6", *MACHINES, "-o")
    said(0, *compile_it, "m.cic", "--weights", "w.safetensors")
    emit = ("emit", model, "m.cic", "--cut", "server-only", "-o")
    assert "other weights" not in said(0, *emit, "trained.split", "--weights", "w.safetensors")
    assert "other weights than m.cic was compiled with" in said(0, *emit, "random.split")
    digests = {name: read_manifest(tmp_path / name).weights_digest for name in ("trained.split", "random.split")}
    assert len(set(digests.values())) == 2
    assert "--storage" in said(2, *emit, "x.split", "--weights", "shared")
    assert "w.safetensors' is read from" in said(2, *compile_it, "w.safetensors", "--weights", "w.safetensors")
    assert "brings its own" in said(2, "compile", "m.onnx", *compile_it[2:], "x.cic", "--weights", "w.safetensors")
    assert "has random weights" in said(2, "compile", "torchvision:none", *compile_it[2:], "x.cic")
