"""State that no object of the model holds and its code may change: torch's settings, and the sources of random numbers.

A variable of a context (`contextvars`) is not here: tracing runs in a copy of the context.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.backends import cudnn


@dataclass(frozen=True)
class _Setting:
    read: Callable[[], Any]
    write: Callable[[Any], Any]


_SETTINGS = (
    _Setting(torch.get_default_dtype, torch.set_default_dtype),
    _Setting(torch.get_num_threads, torch.set_num_threads),
    _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    _Setting(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    _Setting(lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    _Setting(lambda: cudnn.benchmark, lambda on: setattr(cudnn, "benchmark", on)),
    _Setting(lambda: cudnn.deterministic, lambda on: setattr(cudnn, "deterministic", on)),
)


def _read(setting: _Setting) -> Any:
    try:
        return setting.read()
    except RuntimeError:  # torch cannot say where its older and its newer setting of a precision disagree
        return None


@dataclass
class OutsideState:
    """All of it, as it was when this object was made. generators: sources of random numbers that the model holds."""

    generators: list[Any]
    states: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = [_read(setting) for setting in _SETTINGS]
        self.torch, self.python = torch.get_rng_state(), random.getstate()
        self.cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        numpy = sys.modules.get("numpy.random")
        self.numpy = numpy.get_state() if numpy is not None else None
        self.states = [_state_of(generator) for generator in self.generators]

    def put_back(self) -> None:
        """Make it as it was."""
        for setting, before in zip(_SETTINGS, self.settings, strict=True):
            if before is not None and _read(setting) != before:
                setting.write(before)
        torch.set_rng_state(self.torch)
        random.setstate(self.python)
        if self.cuda is not None:
            torch.cuda.set_rng_state_all(self.cuda)
        if self.numpy is not None:
            sys.modules["numpy.random"].set_state(self.numpy)
        for generator, state in zip(self.generators, self.states, strict=True):
            _set_state(generator, state)


def _state_of(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return generator.getstate()
    holder = getattr(generator, "bit_generator", None) or generator
    return holder.get_state() if hasattr(holder, "get_state") else getattr(holder, "state", None)


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    elif state is not None:
        holder = getattr(generator, "bit_generator", None) or generator
        if hasattr(holder, "set_state"):
            holder.set_state(state)
        elif hasattr(holder, "state"):
            holder.state = state
