"""A model whose inner values were asked for is as it was before."""

from __future__ import annotations

import pytest
import torch

from codegen.formats.onnx_in_memory import answering, session_of
from codegen.formats.onnx_session import runner_of
from tests.codegen.onnx_models import plumbing, random_inputs, read


def test_values_are_outputs_for_as_long_as_they_are_asked_for() -> None:
    model = read(plumbing())
    before, values = list(model.graph.outputs), [value for node in model.graph for value in node.outputs]
    inner = [value for value in values if value not in before and value.dtype is not None and value.shape is not None]
    given = [torch.from_numpy(array) for array in random_inputs(model, 2).values()]
    usual = runner_of(session_of(model, "plumbing"), "plumbing")(*given)
    for _ in range(2):
        with answering(model, [*inner, *before]):
            assert all(value.is_graph_output() for value in inner)
            more = runner_of(session_of(model, "plumbing", optimize=False), "plumbing")(*given)
        assert list(model.graph.outputs) == before
        assert not any(value.is_graph_output() for value in inner)
        assert len(more) == len(before) + len(inner)
        assert all(torch.allclose(one, other, rtol=1e-5) for one, other in zip(usual, more, strict=False))
    with pytest.raises(KeyError), answering(model, inner):
        raise KeyError
    assert list(model.graph.outputs) == before
