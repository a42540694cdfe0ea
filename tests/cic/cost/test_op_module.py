"""Each op on its own computes what it does in the network."""

import pytest
import torch

from cic.cost.op_module import capture, extract
from cic.errors import CostError


def test_each_op_on_its_own_computes_what_it_does_in_the_network(traced):
    every_node = {node.name for node in traced.module.graph.nodes if node.op != "output"}
    values = capture(traced, every_node)
    for op in traced.graph.ops:
        alone = extract(traced, op.members)
        with torch.no_grad():
            results = alone.module(*(values[name] for name in alone.inputs))
        expected = values[op.members[-1]]
        assert any(
            isinstance(result, type(expected))
            and all(torch.allclose(a, b) for a, b in zip(as_tuple(result), as_tuple(expected), strict=True))
            for result in results
            if len(as_tuple(result)) == len(as_tuple(expected))
            and all(a.shape == b.shape for a, b in zip(as_tuple(result), as_tuple(expected), strict=True))
        ), op.name


def as_tuple(value):
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def test_a_member_that_is_not_in_the_module_is_named(traced):
    with pytest.raises(CostError, match="no_such_node"):
        extract(traced, ["no_such_node"])
