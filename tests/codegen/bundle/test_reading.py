"""What is read of a bundle that is replaced again and again is always of one emission."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError
from codegen.files.whole_directory import built_beside, put_in_place
from codegen.loading import export_half, load_cut
from codegen.manifest import FILE_NAME
from tests.codegen.flat_module import flat_module
from tests.codegen.unverified import unverified  # noqa: F401 - used by all tests here

X = torch.rand(2, 9)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    places = []
    for seed in range(2):
        torch.manual_seed(seed)
        flat = flat_module(nn.Sequential(nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 3)), (X,))
        nodes = flat.random_closed_sets(1)[2]
        places.append(tmp_path_factory.mktemp("training") / "m.split")
        write_bundle(places[-1], flat.source, [CutPlan("cut", nodes, tuple(sorted(nodes)))])
    return places


def test_a_bundle_that_is_replaced_is_read_whole(trainings: list[Path], tmp_path: Path) -> None:
    answers = [loaded.tail(*loaded.head(X)) for loaded in (load_cut(place, "cut") for place in trainings)]
    place, stop, swaps = tmp_path / "m.split", threading.Event(), []
    shutil.copytree(trainings[0], place)

    def swap() -> None:
        while not stop.is_set():
            with built_beside(place) as building:
                shutil.copytree(trainings[len(swaps) % 2], building, dirs_exist_ok=True)
                put_in_place(building, place)
            swaps.append(1)
            stop.wait(0.002)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(60):
            if number % 2:
                export_half(place, "cut", "head", tmp_path / "head.ts")
                continue
            loaded = load_cut(place, "cut", optimize=False)
            answer = loaded.tail(*loaded.head(X))
            assert any(torch.allclose(answer, whole, rtol=1e-4, atol=1e-5) for whole in answers)
    finally:
        stop.set()
        swapper.join()
    assert len(swaps) > 5


def test_what_cannot_be_read_is_told_at_once(trainings: list[Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(trainings[0], tmp_path / "m.split"))
    (place / "cut" / "tail.ts").unlink()
    with pytest.raises(CodegenError, match=r"tail.ts is missing"):
        load_cut(place, "cut")
    (place / FILE_NAME).unlink()
    (place / FILE_NAME).mkdir()
    with pytest.raises(CodegenError, match=str(place)):
        load_cut(place, "cut")


def test_the_weights_of_the_other_half_are_asked_for(trainings: list[Path]) -> None:
    digest = load_cut(trainings[0], "cut", half="head").manifest.weights_digest
    load_cut(trainings[0], "cut", half="tail", weights_digest=digest)
    with pytest.raises(CodegenError, match=r"was emitted with weights of the digest .*, the other half has"):
        load_cut(trainings[1], "cut", half="tail", weights_digest=digest)
