"""Makes a network with random weights answer something that depends on its input.

Freshly made networks often return all but zero: heads start as zeros, and BatchNorm passes its input on unscaled, so that
activations die out or explode over the layers. Comparing such outputs shows nothing. Nor would a bias that was lost be
noticed while all biases are zero, or a branch that its scale of 1e-6 hides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Module = TypeVar("Module", bound=nn.Module)


def make_meaningful(model: Module, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Module:
    """Change `model` in place and return it, in eval mode.

    Parameters that are one value throughout are drawn anew around it, scales of less than 0.1 around 0.1, and the statistics
    of each BatchNorm become those of one pass over `args` and `kwargs`, which should be a batch of several inputs. Same
    model, same inputs: same result.
    """
    generator = torch.Generator().manual_seed(0)
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    with torch.no_grad():
        for weight in model.parameters():
            if weight.numel() > 1 and bool((weight == weight.flatten()[0]).all()):
                value = float(weight.flatten()[0])
                centre = value and max(abs(value), 0.1)
                weight.copy_(centre + torch.randn(weight.shape, generator=generator) * (0.1 * centre or 0.02))
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the statistics of this pass alone
        if norms:
            model(*args, **(kwargs or {}))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
    return model
