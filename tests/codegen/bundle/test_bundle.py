"""A bundle is whole or absent, loads without the model's code, and refuses what does not match its manifest."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import MismatchError, UnsplittableError
from codegen.formats.emitter import formats
from codegen.loading import load_cut
from codegen.manifest import FILE_NAME, read_manifest
from tests.codegen.flat_module import flat_module
from tests.codegen.residual_bundle import plans_of
from tests.codegen.small_models import Answer, Pair, TwoTowers, Views, two_towers_call


@pytest.mark.parametrize("format_name", formats())
@pytest.mark.parametrize("optimize", [False, True])
def test_loaded_halves_are_the_model(residual, bundle: Path, format_name: str, optimize: bool):
    model, _ = residual
    x = torch.randn(1, 3, 8, 8)
    manifest = read_manifest(bundle)
    assert len(manifest.cuts) == 4
    for record in manifest.cuts:
        cut = load_cut(bundle, record.id, format_name=format_name, optimize=optimize)
        results = cut.head(x)
        assert len(results) == len(cut.crossing) + len(cut.kept)
        with torch.no_grad():
            torch.testing.assert_close(cut.tail(*results), model(x), rtol=1e-4, atol=1e-5)


def test_every_cut_was_verified_in_every_format(bundle: Path):
    for cut in read_manifest(bundle).cuts:
        assert {check.format for check in cut.verification} == set(formats())
        for check in cut.verification:
            assert check.max_relative_error <= check.tolerance == 1e-4
            assert check.informative and check.input_sets == 2


@pytest.mark.parametrize(
    ("model", "call"),
    [(TwoTowers(), two_towers_call()), (Views(), ((torch.randn(2, 12),), {}))],
)
def test_structures_survive(model: nn.Module, call: tuple, tmp_path: Path):
    args, kwargs = call
    traced = flat_module(model, args, kwargs)
    write_bundle(tmp_path / "b", traced.source, plans_of(traced, 2))
    for record in read_manifest(tmp_path / "b").cuts:
        cut = load_cut(tmp_path / "b", record.id)
        answer = cut.tail(*cut.head(*args, **dict(reversed(kwargs.items()))))
        with torch.no_grad():
            expected = model(*args, **kwargs)
        assert type(answer) is type(expected)
        if isinstance(expected, Answer):
            torch.testing.assert_close(list(answer.hidden), list(expected.hidden))
            assert answer.note == expected.note
        else:
            assert isinstance(answer["pair"], Pair) and answer["flag"] is True and answer["pair"].second[1] is None
            torch.testing.assert_close(answer["logits"], expected["logits"])
            torch.testing.assert_close(answer["given"], expected["given"])
            torch.testing.assert_close(answer["steps"], expected["steps"])


def test_a_failure_leaves_the_older_bundle_and_no_rubbish(residual, copied: Path):
    _, traced = residual
    before = (copied / FILE_NAME).read_text()
    with pytest.raises(UnsplittableError):
        write_bundle(copied, traced.source, [CutPlan("bad", frozenset({traced.ops[-1]}), ())])
    with pytest.raises(
        MismatchError, match=r"cut server-only: the halves differ .* in output \(made by the tail\): relative error"
    ):
        write_bundle(copied, traced.source, plans_of(traced)[:1], whole=lambda x: (traced.source.module(x)[0] * 1.01,))
    assert (copied / FILE_NAME).read_text() == before
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_halves_are_compared_on_further_inputs_too(residual, tmp_path: Path):
    source, nines = residual[1].source, [[torch.full((1, 3, 8, 8), 9.0)]]
    plans = plans_of(residual[1])[:1]
    manifest = write_bundle(tmp_path / "b", source, plans, further_inputs=nines)
    assert manifest.cuts[0].verification[0].input_sets == 3

    def wrong_for_nines_only(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(output * (2 if bool((x == 9).all()) else 1) for output in source.module(x))

    with pytest.raises(MismatchError, match="input set 2"):
        write_bundle(tmp_path / "b", source, plans, whole=wrong_for_nines_only, further_inputs=nines)
