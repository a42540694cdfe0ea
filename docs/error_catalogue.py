"""Writes docs/errors.md, every message of every error, from the sources and docs/error_notes.toml: `make map`.

A message is read where it stands in the sources: `raise EmitError(f"{path}: no such cut")` is the message `…: no such cut`.
The notes say what a message does not say itself. A note belongs to the messages that contain its phrase; `also` lists the
messages that are put together elsewhere than where they are raised.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cic", "codegen", "mincut", "compress")
NOTES = ROOT / "docs" / "error_notes.toml"
PAGE = ROOT / "docs" / "errors.md"
HEAD = """# Errors

Each message that CIC can raise or warn with, by its class. `…` stands for the names and values of the case. A caller of `cic`
gets a subclass of `cic.errors.CicError` only. A refusal leaves models and files as they were. `make map` writes this page from
the sources and [error_notes.toml](error_notes.toml), and a test checks that it is current.
"""


def page() -> str:
    """The whole of docs/errors.md; ValueError if a note fits no message."""
    notes: dict[str, Any] = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    found = messages()
    if strangers := set(notes) - set(found):
        raise ValueError(f"{NOTES.name} has notes on {', '.join(sorted(strangers))}, which is no class of ours")
    return "\n".join([HEAD, *(_section(name, found[name], notes.get(name, {})) for name in found)])


def messages() -> dict[str, list[str]]:
    """The messages of each error class, in alphabetical order; classes as their packages list them."""
    found: dict[str, set[str]] = {name: set() for package in PACKAGES for name in _classes(package)}
    for tree in _sources():
        constants = _text_constants(tree)
        returned = _returned_texts(tree)
        for node in ast.walk(tree):
            name, message = _raised(node)
            if name in found:
                patterns = [_pattern(each, constants) for each in _made_by(message, returned)]
                found[name] |= {re.sub("…+", "…", pattern) for pattern in patterns}
    return {name: sorted(filter(_says_something, texts), key=_place) for name, texts in found.items()}


def _section(name: str, texts: list[str], notes: dict[str, Any]) -> str:
    """One class: what it is, messages with more to say than themselves in a table, then the others."""
    if "about" not in notes:
        raise ValueError(f"{NOTES.name} does not say what {name} is; add about = '…' to [{name}]")
    also = notes.get("also", [])
    _check_sources_have(name, also)
    texts = sorted({*texts, *also}, key=_place)
    explained = {text: note for note in notes.get("notes", []) for text in _matching(name, note["phrase"], texts)}
    lines = [f"## {name}", "", notes["about"], ""]
    if explained:
        lines += ["| message | why | what to do |", "| --- | --- | --- |"]
        lines += [f"| `{_cell(text)}` | {note['why']} | {note['remedy']} |" for text, note in explained.items()]
        lines.append("")
    plain = [text for text in texts if text not in explained]
    if explained and plain:
        lines += ["Further messages:", ""]
    lines += [f"* `{text}`" for text in plain]
    return "\n".join([*lines, ""] if plain else lines)


def _matching(name: str, phrase: str, texts: list[str]) -> list[str]:
    matching = [text for text in texts if phrase in text]
    if not matching:
        raise ValueError(f"{NOTES.name} explains {phrase!r}, which no {name} says; correct the phrase, or drop the note")
    return matching


def _classes(package: str) -> list[str]:
    tree = ast.parse(ROOT.joinpath(package, "errors.py").read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


@cache
def _sources() -> tuple[ast.Module, ...]:
    paths = (path for package in PACKAGES for path in sorted(ROOT.joinpath(package).rglob("*.py")))
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in paths)


def _text_constants(tree: ast.Module) -> dict[str, str]:
    """Texts that a module gives a name, which its messages may hold."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _returned_texts(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What a module's functions return, of which some make messages."""
    return {
        function.name: [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
    }


def _raised(node: ast.AST) -> tuple[str, ast.expr]:
    """Class and message where one may be made: `EmitError(message)`, or a block whose errors get words of ours before them."""
    match node:
        case ast.Call(ast.Name("codegen_error_as"), [ast.Name(name), message]):
            return name, ast.BinOp(message, ast.Add(), ast.Constant(": …"))
        case ast.Call(ast.Name("as_codegen_error"), [message]):
            return "CodegenError", ast.BinOp(message, ast.Add(), ast.Constant(": …"))
        case ast.Call(ast.Name(name), [message, *_]):
            return name, message
        case _:
            return "", ast.Constant("")


def _made_by(message: ast.expr, returned: dict[str, list[ast.expr]]) -> list[ast.expr]:
    """A message, or all that a function of the same module may return as one."""
    match message:
        case ast.Call(ast.Name(name)) if name in returned:
            return returned[name]
        case _:
            return [message]


def _pattern(message: ast.expr, constants: dict[str, str]) -> str:
    """A message with … for all that depends on the case."""
    match message:
        case ast.Constant(value=str(text)):
            return text.replace("`", "'").replace("\n", " ")
        case ast.JoinedStr(values=values):
            return "".join(_pattern(value, constants) for value in values)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _pattern(left, constants) + _pattern(right, constants)
        case ast.FormattedValue(value=ast.Name(id=name)) | ast.Name(id=name) if name in constants:
            return constants[name].replace("`", "'")
        case _:
            return "…"


def _says_something(text: str) -> bool:
    """Is there more to a message than what another error said?"""
    return any(character.isalpha() for character in text)


def _place(text: str) -> tuple[str, str]:
    """Where a message stands in a list: by its first letter, so that it moves only when it is changed."""
    return text.lstrip("… :;,.'\"(-").casefold(), text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _check_sources_have(name: str, also: list[str]) -> None:
    for text in also:
        piece = max(text.split("…"), key=len)
        if not any(piece in constant for constant in _all_constants()):
            raise ValueError(f"{NOTES.name} lists the {name} {text!r}, and no source has {piece!r}; correct or drop it")


@cache
def _all_constants() -> tuple[str, ...]:
    nodes = (node for tree in _sources() for node in ast.walk(tree))
    return tuple(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


if __name__ == "__main__":
    try:
        PAGE.write_text(page(), encoding="utf-8")
    except ValueError as error:
        sys.exit(f"error_catalogue: {error}")
