"""A model cut for machines in a row: every chain of parts answers as the model does, and is verified when it is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from codegen.chain import FILE_NAME, ChainPlan, load_chain, read_chain, steps_of, write_chain
from codegen.errors import CodegenError, MismatchError
from tests.codegen.flat_module import FlatModule, flat_module
from tests.codegen.onnx_models import plumbing, run_whole, save, source_of
from tests.codegen.small_models import TwoTowers, Views, two_towers_call
from tests.codegen.unverified import unverified_bundles


def nested(name: str, ops: Sequence[str], ends: Sequence[int]) -> ChainPlan:
    near = [tuple(ops[:end]) for end in ends]
    return ChainPlan(name, tuple(map(frozenset, near)), tuple(near))


def test_three_parts_are_verified_and_answer_as_the_model(residual: tuple[nn.Module, FlatModule], tmp_path: Path) -> None:
    model, traced = residual
    ops = traced.ops
    plans = [nested("a", ops, (2, 5)), nested("b", ops, (2, len(ops) - 1)), nested("c", ops, (4,)), nested("d", ops, (4, 4, 6))]
    told: list[str] = []
    chain = write_chain(tmp_path / "chain", traced.source, plans, progress=told.append)
    assert read_chain(tmp_path / "chain") == chain
    assert [len(chain.steps[name]) for name in "abcd"] == [2, 2, 1, 3]
    assert chain.steps["a"][0] == chain.steps["b"][0], "parts that are alike are written once"
    assert sum(line.startswith("tail") for line in told) == 2 + 2 + 1 + 1, "each cut of each bundle is run"
    x = torch.randn(1, 3, 8, 8)
    for name in "abcd":
        torch.testing.assert_close(load_chain(tmp_path / "chain", name)(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hard", ["towers", "views"])
def test_views_and_outputs_made_on_any_machine_come_back(hard: str, tmp_path: Path) -> None:
    """Outputs made early, passed through, or constant, and views of one value that several machines read."""
    args, kwargs = two_towers_call() if hard == "towers" else ((torch.randn(2, 12),), {})
    model = TwoTowers() if hard == "towers" else Views()
    traced = flat_module(model, args, kwargs)
    count = len(traced.ops)
    plans = [nested(f"{a}-{b}", traced.ops, (a, b)) for a in range(0, count, 2) for b in range(a, count, 3)]
    with unverified_bundles():
        chain = write_chain(tmp_path / "chain", traced.source, plans)
    assert len(chain.steps) == len(plans) > 5, "the ends of all were compared with the model"


def test_parts_of_an_onnx_file_answer_as_the_file(tmp_path: Path) -> None:
    path = save(plumbing(), tmp_path / "plumbing.onnx")
    source = source_of(path)
    ops = [str(node.name) for node in source.model.graph]
    plans = [nested(f"{a}-{b}", ops, (a, b)) for a, b in ((0, 4), (3, 6), (3, 9), (5, 5))]
    write_chain(tmp_path / "chain", source, plans)
    given = {name: tensor + 0.25 for name, tensor in source.named_inputs.items()}
    expected = run_whole(path, {name: tensor.numpy() for name, tensor in given.items()})
    for plan in plans:
        answer = load_chain(tmp_path / "chain", plan.id)(**given)
        for result, wanted in zip(answer.values(), expected, strict=True):
            np.testing.assert_allclose(np.asarray(result), wanted, rtol=1e-4, atol=1e-5)


def test_parts_that_answer_something_else_are_found(residual: tuple[nn.Module, FlatModule], tmp_path: Path) -> None:
    _, traced = residual

    def other(*tensors: torch.Tensor) -> list[torch.Tensor]:
        return [result + 1 for result in traced.source.module(*tensors)]

    with unverified_bundles(), pytest.raises(MismatchError, match="a: all parts in a row differ from the whole model"):
        write_chain(tmp_path / "chain", traced.source, [nested("a", traced.ops, (2, 5))], whole=other)
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_what_cannot_be_written_is_refused(residual: tuple[nn.Module, FlatModule], tmp_path: Path) -> None:
    source, plan = residual[1].source, nested("a", residual[1].ops, (2, 5))
    with pytest.raises(CodegenError, match="exists; a chain is written to a new directory"):
        write_chain(tmp_path, source, [plan])
    with pytest.raises(CodegenError, match="does not exist"):
        write_chain(tmp_path / "no" / "chain", source, [plan])
    with pytest.raises(CodegenError, match="one at least, and ids that differ"):
        write_chain(tmp_path / "chain", source, [plan, plan])
    with pytest.raises(CodegenError, match="names a directory"):
        write_chain(tmp_path / "chain", source, [nested("../a", residual[1].ops, (2,))])


def test_a_damaged_list_of_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodegenError, match="is no chain of bundles"):
        read_chain(tmp_path)
    sound = {"format": "cic chain of bundles", "version": 1, "model_digest": "x", "cuts": {"a": [["link-0", "cut-00"]]}}
    damages = (
        {"version": 2},
        {"cuts": {"a": [["link-0"]]}},
        {"cuts": {"a": [["../elsewhere", "cut-00"]]}},
        {"model_digest": 3},
    )
    for damage in damages:
        (tmp_path / FILE_NAME).write_text(json.dumps(sound | damage), encoding="utf-8")
        with pytest.raises(CodegenError):
            read_chain(tmp_path)
    (tmp_path / FILE_NAME).write_text(json.dumps(sound), encoding="utf-8")
    assert steps_of(tmp_path, "a") == ((tmp_path / "link-0", "cut-00"),)
    with pytest.raises(CodegenError, match="does not hold the cut 'b', only a"):
        steps_of(tmp_path, "b")
