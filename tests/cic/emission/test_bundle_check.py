"""A bundle of another model or another time is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import cic
from cic.emission.bundle_check import check_bundle, emitted_cuts
from cic.errors import ArtifactError
from codegen.manifest import signed
from tests.cic.conftest import Project, run_cic


def test_a_bundle_of_another_model_or_time_is_refused(project: Project, tmp_path: Path) -> None:
    model = cic.load(project.file)
    check_bundle(model, project.split, list(model.cut_by_id))
    assert emitted_cuts(model, project.split) == set(model.cut_by_id)
    machines = ("--device", "raspberry-pi-4", "--server", "v100")
    done = run_cic(
        "compile",
        "small_networks:Similar",
        "--input",
        "1x3x64x64",
        *machines,
        "-o",
        tmp_path / "similar.cic",
        cwd=project.directory,
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(ArtifactError, match="another model"):
        check_bundle(cic.load(tmp_path / "similar.cic"), project.split, ["device-only"])
    # The same cut ids, other cuts: the manifest says what it holds.
    split = tmp_path / "renamed.split"
    shutil.copytree(project.split, split)
    manifest = json.loads((split / "manifest.json").read_text())
    manifest["cuts"][-1]["device_ops"].pop()
    renamed = manifest["cuts"][-1]["id"]
    (split / "manifest.json").write_text(json.dumps(signed(manifest)))
    with pytest.raises(ArtifactError, match=renamed):
        check_bundle(model, split, [renamed])
    assert emitted_cuts(model, split) == set(model.cut_by_id) - {renamed}
