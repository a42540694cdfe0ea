"""Models and inputs as commands take them: by name and by position, from a program and from files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
import torch

from tests.cic.conftest import MACHINES, Project, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_inputs_by_name_and_dict_outputs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, split = tmp_path / "two.cic", tmp_path / "two.split"
    call = ("--input", "1x12:int64", "--input", "mask=1x12")
    answer(capsys, "compile", "small_networks:TwoInputs", *call, *MACHINES, "-o", file)
    answer(capsys, "emit", "small_networks:TwoInputs", file, "-o", split)
    for cut in ("server-only", "device-only"):
        told = json.loads(
            answer(capsys, "run", split, file, "--bandwidth", "50Mbps", "--cut", cut, "--check", "--repeat", "1", "--json")
        )
        assert told["cut"] == cut
        assert told["relative_error"] <= 1e-4


def test_an_exported_program_brings_its_own_inputs(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path
) -> None:
    import small_networks

    program, file, split = tmp_path / "small.pt2", tmp_path / "small.cic", tmp_path / "small.split"
    torch.export.save(torch.export.export(small_networks.Small().eval(), (torch.randn(1, 3, 64, 64),)), program)
    answer(capsys, "compile", program, *MACHINES, "-o", file)
    answer(capsys, "emit", program, file, "-o", split, "--cut", "server-only")
    # Other values of the same shape, from a file.
    numpy.save(tmp_path / "image.npy", numpy.ones((1, 3, 64, 64), dtype=numpy.float32))
    asked = ("--bandwidth", "50Mbps", "--cut", "server-only", "--input", tmp_path / "image.npy", "--repeat", "1")
    assert "equals tail(head(x))" in answer(capsys, "run", split, file, *asked, "--check")
