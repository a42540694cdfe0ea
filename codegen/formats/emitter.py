"""The formats a half can be written in: one small interface and one table.

A format is a module with a class that has the members of `Emitter`. Modules are imported when their format is
asked for, so a device that reads one format needs the packages of that one only.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from codegen.errors import CodegenError, needing
from codegen.split import WireTensor
from codegen.weights.shared_weights import SharedHalf

Runner = Callable[..., tuple[Any, ...]]
OpenAxes = Sequence[Sequence[int]]
"""The axes of each input along which a half takes any length; none if all shapes are fixed."""

_EMITTERS = {
    "torchscript": ("codegen.formats.torchscript", "TorchScriptEmitter"),
    "exported_program": ("codegen.formats.exported_program", "ExportedProgramEmitter"),
    "onnx": ("codegen.formats.onnx_program", "OnnxEmitter"),
}

# By what their files end in, too, and "pt2" as the engine is called that runs those.
_ALSO_CALLED = {".ts": "torchscript", ".pt2": "exported_program", "pt2": "exported_program", ".onnx": "onnx"}

# Of a plain file, which a runtime opens by itself; a half with shared weights may be larger. ONNX is one protobuf message.
LARGEST_FILE_BYTES = {"onnx": 2**31 - 1}


class Loader(Protocol):
    """Makes a function of a file of one format."""

    format: str

    def load(self, path: Path, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """Return the half as a function from tensors to a tuple of tensors. The caller has checked the file's
        digest."""


class Emitter(Loader, Protocol):
    """Writes a half to a file and makes a function of the file again."""

    suffix: str

    def versions(self) -> dict[str, str]:
        """Return name and version of the packages that write the format, for the manifest."""

    def write(self, half: Any, example: Sequence[Any], path: Path, open_axes: OpenAxes = ()) -> None:
        """Write a half, a torch.fx.GraphModule from flat tensors to a flat tuple; `example` are tensors it accepts."""


@runtime_checkable
class SharedLoader(Protocol):
    """What a loader has in addition if it can load halves whose weights are stored apart."""

    def load_shared(self, half: SharedHalf, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """As `load`, from a half with shared weights."""


@runtime_checkable
class WeightSharing(SharedLoader, Protocol):
    """What an emitter has in addition if the weights lie in its files as they are and can be stored apart."""

    def weight_spans(self, path: Path) -> Sequence[tuple[int, int]]:
        """Return offset and size of the bytes of each weight in a file, in the order of the file."""


def formats() -> tuple[str, ...]:
    """Return the names of all formats."""
    return tuple(_EMITTERS)


def format_called(name: str) -> str:
    """Return the name of the format that a person calls so, such as "exported_program" for ".pt2"; others as they are."""
    return _ALSO_CALLED.get(name, name)


def is_too_large(format_name: str, size: int) -> bool:
    """Tell whether a plain file of so many bytes is more than the runtime of a format can open."""
    return size > LARGEST_FILE_BYTES.get(format_name, size)


def emitter_of(format_name: str) -> Emitter:
    """Return the emitter of a format; CodegenError for an unknown one."""
    if format_name not in _EMITTERS:
        raise CodegenError(f"unknown format {format_name!r}; known formats: {', '.join(_EMITTERS)}")
    module, name = _EMITTERS[format_name]
    with needing(f"the format {format_name!r}", "onnx" if format_name == "onnx" else "compile"):
        emitter: Emitter = getattr(importlib.import_module(module), name)()
    return emitter
