"""The compressor as it is, and with one condition in its source changed: a mutant, of which a test must notice something."""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Compressor:
    """Modules of one and the same `compress`."""

    schedule: ModuleType
    reduction: ModuleType
    bounds: ModuleType


def compressor() -> Compressor:
    """`compress` as it is."""
    return Compressor(*(importlib.import_module(f"compress.{name}") for name in ("schedule", "reduction", "bounds")))


def mutant(module: str, source_line: str, replacement: str) -> Compressor:
    """`compress` anew, with a line of one of its modules changed, which all the others import; `sys.modules` stays as it was.

    Args:
        module: as "rules.block".
    """
    name = f"compress.{module}"
    original = importlib.import_module(name)
    source = inspect.getsource(original)
    assert source.count(source_line) >= 1, f"{name} no longer contains {source_line!r}: update this test"
    # Errors stay those that tests know.
    former = {key: each for key, each in sys.modules.items() if key.split(".")[0] == "compress" and key != "compress.errors"}
    for key in former:
        del sys.modules[key]
    try:
        changed = ModuleType(name)
        importlib.import_module(name.rpartition(".")[0])
        sys.modules[name] = changed
        exec(compile(source.replace(source_line, replacement), original.__file__ or name, "exec"), changed.__dict__)
        made = compressor()
    finally:
        for key in [key for key in sys.modules if key.split(".")[0] == "compress" and key != "compress.errors"]:
            del sys.modules[key]
        sys.modules.update(former)
    return made
