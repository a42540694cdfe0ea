"""A TorchScript program refuses inputs it was not compiled for.

A trace keeps what followed from the shapes and types of its example, such as `arange(x.shape[0])`, and answers any other input
with it: wrong, and silently so. So a check stands at the beginning of the program. It takes less than a microsecond an input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from codegen.dtypes import type_name

# The compiler of TorchScript finds the names of a source in the module that calls it: torch.float32, torch.strided.
_CHECK = """    if not ({name}.{shape} and {name}.dtype == {dtype} and {name}.layout == {layout} and not {name}.is_meta):
        raise ValueError("{told}, called with shape " + str({name}.size()) + ", dtype number " + str({name}.dtype))
"""


def add_guard(program: Any, example: Sequence[torch.Tensor], open_axes: Sequence[Sequence[int]] = ()) -> None:
    """Let a frozen program raise unless its inputs have shapes, dtypes and layout of `example`, and values; in place.

    open_axes: those of each input that may have any length.
    """
    if not example:
        return
    names = [f"tensor_{index}" for index in range(len(example))]
    head = f"def guard({', '.join(f'{name}: Tensor' for name in names)}) -> None:\n"
    opened = open_axes or [()] * len(example)
    checks = [_check(name, index, example[index], opened[index]) for index, name in enumerate(names)]
    guard = torch.jit.CompilationUnit(head + "".join(checks)).guard.graph
    graph = program.graph
    _, *values = graph.inputs()  # the first is the module itself
    with graph.insert_point_guard(next(iter(graph.nodes()))):
        graph.insertGraph(guard, values)
    torch._C._jit_pass_dce(graph)  # what the guard returns, None


def _check(name: str, index: int, tensor: torch.Tensor, open_axes: Sequence[int]) -> str:
    sizes = list(tensor.shape)
    dtype = type_name(tensor.dtype)
    fixed = [f"{name}.size({axis}) == {size}" for axis, size in enumerate(sizes) if axis not in open_axes]
    shape = " and ".join([f"dim() == {len(sizes)}", *fixed]) if open_axes or not sizes else f"size() == {sizes}"
    told = ["any" if axis in open_axes else size for axis, size in enumerate(sizes)]
    return _CHECK.format(
        name=name,
        shape=shape,
        dtype=tensor.dtype,
        layout=tensor.layout,
        told=f"input {index}: compiled for {dtype} of shape [{', '.join(map(str, told))}]",
    )
