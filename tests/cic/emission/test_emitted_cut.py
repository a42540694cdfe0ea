"""An emitted cut has what its codecs are made from: both the file and the bundle give the same codecs by name."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from benchmarks.trust.attack.sound_transforms import coded, transform_of
from cic.codec.tensors import tensor_of
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.emission.bundle_check import check_bundle
from cic.emission.cut_plans import stored_for
from cic.errors import ArtifactError, CodecError
from tests.codegen.unverified import unverified_bundles

IMAGE = torch.randn(1, 3, 20, 20)


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 12, 3, 2), nn.ReLU(), nn.Conv2d(12, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
    return nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def model() -> SplittingModel:
    model = coded(cic.compile(network(), (IMAGE,), device="raspberry-pi-4", server="v100"))
    assert len(model.stored_codecs) > 1
    return model


@pytest.fixture(scope="module")
def split(model: SplittingModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("emitted") / "m.split"
    with unverified_bundles():
        cic.emit(network(), model, directory)
    return directory


def test_codecs_without_numpy_say_which_extra_brings_it(
    model: SplittingModel, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = model.decide("1Mbps")
    assert cic.load_cut(split, decision).id == decision.cut_id
    cut = cic.load_cut(split, next(each for each in model.cuts if each.crossing).id)
    for name in [name for name in sys.modules if name.startswith("cic.codec.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(CodecError, match=r"the codec int8 needs the package .*numpy.*: pip install 'cic-compiler\[codec\]'"):
        cut.codec("int8")


def test_a_crossing_tensor_is_coded_by_name_on_either_side(model: SplittingModel, split: Path) -> None:
    check_bundle(model, split, list(model.cut_by_id))
    for chosen in model.cuts:
        cut = cic.load_cut(split, chosen)
        assert len(repr(cut)) < 300 and cut.id == chosen.id
        assert set(cut.loaded.codecs) == set(stored_for(model, chosen))
        *crossing, last = cut.head(IMAGE) if chosen.offloads else (None,)
        received = [*crossing, last][: len(cut.crossing)]
        for place, (wire, name) in enumerate(chosen.codec_of.items()):
            device, server = model.codec(name), cut.codec(name)
            assert device == server and wire == cut.crossing[place].name
            payload = device.encode(received[place], wire)
            array = server.decode(payload, cut.crossing[place].shape, "float32", wire)
            assert len(bytes(payload)) < device.largest_bytes(cut.crossing[place].shape, "float32")
            assert (tensor_of(array, "float32") - received[place]).abs().max() < 0.5


def test_a_bundle_without_what_a_codec_is_made_from_is_told(model: SplittingModel, split: Path, tmp_path: Path) -> None:
    chosen = next(cut for cut in model.cuts if cut.codecs)
    _, other = transform_of(3, seed=9)
    digest = next(iter(other))
    assert digest == sha256(other[digest]).hexdigest()
    renamed = [Cut(cut.id, cut.features, cut._details, [f"transform-0.05@{digest}"] * len(cut.codecs)) for cut in model.cuts]
    later = SplittingModel(model.table.replaced(cuts=tuple(renamed)), model.graph, lambda: other)
    with pytest.raises(ArtifactError, match=f"the cut '{chosen.id}' in .* was emitted without the stored codec {digest}"):
        check_bundle(later, split, [chosen.id])
    with pytest.raises(CodecError, match=f"none with the SHA-256 {digest} are stored here"):
        cic.load_cut(split, chosen.id).codec(f"transform-0.05@{digest}")


def test_cuts_without_codecs_need_nothing(model: SplittingModel) -> None:
    plain = SplittingModel(model.table, model.graph)
    assert stored_for(plain, plain.cuts[0]) == ()
