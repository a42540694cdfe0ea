"""Inputs made from a description are laid out as the example was, so that a model traced for them is the same model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from cic.decision.frozen import plain
from cic.decision.graph_document import read_call
from cic.inputs.example_inputs import describe_inputs, make_inputs
from codegen.checked_json import Fields


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.rand(2, 3, 5, 7).to(memory_format=torch.channels_last),
        lambda: torch.rand(4, 6).t(),
        lambda: torch.rand(3, 4, 5).permute(1, 2, 0),
        lambda: torch.rand(1, 3, 4, 4).to(memory_format=torch.channels_last),
        lambda: torch.randint(0, 9, (3, 4)).t(),
    ],
)
def test_the_order_in_memory_is_kept(make) -> None:  # type: ignore[no-untyped-def]
    example = make()
    document = json.loads(json.dumps(plain(describe_inputs((example,), {"mask": example}))))
    (made,), kwargs = make_inputs(read_call(Fields(document)))
    assert made.shape == example.shape and made.dtype == example.dtype
    assert made.stride() == example.stride() == kwargs["mask"].stride()


def test_what_has_gaps_is_made_without() -> None:
    for example in (torch.rand(4, 8)[:, ::2], torch.rand(3, 1).expand(3, 4)):
        (made,), _ = make_inputs(describe_inputs((example,), {}))
        assert made.shape == example.shape and made.is_contiguous()


def test_a_model_compiled_for_channels_last_is_emitted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    image = torch.rand(1, 3, 8, 8).to(memory_format=torch.channels_last)
    compiled = cic.compile(model, (image,), device="raspberry-pi-4", server="epyc-7742")
    manifest = cic.emit(model, compiled, tmp_path / "split")
    assert {cut.id for cut in manifest.cuts} == set(compiled.cut_by_id)
