"""A library that registers an operator which only it knows, as those of others do: `cic_test::doubled`."""

from __future__ import annotations

import torch


@torch.library.custom_op("cic_test::doubled", mutates_args=())
def doubled(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


@doubled.register_fake
def _like(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)
