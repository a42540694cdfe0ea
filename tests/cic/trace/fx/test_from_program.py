"""An exported program gives the graph of its model, and takes no other call."""

from __future__ import annotations

import pytest
import torch

from cic.errors import TraceError
from cic.trace.fx.torch_trace import trace
from examples.models.encoder import Encoder, example_call
from tests.cic.trace.fx.traced_networks import Twice
from tests.cic.trace.graph_validity import (
    assert_cuts_are_exact,
    assert_graph_valid,
    assert_members_cover_module,
)


def test_exported_program_gives_the_same_graph() -> None:
    args, kwargs = example_call(length=8, words=10)
    kwargs = dict(reversed(kwargs.items()))
    model = Encoder(layers=1, width=16, heads=2, words=10).eval()
    program = torch.export.export(model, args, kwargs, strict=False)
    from_model, from_file = trace(model, args, kwargs), trace(program, name="Encoder")
    assert_graph_valid(from_file.graph)
    assert_members_cover_module(from_file)
    assert_cuts_are_exact(from_file, 5)
    assert from_file.graph.inputs == from_model.graph.inputs
    assert [op.name for op in from_file.graph.ops] == [op.name for op in from_model.graph.ops]


def test_exported_program_refuses_another_call() -> None:
    program = torch.export.export(Twice().eval(), (torch.ones(1, 3),), strict=False)
    with pytest.raises(TraceError, match="exported for the arguments"):
        trace(program, (), {"x": torch.ones(1, 3)})
