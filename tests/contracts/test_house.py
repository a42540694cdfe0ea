"""House rules that a program can check: sizes, words, dangerous calls, public names."""

from __future__ import annotations

import ast
import importlib
import tomllib
from pathlib import Path
from statistics import median, quantiles

import pytest

import cic
from tests.contracts.source_files import PRODUCT, ROOT, name_of, product_files, text_files

LONGEST_FILE = 400
LONGEST_BODY, LONGEST_KERNEL = 50, 105
"""Lines of a function without its signature and its docstring."""
MOST_BODIES, MEDIAN_BODY = 25, 6
"""Of 95 functions in 100, and of every other one."""

# Put together from pieces, so that this file is no finding itself.
FORBIDDEN = (
    "/wor" + "k/",
    "sha" + "red/",
    "/ro" + "ot/",
    "/tm" + "p/venv",
    "pypi" + ".org",
    "python" + "hosted",
    "sub" + "agent",
)

# Modules that turn bytes into code.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}

files = pytest.mark.parametrize("path", product_files(), ids=name_of)


@files
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{name_of(path)} does not say what idea lives there"
    assert len(text.splitlines()) <= LONGEST_FILE


@files
def test_functions_are_short(path: Path) -> None:
    limit = LONGEST_KERNEL if "kernels" in path.parts else LONGEST_BODY
    too_long = {name: lines for name, lines in bodies(path) if lines > limit}
    assert not too_long, f"functions of more than {limit} lines: {too_long}"


def test_most_functions_are_far_shorter() -> None:
    lines = [lines for path in product_files() for _, lines in bodies(path)]
    assert quantiles(lines, n=20)[-1] <= MOST_BODIES
    assert median(lines) <= MEDIAN_BODY


def bodies(path: Path) -> list[tuple[str, int]]:
    """Every function of a file with the lines from its first statement after the docstring to its last one."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            statements = node.body[ast.get_docstring(node, clean=False) is not None :]
            last = node.body[-1].end_lineno or 0
            found.append((node.name, last - statements[0].lineno + 1 if statements else 0))
    return found


def test_bodies_are_counted_without_signature_and_docstring(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(
        'def first(\n    a: int,\n) -> int:\n    """One.\n\n    More.\n    """\n    b = a\n\n    return b\n\n\n'
        'def second() -> None:\n    """Nothing."""\n'
    )
    assert bodies(tmp_path / "some.py") == [("first", 3), ("second", 0)]


@files
def test_nothing_read_from_a_file_is_run_as_code(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not findings(tree), f"{name_of(path)}: {findings(tree)}"


def findings(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"import {name.name}" for name in node.names if name.name.partition(".")[0] in UNSAFE_MODULES]
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNSAFE_MODULES:
            found.append(f"from {node.module}")
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called in ("eval", "exec", "builtins.eval", "builtins.exec"):
                found.append(f"line {node.lineno}: {called}")
            if called == "torch.load" and options.get("weights_only") != "True":
                found.append(f"line {node.lineno}: torch.load without weights_only=True")
            if options.get("allow_pickle", "False") != "False":
                found.append(f"line {node.lineno}: allow_pickle")
    return found


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from dill import loads", "eval('1')", "torch.load(path)", "np.load(path, allow_pickle=True)"],
)
def test_dangerous_code_is_found(code: str) -> None:
    assert findings(ast.parse(code))


@pytest.mark.parametrize("path", text_files(), ids=name_of)
def test_no_text_names_the_machine_it_was_written_on(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [word for word in FORBIDDEN if word in text] == []


def test_public_names_resolve() -> None:
    assert sorted(cic.__all__) == list(cic.__all__)
    for name in cic.__all__:
        assert getattr(cic, name) is not None


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cic.__version__ == project["version"]


@pytest.mark.parametrize("package", PRODUCT)
def test_packages_are_ours(package: str) -> None:
    """Their names are common; another package of that name must not be what is tested, or shipped."""
    file = importlib.import_module(package).__file__
    assert file is not None and Path(file).resolve() == ROOT / package / "__init__.py"
