"""Every error codegen raises on purpose.

CodegenError
├── UnsplittableError   a set of device nodes at which the graph cannot be cut
└── MismatchError       halves that do not compute what the whole model computes
"""


class CodegenError(Exception):
    """Root of all errors raised by codegen."""


class UnsplittableError(CodegenError):
    """The graph cannot be cut there; names the two nodes that stand in the way."""


class MismatchError(CodegenError):
    """An emitted head and tail differ from the whole model; names the cut, the output and the error."""
