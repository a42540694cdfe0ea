"""Each size is compiled as it would be alone, under a name of its own, and sizes that are none are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cic
from cic.compilation.sizes import compile_sizes
from cic.errors import ArgumentError, CompileError
from tests.cic.inception import STRONG, WEAK

MACHINES = {"device": WEAK, "server": STRONG}


def images(*sizes: int) -> dict[str | int, tuple[torch.Tensor]]:
    return {size: (torch.rand(1, 3, size, size),) for size in sizes}


def test_each_size_is_compiled_as_it_would_be_alone(network: nn.Module) -> None:
    inputs = images(32, 64)
    sized = compile_sizes(network, inputs, **MACHINES, each={64: {"most_cuts": 2}})
    assert list(sized.models) == ["32", "64"]
    for size, options in ((32, {}), (64, {"most_cuts": 2})):
        alone = cic.compile(network, inputs[size], **MACHINES, **options)
        assert [cut.features for cut in sized.at(size).cuts] == [cut.features for cut in alone.cuts]
        assert sized.at(size).name == f"{alone.name}-{size}"
    assert len(sized.at(64).cuts) == 2


def test_sizes_that_are_none_are_refused(network: nn.Module) -> None:
    for sizes in ({}, None, [32]):
        with pytest.raises(ArgumentError, match="sizes are"):
            compile_sizes(network, sizes, **MACHINES)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"a size is called '\.\./up'"):
        compile_sizes(network, {"../up": (torch.rand(1, 3, 32, 32),)}, **MACHINES)
    with pytest.raises(ArgumentError, match="each names the size 96; there are 32"):
        compile_sizes(network, images(32), **MACHINES, each={96: {}})
    traced = cic.trace_model(network, (torch.rand(1, 3, 32, 32),))
    with pytest.raises(CompileError, match=r"the sizes 32 and 64 of .* come to the same graph"):
        compile_sizes(traced, images(32, 64), **MACHINES)
