"""Every error codegen raises on purpose.

CodegenError
├── UnsplittableError   a set of device nodes at which the graph cannot be cut
└── MismatchError       halves that do not compute what the whole model computes
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CodegenError(Exception):
    """Root of all errors raised by codegen."""


class UnsplittableError(CodegenError):
    """The graph cannot be cut there; names the two nodes that stand in the way."""


class MismatchError(CodegenError):
    """An emitted head and tail differ from the whole model; names the cut, the output and the error."""


@contextmanager
def as_codegen_error(what: str) -> Iterator[None]:
    """Turn what the file system refuses within the block into a CodegenError: "cannot …: why (the file it is about)"."""
    try:
        yield
    except OSError as error:
        file = f" ({error.filename})" if error.filename is not None and str(error.filename) not in what else ""
        raise CodegenError(f"{what}: {error.strerror or error}{file}") from error


@contextmanager
def codegen_error_as(kind: type[Exception], about: str = "") -> Iterator[None]:
    """Turn a CodegenError within the block into an error of another package's kind: its message, after "about: " if given."""
    try:
        yield
    except CodegenError as error:
        raise kind(f"{about}: {error}" if about else str(error)) from error


@contextmanager
def needing(what: str, extra: str, kind: type[Exception] = CodegenError) -> Iterator[None]:
    """Turn the lack of a package that an optional part of CIC installs into an error of this kind."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise kind(f"{what} needs the package {error.name}: pip install 'cic-compiler[{extra}]'") from error
