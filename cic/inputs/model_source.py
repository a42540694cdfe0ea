"""Models and example inputs as a person writes them on a command line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cic.errors import TraceError
from cic.own_packages import OWN_PACKAGES
from codegen.formats.exported_program import read_program
from codegen.torchvision_import import import_torchvision

Model = nn.Module | torch.export.ExportedProgram | Path

_SEED = 0
_FORMS = "package.module:callable, torchvision:resnet50, timm:resnet50, a .pt2 or an .onnx file"


def load_model(text: str) -> tuple[Model, tuple[Any, ...] | None]:
    """Return the model that `text` names, and its example arguments if it brings some.

    "package.module:callable" calls it (or takes it, if it is a module already) from the Python path or the working
    directory; "torchvision:name" and "timm:name" build that architecture with random weights of a fixed seed;
    a path ending in .pt2 is read with `torch.export.load`. Such a file is a program: load only what you trust.
    A path ending in .onnx is returned as it is: `compile` and `emit` read it.

    Raises TraceError saying which part of `text` could not be found.
    """
    if text.endswith(".pt2"):
        return load_program(Path(text))
    if text.endswith(".onnx"):
        return Path(text), None
    library, separator, name = text.partition(":")
    if not separator or not library or not name:
        raise TraceError(f"{text!r} names no model; write {_FORMS}")
    if library == "torchvision":
        return _torchvision_model(name), None
    if library == "timm":
        return _timm_model(name), None
    return _called(library, name), None


def has_random_weights(text: str) -> bool:
    """Whether `text` names an architecture of a library, which is built with random weights."""
    return text.startswith(("torchvision:", "timm:"))


@contextmanager
def _fixed_seed() -> Iterator[None]:
    """Draw the same weights each time, and leave the caller's random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        yield


def load_program(path: Path) -> tuple[Model, tuple[Any, ...] | None]:
    """Return the exported program in a .pt2 file, and its example arguments if it brings some and they are positional.

    Raises TraceError if there is no such file, or it is no program that this torch loads.
    """
    if not os.path.isfile(path):  # unlike Path.is_file it bears a text too long for a path
        raise TraceError(f"{path}: no such file")
    try:
        program = read_program(str(path))
    except Exception as error:
        raise TraceError(f"{path} is not an exported program that torch {torch.__version__} can load: {error}") from error
    args, kwargs = program.example_inputs or ((), {})
    return program, None if kwargs or not args else tuple(args)


def _torchvision_model(name: str) -> nn.Module:
    try:
        import_torchvision()
        from torchvision import models
    except ImportError as error:
        raise TraceError(f"torchvision:{name} needs torchvision: {error}; pip install torchvision") from error
    except (RuntimeError, AttributeError) as error:
        raise TraceError(
            f"torchvision does not fit torch {torch.__version__}: {error}; install the torchvision built for this torch"
        ) from error
    if name not in models.list_models():
        raise TraceError(f"torchvision has no model {name!r}; it has, for example, {', '.join(_similar(name, models))}")
    given = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    with _fixed_seed():
        model: nn.Module = models.get_model(name, weights=None, **given)
    return model


def _similar(name: str, models: Any) -> list[str]:
    known = models.list_models()
    return [other for other in known if other[:4] == name[:4]][:8] or known[:8]


def _timm_model(name: str) -> nn.Module:
    try:
        import_torchvision()  # which timm imports
        timm = importlib.import_module("timm")
    except ImportError as error:
        raise TraceError(f"timm:{name} needs timm: {error}; pip install timm") from error
    try:
        with _fixed_seed():
            model: nn.Module = timm.create_model(name, pretrained=False)
    except Exception as error:
        raise TraceError(f"timm cannot build {name!r}: {error}") from error
    return model


def _called(module_name: str, attribute: str) -> nn.Module:
    for name in OWN_PACKAGES:
        importlib.import_module(name)  # while the user's files are not found before ours
    if (top := module_name.partition(".")[0]) in ("cic", *OWN_PACKAGES):
        raise TraceError(f"{module_name} is of CIC itself, and a file of that name cannot be found; rename {top}")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)  # the user's own files, as `python -m` finds them
    try:
        found: Any = importlib.import_module(module_name)
    except (ImportError, TypeError) as error:  # TypeError: a relative name
        raise TraceError(f"{module_name} cannot be imported: {error}; write {_FORMS}") from error
    for step in attribute.split("."):
        if not hasattr(found, step):
            raise TraceError(f"{module_name} has no {attribute!r}")
        found = getattr(found, step)
    if not isinstance(found, nn.Module):
        if not callable(found):
            raise TraceError(f"{module_name}:{attribute} is a {type(found).__name__}, neither a module nor callable")
        try:
            with _fixed_seed():
                found = found()
        except Exception as error:
            raise TraceError(f"calling {module_name}:{attribute}() failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, nn.Module):
        raise TraceError(f"{module_name}:{attribute}() returned a {type(found).__name__} instead of a torch.nn.Module")
    return found
