"""Recurrent layers of torch: every step multiplies by each weight matrix once, and starts its kernels anew.

What does not depend on the step before, the product with the input, libraries do for all steps at once; the product with
the state must wait for the last one and reads its matrix again each time, from the cache where that is large enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

LAYERS = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu", "mkldnn_rnn_layer"])
CELLS = frozenset(["lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"])


@dataclass(frozen=True, slots=True)
class Steps:
    """starts: how often kernels are started after the first time. reread_bytes: what these read again."""

    starts: int = 0
    reread_bytes: int = 0


def steps_of(name: str, bound: Mapping[str, Any]) -> Steps:
    """The steps of a recurrent layer with these arguments by name, values in place of nodes; none for other ops."""
    if name not in LAYERS:
        return Steps()
    weights, count = _matrices(bound), _step_count(bound)
    passes = _passes(bound)
    each = len(weights) // passes  # of the input, of the state, and perhaps a projection
    if count < 1 or each < 2:
        return Steps()
    state = [matrix for index, matrix in enumerate(weights) if index % each]
    return Steps(count * passes - 1, (count - 1) * sum(matrix.numel() * matrix.element_size() for matrix in state))


def layer_flops(bound: Mapping[str, Any], _out: torch.Tensor) -> int:
    """Each step multiplies by every weight matrix once."""
    rows: int = math.prod(bound["data" if "batch_sizes" in bound and "data" in bound else "input"].shape[:-1])
    return 2 * rows * sum(matrix.numel() for matrix in _matrices(bound))


def cell_flops(bound: Mapping[str, Any], _out: torch.Tensor) -> int:
    """One step of one layer."""
    rows: int = math.prod(bound["input"].shape[:-1])
    of_input: torch.Tensor = bound["w_ih"]
    of_state: torch.Tensor = bound["w_hh"]
    return 2 * rows * (of_input.numel() + of_state.numel())


def _step_count(bound: Mapping[str, Any]) -> int:
    """How many steps one pass over the sequence takes; a packed sequence as many as batch sizes."""
    sizes = bound.get("batch_sizes")
    if isinstance(sizes, torch.Tensor):
        return int(sizes.numel())
    shape = bound["input"].shape
    return int(shape[1 if bound.get("batch_first") and len(shape) == 3 else 0])


def _matrices(bound: Mapping[str, Any]) -> list[torch.Tensor]:
    held = [bound["weight0"], bound["weight1"]] if "weight0" in bound else bound["params"]
    return [item for item in held if item.dim() == 2]


def _passes(bound: Mapping[str, Any]) -> int:
    """How many passes over the sequence follow each other: layers times directions."""
    return 1 if "weight0" in bound else int(bound["num_layers"]) * (2 if bound.get("bidirectional") else 1)
