"""Each hostile model: compiled, every optimal cut emitted and verified in fresh processes, random cuts compared; or refused."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

import cic
from cic.errors import EmitError, TraceError
from cic.graph import Graph
from cic.trace.fx.flat_model import evaluating, flat_tensors
from cic.trace.fx.torch_trace import trace
from codegen.calls.structure import describe, rebuild
from codegen.verification.equivalence import redraw
from tests.hostile.models import HOSTILE
from tests.hostile.random_modules import Tally, check_cut, compare, random_closed_sets, tolerance_of, turned

DEVICE, SERVER = "raspberry-pi-zero-2w", "i7-13700k"
SPLIT = [name for name, hostile in HOSTILE.items() if not hostile.refusal]
CANNOT_BE_REDRAWN = ["offsets_that_must_be_sorted"]
REFUSED = [name for name, hostile in HOSTILE.items() if hostile.refusal]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    model, args, kwargs = HOSTILE[name].make()
    before = [tensor.clone() for tensor in (*flat_tensors((args, kwargs), "inputs")[1], *model.state_dict().values())]
    with pytest.raises(TraceError, match=HOSTILE[name].refusal):
        cic.compile(model, args, kwargs, device=DEVICE, server=SERVER)
    after = [*flat_tensors((args, kwargs), "inputs")[1], *model.state_dict().values()]
    assert all(map(torch.equal, before, after)), "a refused model or its inputs were changed"


@pytest.mark.usefixtures("one_verifying_process")
@pytest.mark.parametrize("name", SPLIT)
def test_split_exactly(name: str, tmp_path: Path) -> None:
    model, args, kwargs = HOSTILE[name].make()
    flags = [module.training for module in model.modules()]
    splitting_model = cic.compile(model, args, kwargs, device=DEVICE, server=SERVER)
    file_format = HOSTILE[name].file_format
    cic.emit(model, splitting_model, tmp_path / "halves", verify_on=[(args, kwargs)], formats=[file_format])
    assert flags == [module.training for module in model.modules()]
    with evaluating(model):
        structure, expected = describe(model(*args, **kwargs))
    tolerance = tolerance_of(trace(model, args, kwargs))
    call, tensors = flat_tensors((args, kwargs), "inputs")
    for cut in splitting_model.cuts:
        halves = cic.load_cut(tmp_path / "halves", cut.id, format_name=file_format)
        for order in (torch.clone, torch.Tensor.contiguous, turned):
            call_args, call_kwargs = rebuild(call, [order(tensor) for tensor in tensors])
            given = halves.tail(*halves.head(*call_args, **call_kwargs))
            assert describe(given)[0] == structure
            assert compare(describe(given)[1], expected, tolerance) is None


def test_a_branch_kept_whole_says_which_format_can_hold_it(tmp_path: Path) -> None:
    model, args, kwargs = HOSTILE["branch_kept_whole"].make()
    splitting_model = cic.compile(model, args, kwargs, device=DEVICE, server=SERVER)
    with pytest.raises(EmitError, match=r"no torch\.cond .*emit it in the format exported_program"):
        cic.emit(model, splitting_model, tmp_path / "halves", verify_on=[(args, kwargs)])


@pytest.mark.parametrize("name", SPLIT)
def test_random_cuts_equal_the_whole_after_save_and_load(name: str) -> None:
    model, args, kwargs = HOSTILE[name].make()
    traced = trace(model, args, kwargs)
    structure, tensors = flat_tensors((args, kwargs), "inputs")
    calls = [tensors] if name in CANNOT_BE_REDRAWN else [tensors, redraw(tensors)]
    with evaluating(model):
        expected = [_answer(model, structure, call) for call in calls]
    save = HOSTILE[name].file_format == "torchscript"
    tally, dice = Tally(), random.Random(0)
    for graph in (traced.unfused, traced.graph):
        for device_ops in {frozenset(), *random_closed_sets(graph, 5, dice), frozenset(graph.op_by_name)}:
            check_cut(traced, graph, device_ops, calls, expected, tally, save=save)
    assert tally.cuts >= 2
    assert kinds_that_stay(traced.unfused) == HOSTILE[name].stays


def _answer(model: torch.nn.Module, structure: Any, call: Any) -> tuple[torch.Tensor, ...]:
    args, kwargs = rebuild(structure, [tensor.clone() for tensor in call])
    return tuple(tensor.clone() for tensor in flat_tensors(model(*args, **kwargs), "output")[1])


def kinds_that_stay(graph: Graph) -> frozenset[str]:
    """Return the kinds of the ops whose results must not be sent."""
    makers = {tensor.producer for tensor in graph.tensors if not tensor.may_cross and tensor.producer is not None}
    return frozenset(graph.op_by_name[name].kinds[0] for name in makers)
