"""A model at several sizes decides as the splitting model of each size does, and files of another model are not mixed in."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import cic
from benchmarks.harness.random_problems import network_shaped
from cic.decision.sized_model import SizedModel, load_sizes
from cic.decision.splitting_model import SplittingModel, dumps
from cic.errors import ArgumentError, ArtifactError, DecisionError
from tests.cic.hand_made import changed, splitting_model


@pytest.fixture(scope="module")
def sized() -> SizedModel:
    seeds = {"96": 0, "160": 1}
    return SizedModel(
        {size: splitting_model(network_shaped(random.Random(seed), 30), cic.Box()) for size, seed in seeds.items()}
    )


def test_each_size_decides_by_its_own_table(sized: SizedModel, tmp_path: Path) -> None:
    sized.save(tmp_path / "model.sizes")
    assert sorted(path.name for path in (tmp_path / "model.sizes").iterdir()) == ["160.cic", "96.cic"]
    again = load_sizes(tmp_path / "model.sizes")
    assert list(again.models) == ["96", "160"] and repr(again) == "SizedModel(96, 160)"
    for size in (96, "160"):
        alone = cic.load(tmp_path / "model.sizes" / f"{size}.cic")
        for conditions in ({}, {"rtt": "40ms", "server_slowdown": 3}):
            decision = again.decide("20Mbps", size=size, **conditions)
            assert decision.cut.features == alone.decide("20Mbps", **conditions).cut.features
        assert dumps(again.at(size)) == dumps(sized.at(size))
    again.save(tmp_path / "model.sizes")


def test_a_size_that_is_not_there_is_named(sized: SizedModel) -> None:
    for size in ("224", 97, None, 96.0, True):
        with pytest.raises(DecisionError, match="there are 96, 160"):
            sized.decide("20Mbps", size=size)  # type: ignore[arg-type]


def test_sizes_of_other_weights_are_not_one_model(sized: SizedModel) -> None:
    other = sized.at(160)
    other = changed(other, information=other.information.replaced(weights_digest="another"))
    with pytest.raises(ArtifactError, match="the sizes 96 and 160 are of other weights"):
        SizedModel({"96": sized.at(96), "160": other})


@pytest.mark.parametrize("size", ["", "../up", "a/b", ".cic", "a b", "x" * 51, 96])
def test_a_size_names_a_file(sized: SizedModel, size: str) -> None:
    with pytest.raises(ArtifactError, match="a size is called"):
        SizedModel({size: sized.at(96)})


def test_what_is_no_set_of_sizes_is_refused(sized: SizedModel, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no size"):
        SizedModel({})
    with pytest.raises(ArtifactError, match="a splitting model is expected"):
        SizedModel({"96": "a table"})  # type: ignore[dict-item]
    with pytest.raises(ArtifactError, match=r"holds no \.cic file"):
        load_sizes(tmp_path)
    with pytest.raises(ArgumentError, match="the directory of the sizes"):
        load_sizes("")
    (tmp_path / "224.cic").write_bytes(b"older")
    with pytest.raises(ArtifactError, match=r"holds the size 224, which is none of 96, 160; remove it"):
        sized.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["224.cic"]
    with pytest.raises(ArtifactError, match=r"224\.cic is not a splitting model"):
        load_sizes(tmp_path)
    with pytest.raises(ArtifactError, match="cannot write"):
        sized.save(tmp_path / "absent" / "model.sizes")


def test_a_name_of_a_file_is_a_size(sized: SizedModel, tmp_path: Path) -> None:
    model: SplittingModel = sized.at(96)
    SizedModel({"1.5": model, "a_b-c": model}).save(tmp_path)
    assert load_sizes(tmp_path).models.keys() == {"1.5", "a_b-c"}
