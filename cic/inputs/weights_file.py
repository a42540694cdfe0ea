"""Trained weights in a file become those of a model that was built by name: read without pickle, and all or none of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cic.errors import InputError
from codegen.errors import needing

SAFETENSORS = ".safetensors"
_STATE_DICTS = (".pt", ".pth", ".bin", ".ckpt", ".tar")
# Where training programs keep the state dict among other things, and the name that DataParallel puts before each tensor.
_WITHIN = ("state_dict", "model_state_dict", "model")
_PARALLEL = "module."
_NAMED = 3
# `cic emit` had an option --weights of another meaning.
_STORAGE, _FORMERLY = ("auto", "shared", "inline"), "; how weights are stored is said with --storage"

Tensors = Mapping[str, torch.Tensor]


def read_weights(file: str) -> Tensors:
    """The tensors of a file by name.

    file: safetensors, or a state dict that torch saved, be it in a dict under "state_dict", "model_state_dict" or "model".
        It is read with `weights_only=True`, so that nothing in it is run.
    Raises InputError if it is neither, or cannot be read.
    """
    if not os.path.isfile(file):
        raise InputError(f"--weights {file}: no such file{_FORMERLY if file in _STORAGE else ''}")
    suffix = Path(file).suffix
    if suffix not in (SAFETENSORS, *_STATE_DICTS):
        raise InputError(f"--weights {file} is neither a {SAFETENSORS} file nor a state dict ({', '.join(_STATE_DICTS)})")
    if suffix == SAFETENSORS:
        return _read_safetensors(file)
    try:
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"--weights {file} is damaged ({type(error).__name__}) or holds more than tensors, which could run anything and is"
            " not read; save model.state_dict()"
        ) from error
    return _state_dict(found, file)


def put_weights(model: nn.Module, given: Tensors, file: str, named: str) -> None:
    """Put the tensors of a file in place of the model's own, converted to its types.

    named: how the user calls the model.
    Raises InputError if the file has other tensors than the model, or of other shapes. Then the model is as it was.
    """
    own = {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, torch.Tensor)}
    if all(name.startswith(_PARALLEL) for name in given) and not any(name.startswith(_PARALLEL) for name in own):
        given = {name.removeprefix(_PARALLEL): tensor for name, tensor in given.items()}
    _check_names(own, given, file, named)
    _check_tensors(own, given, file, named)
    try:
        # Not strict: what is missing by now has the memory of a tensor that is given, or may be absent.
        model.load_state_dict(given, strict=False)
    except RuntimeError as error:
        raise InputError(f"--weights {file} does not fit {named}: {error}") from error


def _read_safetensors(file: str) -> Tensors:
    with needing("--weights with a .safetensors file", "compile", InputError):
        from safetensors.torch import load_file
    try:
        tensors: Tensors = load_file(file)
    except Exception as error:
        raise InputError(f"--weights {file} cannot be read as safetensors: {error}") from error
    return tensors


def _state_dict(found: Any, file: str) -> Tensors:
    """The state dict itself, whose attributes say which version of torch's modules wrote it."""
    for name in _WITHIN:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    ):
        raise InputError(f"--weights {file} holds no state dict; save model.state_dict()")
    return found


def _check_names(own: Tensors, given: Tensors, file: str, named: str) -> None:
    """Raise InputError unless every tensor of the file is one of the model's, and the model lacks none."""
    known = {_place(own[name]) for name in given if name in own}
    missing = [name for name in own if name not in given and _place(own[name]) not in known and not _may_be_absent(name)]
    unexpected = [name for name in given if name not in own]
    said = []
    if missing:
        said.append(f"it lacks {len(missing)} of the model's {len(own)} tensors ({_first(missing)})")
    if unexpected:
        said.append(f"{len(unexpected)} of its {len(given)} are none of the model's ({_first(unexpected)})")
    if said:
        raise InputError(
            f"--weights {file} does not fit {named}: {' and '.join(said)}; name the model that it was saved from, or save"
            " the state dict of this one"
        )


def _check_tensors(own: Tensors, given: Tensors, file: str, named: str) -> None:
    """Raise InputError unless each tensor has the shape and the kind of numbers that the model's has."""
    for name, tensor in given.items():
        here = own[name]
        if here.shape != tensor.shape or _kind(here) != _kind(tensor):
            raise InputError(
                f"--weights {file} does not fit {named}: {name} is {_described(tensor)} there and {_described(here)} in the"
                " model; build the model as it was when they were saved, with as many classes, say"
            )


def _place(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Alike for two names of one tensor, of which a file may have one only."""
    return tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.numel() or id(tensor)


def _may_be_absent(name: str) -> bool:
    """Batch norms did not count their batches before torch 0.4.1, and compute the same without when they are not trained."""
    return name.endswith("num_batches_tracked")


def _kind(tensor: torch.Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape)) or 'without dimensions'}"


def _first(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
