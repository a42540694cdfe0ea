"""Writes that touch nothing else leave ops apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from cic.trace.fx.torch_trace import trace
from tests.cic.trace.fx.written import Written, chain, residual_added_in_place


@pytest.mark.parametrize("body", [chain, residual_added_in_place], ids=lambda body: body.__name__)
def test_lone_writes_leave_ops_apart(body: Callable[..., object]) -> None:
    traced = trace(Written(body), (torch.randn(1, 3, 6, 6),))
    assert not [node for node in traced.module.graph.nodes if node.op == "call_module"]
