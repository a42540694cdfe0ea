"""Front end one: `torch.export.export`, which understands almost every model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from cic.trace.flat_graph import flatten
from cic.trace.flat_model import INNER, FlatModel


def capture(flat: FlatModel, tensors: Sequence[torch.Tensor], names: Sequence[str]) -> fx.GraphModule:
    """Return the flat graph of `flat`; raises whatever torch raises."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program: Any = torch.export.export(flat, tuple(tensors), strict=False)
        return flatten(program.module(), names, inner=INNER)
