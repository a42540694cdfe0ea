"""Which files an ONNX model names for its weights, seen before ONNX Runtime opens them: it would open any file of the machine.

Versions before 1.24 follow absolute paths and "..", and all of them read memory at an address that a model gives. The names are
read off the wire format (`codegen.weights.protobuf_spans`), so weights are passed over, and a device needs no package `onnx`.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from codegen.checked_json import shown
from codegen.errors import CodegenError
from codegen.weights.protobuf_spans import Content, Span, fields, values

# The messages of onnx.proto in which a tensor can be, and the numbers of their fields that lead there; these never change.
_WITHIN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
# ONNX Runtime takes a location that begins so for an address in memory.
_ADDRESS = "*/"
# The other format of ONNX Runtime, in which models have files beside them, too; it says so in its bytes 4 to 7.
_OTHER_FORMAT = b"ORTM"


def check_within(content: bytes, what: str, names: Collection[str] = ()) -> None:
    """Raise CodegenError naming `what` if the bytes of a model name files for weights, other than those that are in memory.

    names: what weights in memory are called.
    """
    for location in _locations(content, what):
        if location not in names:
            raise CodegenError(
                f"{what} names the file {shown(location)} for a weight, and has to hold all its weights itself;"
                " emit or export it again, or ask where it comes from"
            )


def check_beside(path: Path, what: str) -> None:
    """Raise CodegenError naming `what` if a model's file names files for weights that are not in its folder or below it."""
    try:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return  # an empty file names nothing, and cannot be mapped
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                named = dict.fromkeys(_locations(content, what))
    except OSError as error:
        raise CodegenError(f"{what} cannot be read: {error}") from error
    for location in named:
        if not _lies_in(path.parent, location):
            raise CodegenError(
                f"{what} names the file {shown(location)} for a weight, which leads out of its folder {path.parent};"
                " put the weights beside the model, and name them by paths from there"
            )


def _lies_in(folder: Path, location: str) -> bool:
    named = Path(location)
    if named.drive or named.root or ".." in named.parts or location.startswith(_ADDRESS):
        return False
    try:
        return (folder / named).resolve().is_relative_to(folder.resolve())
    except (ValueError, OSError, RuntimeError):  # a zero in it, or links that lead in a circle
        return False


def _locations(content: Content, what: str) -> Iterator[str]:
    """Yield each text that stands where a weight says in which file it is."""
    if content[4:8] == _OTHER_FORMAT:
        raise CodegenError(f"{what} is in the format of ONNX Runtime, not an ONNX file; give the model as ONNX")
    waiting: list[tuple[str, Span]] = [("model", (0, len(content)))]
    try:
        while waiting:
            kind, message = waiting.pop()
            if kind == "entry":
                # Parsers take the last key and the last value: here each counts.
                if any(content[at : at + size] == b"location" for at, size in values(content, message, 1)):
                    for at, size in values(content, message, 2):
                        yield content[at : at + size].decode("utf-8", "surrogateescape")
                continue
            leads = _WITHIN[kind]
            waiting += [(leads[field.number], field.value) for field in fields(content, message) if field.number in leads]
    except (IndexError, ValueError) as error:
        raise CodegenError(f"{what} is not ONNX that onnxruntime or another runtime can run: {error}") from error
