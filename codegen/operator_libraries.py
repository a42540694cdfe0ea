"""Libraries that register operators: which of them a half needs, and that they are loaded before it is opened.

A file of torch names its operators, and torch knows its own only. torchvision registers `nms` when it is imported, and so does
any other library with its own. So the manifest says of each half which modules register what it calls.

Importing a module runs it, and a manifest is the word of whoever wrote it. Therefore only the libraries of `KNOWN` are imported
because a manifest names them. Others must be there already: a program imports those that it trusts before it opens a half.
Only what finds the libraries of a graph imports torch.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from codegen.errors import CodegenError

KNOWN = ("torchvision", "torchaudio")
_REGISTERED = "debug: registered at "


@dataclass(frozen=True, slots=True)
class Need:
    """A module that has to be imported, and the operators ("torchvision::nms") that it registers."""

    library: str
    operators: tuple[str, ...]


def needs_of(targets: Iterable[Any]) -> tuple[Need, ...]:
    """Return the needs of a graph whose nodes call these operators. Raises CodegenError for one that no imported module has."""
    registered: dict[str, set[str]] = {}
    for target in targets:
        registered.setdefault(library_of(target) or _refuse(target), set()).add(target.name().partition(".")[0])
    return tuple(Need(library, tuple(sorted(operators))) for library, operators in sorted(registered.items()))


def library_of(target: Any) -> str | None:
    """Return the name of the imported module that registers an operator; None if it cannot be told or imported again.

    torch knows the function of an operator that was declared with `torch.library.custom_op`, and the source file where Python
    declares another. One of C++ is looked for under its namespace.
    """
    import torch

    name = target.name().partition(".")[0]
    declared = getattr(getattr(torch, "_library", None), "custom_ops", None)
    definition = getattr(declared, "OPDEFS", {}).get(name)
    if definition is not None:
        return _importable(getattr(definition._init_fn, "__module__", None))
    described = torch._C._dispatch_dump(name) if hasattr(torch._C, "_dispatch_dump") else ""
    place = next((line for line in described.splitlines() if line.startswith(_REGISTERED)), "")
    source = place.removeprefix(_REGISTERED).rpartition(":")[0]
    held = [module for module, value in sys.modules.items() if source and getattr(value, "__file__", None) == source]
    return _importable(held[0] if held else target.namespace)


def load_needs(needs: Sequence[Need], what: str) -> None:
    """Import the libraries of a half that are to be trusted, and see that they register what it calls.

    Raises CodegenError naming `what`, the operators and the library if it is not here, is another version, or is not to be
    imported on a manifest's word.
    """
    for need in needs:
        called = f"{what} calls {', '.join(need.operators)} of the library {need.library}"
        if need.library not in sys.modules:
            if need.library not in KNOWN:
                raise CodegenError(
                    f"{called}, which is not imported, and a bundle's word is not enough to import others than"
                    f" {' and '.join(KNOWN)}; import {need.library} first if you trust it"
                )
            _load(need.library, called)
        missing = [operator for operator in need.operators if not _is_registered(operator)]
        if missing:
            raise CodegenError(
                f"{called}, and the one that is here does not register {', '.join(missing)};"
                f" install the version of {need.library} that the bundle was emitted with"
            )


def _load(library: str, called: str) -> None:
    try:
        importlib.import_module(library)
    except Exception as error:  # a library that was built for another torch fails in its own way
        import torch

        raise CodegenError(
            f"{called}, which cannot be imported here ({type(error).__name__}: {error}); install the {library} that was built"
            f" for torch {torch.__version__} (pip install {library})"
        ) from error


def _refuse(target: Any) -> str:
    raise CodegenError(
        f"no module that is imported here registers the operator {target.name().partition('.')[0]}, so nothing can be loaded"
        " where halves run; register it in a module of its own that can be imported, or write the step with torch's operators"
    )


def _importable(module: str | None) -> str | None:
    return module if module in sys.modules and module != "__main__" else None


def _is_registered(operator: str) -> bool:
    import torch

    namespace, _, name = operator.partition("::")
    return hasattr(getattr(torch.ops, namespace), name)
