"""A row of tensors in a file, without pickle, in the layout and by the library of safetensors."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from codegen.errors import CodegenError


def write_tensors(path: Path, tensors: Sequence[torch.Tensor]) -> None:
    """Write tensors, named by their positions; they come back contiguous.

    Raises CodegenError for a dtype the layout lacks, and OSError.
    """
    # Copies, for the library refuses tensors that share memory, such as an input that is also an output.
    named = {
        str(position): tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for position, tensor in enumerate(tensors)
    }
    try:
        save_file(named, path)
    except (SafetensorError, KeyError, ValueError) as error:
        if refused := re.search(r"\(os error (\d+)\)", str(error)):
            number = int(refused[1])
            raise OSError(number, os.strerror(number), str(path)) from error
        dtypes = ", ".join(sorted({str(tensor.dtype) for tensor in tensors}))
        raise CodegenError(f"{path.name} cannot hold tensors of {dtypes}: {error!r}") from error


def read_tensors(path: Path) -> list[torch.Tensor]:
    """Read what `write_tensors` wrote, in the same order. Raises CodegenError if it is something else."""
    try:
        named = load_file(path)
        return [named[str(position)] for position in range(len(named))]
    except (SafetensorError, KeyError, OSError) as error:
        raise CodegenError(f"{path} is not a tensor file: {error!r}") from error
