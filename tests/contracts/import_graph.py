"""Which module of the product imports which: imports within functions and for types counted."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.contracts.source_files import PRODUCT, ROOT, product_files

Imports = Mapping[str, frozenset[str]]
"""By module, the modules of the product that it imports."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def read_imports(files: Mapping[str, Path]) -> Imports:
    return {module: frozenset(imported(path, files)) - {module} for module, path in files.items()}


def imported(path: Path, files: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in files)
        elif isinstance(node, ast.ImportFrom):
            known = node.module in files or str(node.module).partition(".")[0] not in PRODUCT
            assert node.level == 0 and known, f"{path}: there is no {node.module}; it is named from the root on"
            names = (f"{node.module}.{name.name}" for name in node.names)
            yield from (name if name in files else node.module for name in names if {name, node.module} & files.keys())


FILES = {module_of(path): path for path in product_files()}
IMPORTS = read_imports(FILES)
