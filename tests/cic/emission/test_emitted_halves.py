"""Emitted halves are exported and loaded with errors of CIC's own."""

from __future__ import annotations

from pathlib import Path

import pytest

import cic
from cic.errors import ArtifactError, EmitError
from tests.codegen.mixed_types import call, write_mixed_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixed_bundle(tmp_path_factory.mktemp("bundles"), ("torchscript",))


def test_a_repository_keeps_the_models_that_it_has(bundle: Path, tmp_path: Path) -> None:
    (only,) = cic.export_triton(bundle, tmp_path / "repository", cuts=["wide-1.2"], name="a")
    assert only.name == "a_wide-1.2"
    (tmp_path / "repository" / only.name / "config.pbtxt").write_text("of the user's")
    with pytest.raises(EmitError, match=r"has a model a_wide-1\.2 already; remove it or name the new ones otherwise"):
        cic.export_triton(bundle, tmp_path / "repository", name="a")


def test_nothing_is_exported_into_the_bundle(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle)
    for place in (bundle, bundle / "repository", tmp_path / "link" / "manifest.json"):
        with pytest.raises(EmitError, match="holds its own files only"):
            cic.export_triton(bundle, place)
        with pytest.raises(ArtifactError, match=r"holds its own files only|is a directory"):
            cic.export_half(bundle, "wide-1.2", "tail", place)


def test_what_is_no_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(EmitError, match="is not an emitted model"):
        cic.export_triton(tmp_path, tmp_path / "repository")
    with pytest.raises(ArtifactError, match="no cut 'nowhere'"):
        cic.load_cut(bundle, "nowhere")


def test_a_loaded_cut_answers_what_the_whole_answers(bundle: Path) -> None:
    whole, cut = cic.load_cut(bundle, "device-only"), cic.load_cut(bundle, "wide-1.2")
    expected = whole.tail(*whole.head(*call()))
    answer = cut.tail(*cut.head(*call()))
    assert answer.keys() == expected.keys()
    assert all(answer[name].allclose(expected[name], rtol=1e-3, atol=1e-4) for name in expected)
