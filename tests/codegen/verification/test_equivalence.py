"""Verification finds halves that differ, and says when agreement shows nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError, MismatchError
from codegen.formats.emitter import emitter_of
from codegen.manifest import FileRecord, HalfFiles, Manifest, Verification, write_manifest
from codegen.splitters.fx import split
from codegen.verification import equivalence
from codegen.verification.equivalence import redraw, verify
from codegen.verify_process import answer
from tests.codegen.flat_module import FlatModule, flat_module
from tests.codegen.onnx_models import plans_of, save, source_of
from tests.codegen.onnx_oddities import quantised
from tests.codegen.small_models import Residual, calibrated
from tests.codegen.unverified import unverified_bundles


@pytest.fixture(scope="module")
def traced() -> FlatModule:
    torch.manual_seed(0)
    example = torch.randn(1, 3, 8, 8)
    return flat_module(calibrated(Residual(), example), (example,))


@pytest.fixture
def emitted(traced: FlatModule, tmp_path: Path) -> tuple[Path, Manifest]:
    plans = [CutPlan(f"cut-{index}", nodes, ()) for index, nodes in enumerate(traced.random_closed_sets(1))]
    return tmp_path / "b", write_bundle(tmp_path / "b", traced.source, plans)


def with_tail(manifest: Manifest, directory: Path, cut_id: str, tail: Path) -> Manifest:
    record = FileRecord(
        tail.relative_to(directory).as_posix(), tail.stat().st_size, hashlib.sha256(tail.read_bytes()).hexdigest()
    )
    cuts = [
        replace(cut, files={"torchscript": HalfFiles(cut.files["torchscript"].head, record)}) if cut.id == cut_id else cut
        for cut in manifest.cuts
    ]
    return replace(manifest, cuts=tuple(cuts))


@pytest.mark.parametrize("change", [1e-2, 0.0])
def test_a_broken_tail_is_found_from_its_file(traced: FlatModule, emitted: tuple[Path, Manifest], change: float):
    """The tail is written anew with one weight changed (or not at all), and its digest put in order."""
    directory, manifest = emitted
    nodes = traced.random_closed_sets(1)[2]
    halves = split(traced.source.module, nodes, traced.tensors)
    inputs = list(traced.source.example_inputs)
    with torch.no_grad():
        expected = [list(traced.source.module(*inputs))]
        crossing = halves.head(*inputs)[: len(halves.crossing)]
        weight = next(value for value in halves.tail.parameters() if value.dim() == 2)
        weight.mul_(1 + change)
        emitter_of("torchscript").write(halves.tail, crossing, directory / "cut-2" / "broken.ts")
        weight.div_(1 + change)
    changed = with_tail(manifest, directory, "cut-2", directory / "cut-2" / "broken.ts")
    write_manifest(directory, changed)
    if change:
        with pytest.raises(MismatchError, match=r"cut cut-2: .* in output \(made by the tail\): relative error"):
            verify(directory, changed, [inputs], expected, format_name="torchscript")
    else:
        checks = verify(directory, changed, [inputs], expected, format_name="torchscript")
        assert set(checks) == {cut.id for cut in manifest.cuts}


def run_here(requests: list[dict[str, Any]], scratch: Path, progress: object) -> None:
    """In place of fresh processes."""
    for request in requests:
        (scratch / "request.json").write_text(json.dumps({**request, "threads": 1}))
        answer(str(scratch / "request.json"))


def test_rounding_is_told_from_a_difference_by_running_without_optimisations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The whole is said to have rounded three steps further than the halves, as an optimiser may that fuses ops otherwise."""
    model = quantised()
    for number, node in enumerate(model.graph.node):
        node.name = f"node {number}"
    source, directory = source_of(save(model, tmp_path / "quantised.onnx")), tmp_path / "b"
    with unverified_bundles():
        manifest = write_bundle(directory, source, plans_of(source.model, 2)[:2])
    monkeypatch.setattr(equivalence, "_run_fresh", run_here)
    inputs, steps = list(source.example_inputs), source.steps()
    right = list(source.whole()(*inputs))
    moved = [right[0] + 3 * steps[0].absolute, *right[1:]]

    def checks(expected: list[torch.Tensor], plain: list[torch.Tensor] | None) -> dict[str, Verification]:
        whole = None if plain is None else lambda: lambda *_: plain
        return verify(directory, manifest, [inputs], [expected], format_name="onnx", steps=steps, plain_whole=whole)

    for check in checks(moved, right).values():
        error = check.outputs[0].relative_error
        assert steps[0].allowance(float(moved[0].abs().max())) < error <= check.tolerance
    for expected, plain in ((moved, None), (moved, moved), ([*right[:4], right[4] + 1], right)):
        with pytest.raises(MismatchError, match=r"output\.(y|x) .*relative error"):
            checks(expected, plain)


def test_a_damaged_half_stops_the_verification(traced: FlatModule, emitted: tuple[Path, Manifest]):
    directory, manifest = emitted
    path = directory / "cut-2" / "tail.ts"
    path.write_bytes(path.read_bytes()[::-1])
    inputs = list(traced.source.example_inputs)
    with torch.no_grad():
        expected = [list(traced.source.module(*inputs))]
    with pytest.raises(CodegenError, match=r"verifies each tail ended with code 1: .*tail.ts has SHA-256"):
        verify(directory, manifest, [inputs], expected, format_name="torchscript")


def test_outputs_that_are_zero_or_constant_are_called_uninformative(tmp_path: Path):
    class Empty(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.zero = nn.Linear(4, 3)
            nn.init.zeros_(self.zero.weight)
            nn.init.zeros_(self.zero.bias)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"zero": self.zero(x), "constant": self.zero(x) + 7, "live": x.cumsum(1)}

    traced = flat_module(Empty(), (torch.randn(2, 4),))
    manifest = write_bundle(tmp_path / "b", traced.source, [CutPlan("all", frozenset(traced.ops), ())])
    told = {output.name: output.informative for output in manifest.cuts[0].verification[0].outputs}
    assert told == {"output.zero": False, "output.constant": False, "output.live": True}
    assert manifest.cuts[0].verification[0].informative


@given(st.sampled_from([torch.float32, torch.int64, torch.bool, torch.bfloat16]), st.integers(0, 5), st.integers(0, 99))
def test_another_draw_has_the_same_range(dtype: torch.dtype, size: int, seed: int):
    tensor = torch.randint(0, 5, (size, 3), generator=torch.Generator().manual_seed(seed)).to(dtype)
    drawn = redraw([tensor], seed)[0]
    assert drawn.shape == tensor.shape and drawn.dtype == tensor.dtype
    if len(tensor.unique()) > 1 or not dtype.is_floating_point:
        assert drawn.flatten().sort()[0].equal(tensor.flatten().sort()[0])


def test_a_constant_input_is_moved():
    assert not redraw([torch.zeros(1, 3, 4, 4)])[0].equal(torch.zeros(1, 3, 4, 4))


def test_another_draw_keeps_the_memory_order():
    picture = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    drawn = redraw([picture, torch.randn(6, 4).t()])
    assert [tensor.stride() for tensor in drawn] == [picture.stride(), (1, 4)]


@pytest.mark.parametrize("statistic", [torch.max, torch.mean, torch.std])
def test_another_draw_has_other_statistics(statistic: Callable[[torch.Tensor], torch.Tensor]):
    """Or a half that holds one of them as a constant would pass."""
    tensor = torch.randn(4, 6)
    drawn = redraw([tensor])[0]
    assert not torch.isclose(statistic(drawn), statistic(tensor))
    assert tensor.min() <= drawn.min() and drawn.max() <= tensor.max()
