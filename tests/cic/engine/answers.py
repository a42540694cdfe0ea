"""Bundles whose cuts are hard on an engine, and the whole model's answers to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cic.codec.tensors import array_of, tensor_of
from cic.engine.engine import Engine
from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.calls.structure import flatten_like
from codegen.dtypes import type_name
from codegen.formats.emitter import formats
from codegen.verification.agreement import TOLERANCES, relative_error
from tests.codegen import mixed_types, small_models
from tests.codegen.flat_module import flat_module


class Narrow(nn.Module):
    """Tensors of half the width of float32 cross, one of them in a type that numpy lacks; and pixels go in."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        value = image.float() / 255
        brain, half = torch.exp(value).to(torch.bfloat16), torch.sin(value).half()
        return {"sum": (brain.float() + half.float()).mean(1), "brain": brain.flatten(1), "half": half * 2}


@dataclass(frozen=True)
class Case:
    """A bundle, a call as its model takes it, and the model's answer as flat arrays."""

    bundle: Path
    cuts: tuple[str, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: Any


def cases(folder: Path) -> dict[str, Case]:
    """The bundles by name, each written in all formats to `folder`."""
    picture = torch.randint(0, 256, (1, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    made: dict[str, tuple[nn.Module, tuple[Any, ...], dict[str, Any], Sequence[Sequence[str] | None]]] = {
        "mixed": (mixed_types.Mixed(), mixed_types.call(), {}, [mixed_types.CUTS["wide-1.2"], None]),
        "narrow": (Narrow(), (picture,), {}, [["_to_copy_1", "_to_copy_2"]]),
        "residual": (small_models.Residual(2), (torch.randn(1, 3, 8, 8),), {}, [["relu_1"]]),
    }
    return {name: _case(folder / f"{name}.split", *parts) for name, parts in made.items()}


def _case(
    directory: Path, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], seeds: Sequence[Sequence[str] | None]
) -> Case:
    traced = flat_module(model.eval(), args, kwargs)
    plans = [
        CutPlan(f"cut-{place}", traced.closed_set(traced.ops if names is None else names), ())
        for place, names in enumerate(seeds)
    ]
    write_bundle(directory, traced.source, plans, formats=formats())
    with torch.no_grad():
        answer = model(*args, **kwargs)
    return Case(directory, tuple(plan.id for plan in plans), args, kwargs, answer)


def answered(case: Case, cut_id: str, opened: Callable[[str], Engine]) -> None:
    """Raise AssertionError unless both halves of a cut, opened by `opened(half)`, answer what the whole model answers."""
    head, tail = opened("head"), opened("tail")
    given = [array_of(tensor)[0] for tensor in head.cut.flatten_inputs(*case.args, **case.kwargs)]
    results = head.run(given)
    crossing = results[: len(tail.inputs)]
    assert [wire.name for wire in tail.inputs] == [wire.name for wire in head.cut.crossing]
    returned = tail.run(crossing)
    for array in (*results, *returned):
        assert array.flags.c_contiguous
        assert not any(np.shares_memory(array, one) for one in given)
    tensors = [tuple(map(tensor_of, arrays, [wire.dtype for wire in wires])) for arrays, wires in
               ((results, head.outputs), (returned, tail.outputs))]  # fmt: skip
    whole = head.cut.assemble(*tensors)
    structure = head.cut.manifest.output_structure
    for ours, theirs in zip(flatten_like(structure, whole), flatten_like(structure, case.answer), strict=True):
        assert ours.dtype == theirs.dtype
        allowed = TOLERANCES.get(type_name(ours.dtype))
        assert relative_error(ours, theirs) <= (allowed.emitted if allowed else 0.0)
