"""docs/errors.md names every refusal in the program, and each way a trace is refused is provoked here or beside its code."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import cic.errors
import codegen.errors
import compress.errors
import mincut.errors
from cic.errors import EmitError, TraceError
from cic.inputs.example_inputs import describe_inputs
from cic.inputs.input_text import parse_input
from cic.inputs.model_source import load_model
from cic.trace.fx.torch_trace import trace
from docs import error_catalogue
from docs.error_catalogue import page

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"cic": cic.errors, "codegen": codegen.errors, "mincut": mincut.errors, "compress": compress.errors}
PAGE = ROOT / "docs" / "errors.md"


def classes() -> set[str]:
    """The names of all errors and warnings of ours."""
    return {
        name
        for errors in PACKAGES.values()
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }


def refusals() -> Iterator[tuple[str, Path, str]]:
    """Yield class, file and longest fixed piece of the message of every error made in the program."""
    names = classes()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(ast.Name(name), [message, *_]) if name in names:
                        yield name, path, max(_fixed_pieces(message), key=len, default="")
                    case ast.Call(ast.Name("codegen_error_as"), [ast.Name(name), message]):
                        yield name, path, max(_fixed_pieces(message), key=len, default="")


def _fixed_pieces(message: ast.expr) -> list[str]:
    values = message.values if isinstance(message, ast.JoinedStr) else [message]
    return [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]


def test_every_refusal_is_in_the_catalogue() -> None:
    sections = {part.splitlines()[0]: part for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]}
    assert set(sections) == classes()
    missing = [
        f"{name} in {path.relative_to(ROOT)}: {piece!r}"
        for name, path, piece in refusals()
        if piece.strip(" :.;,") and piece.replace("`", "'") not in sections[name].replace("\\|", "|")
    ]
    assert not missing, "run `make map`, which writes docs/errors.md; it lacks:\n" + "\n".join(missing)


def test_the_catalogue_is_as_the_sources_say() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "docs/errors.md is out of date: run `make map`"


@pytest.mark.parametrize(
    "note", ["[CicError]\nabout = ''\n[NoError]\nabout = ''", "[CicError]\nabout = ''\nalso = ['no such words … of ours']"]
)
def test_notes_that_fit_no_message_are_found(note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = tmp_path / "notes.toml"
    notes.write_text(note, encoding="utf-8")
    monkeypatch.setattr(error_catalogue, "NOTES", notes)
    with pytest.raises(ValueError, match=r"NoError|no such words"):
        page()


class Adds(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.ones(3)


class Decides(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x


def _saved(path: Path, value: object) -> str:
    torch.save(value, path)
    return str(path)


def _no_example() -> None:
    program = torch.export.export(Adds(), (torch.ones(3),), strict=False)
    program.example_inputs = None
    trace(program)


def _other_structure() -> None:
    trace(torch.export.export(Adds(), (torch.ones(3),), strict=False), (), {"x": torch.ones(3)})


PROVOKED: dict[str, Callable[[Path], object]] = {
    "pass args or kwargs with example tensors": lambda _: trace(Adds(), ()),
    "args is a tensor": lambda _: trace(Adds(), torch.ones(3)),
    "which cannot be traced; pass a module": lambda _: trace(lambda x: x, (torch.ones(3),)),
    "holds no example inputs": lambda _: _no_example(),
    "the program was exported for the arguments": lambda _: _other_structure(),
    "cannot be traced. ": lambda _: trace(Decides(), (torch.ones(3),)),
    " cannot run the example call: ": lambda _: trace(Adds(), (torch.ones(4),)),
    "is on the meta device, which has no values": lambda _: trace(Adds(), (torch.ones(3, device="meta"),)),
    "cannot be kept: ": lambda _: trace(Adds(), (object(), torch.ones(3))),
    "no shape yet, since its module is lazy": lambda _: trace(nn.Sequential(nn.LazyLinear(3)), (torch.ones(2, 2),)),
    "let it be a tensor (torch.as_tensor) or a number of Python": lambda _: trace(Adds(), (torch.ones(3), numpy.ones(3))),
    " tensor, which cannot be sent": lambda _: trace(Adds(), (torch.eye(3).to_sparse(),)),
    "the arguments cannot be kept: ": lambda _: trace(Adds(), (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),)),
    "the inputs cannot be described": lambda _: describe_inputs((object(),), {}),
    "is neither a shape such as": lambda _: parse_input("three"),
    "has the unknown type": lambda _: parse_input("1x3:float7"),
    ": no such file": lambda folder: parse_input(str(folder / "absent.npy")),
    " cannot be read as ": lambda folder: parse_input(str(_written(folder / "bad.npz", b"nonsense"))),
    " holds no tensor": lambda folder: parse_input(_saved(folder / "empty.pt", [])),
    "save a tensor or a list of tensors": lambda folder: parse_input(_saved(folder / "text.pt", ["text"])),
    "names no model": lambda _: load_model("resnet50"),
    "is not an exported program": lambda folder: load_model(str(_written(folder / "bad.pt2", b"nonsense"))),
    " cannot be imported: ": lambda _: load_model("no_such_package_at_all:Model"),
    " has no 'Absent'": lambda _: load_model("torch.nn:Absent"),
    "neither a module nor callable": lambda _: load_model("math:pi"),
    "() failed: ": lambda _: load_model("torch.nn:Linear"),
    "instead of a torch.nn.Module": lambda _: load_model("builtins:dict"),
}


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("phrase", PROVOKED)
def test_refused_with_the_catalogued_message(phrase: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError) as caught:
        PROVOKED[phrase](tmp_path)
    assert phrase in str(caught.value)


def test_an_operator_that_importing_its_module_does_not_register_is_refused_by_name(tmp_path: Path) -> None:
    library = torch.library.Library("cic_test_catalogue", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CPU")
    library.impl("twice", torch.empty_like, "Meta")

    class Foreign(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.cic_test_catalogue.twice(x + 1)

    splitting_model = cic.compile(Foreign(), (torch.ones(3),), device="raspberry-pi-4b", server="i7-13700k")
    with pytest.raises(EmitError, match=r"Foreign: .*does not register cic_test_catalogue::twice"):
        cic.emit(Foreign(), splitting_model, tmp_path / "halves")


def test_object_arrays_are_not_unpickled(tmp_path: Path) -> None:
    numpy.save(tmp_path / "objects.npy", numpy.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(TraceError, match="cannot be read as"):
        parse_input(str(tmp_path / "objects.npy"))


def test_another_batch_is_refused_by_name(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    splitting_model = cic.compile(model, (torch.randn(4, 6),), device="raspberry-pi-4b", server="i7-13700k")
    cic.emit(model, splitting_model, tmp_path / "halves", verify_on=[((torch.randn(4, 6),), {})])
    cut = cic.load_cut(tmp_path / "halves", splitting_model.cuts[0].id)
    message = r"compiled for float32 of shape \(4, 6\), called with float32 of shape \(8, 6\)"
    with pytest.raises(EmitError, match=message):
        cut.head(torch.randn(8, 6))
    assert len(cut.tail(*cut.head(torch.randn(4, 6)))) == 4
