"""A user's file of the name of one of our packages is told by its place, wherever it would be imported in place of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cic.errors import InputError, TraceError
from cic.inputs.model_source import load_model
from cic.own_packages import OWN_PACKAGES, check_own
from tests import warm_python
from tests.cic.conftest import Project, run_cic
from tests.contracts.source_files import ROOT


def shadow(directory: Path, name: str, *, package: bool) -> Path:
    path = directory / name / "__init__.py" if package else directory / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    return path


@pytest.mark.parametrize("package", [True, False])
@pytest.mark.parametrize("name", OWN_PACKAGES)
def test_what_would_be_imported_is_named(name: str, package: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_own(*OWN_PACKAGES)
    path = shadow(tmp_path, name, package=package)
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError) as caught:
        check_own(*OWN_PACKAGES)
    assert str(path) in str(caught.value) and str(ROOT) in str(caught.value)


def test_what_was_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codegen", os)
    with pytest.raises(InputError, match=r"os\.py takes the place of the package codegen"):
        check_own("codegen")


def test_folders_that_are_no_packages_are_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "codegen").mkdir()
    monkeypatch.delitem(sys.modules, "codegen", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    check_own("codegen")


def test_a_link_to_ours_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "codegen").symlink_to(ROOT / "codegen")
    monkeypatch.delitem(sys.modules, "codegen", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    check_own("codegen")


@pytest.mark.real_interpreter
@pytest.mark.parametrize(("name", "used"), [("codegen", "import cic"), ("mincut", "import cic, cic.decision.off_table")])
def test_the_import_itself_says_so(name: str, used: str, tmp_path: Path) -> None:
    path = shadow(tmp_path, name, package=False)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", used], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0 and str(path) in done.stderr.splitlines()[-1]
    kept = subprocess.run([sys.executable, "-P", "-c", used], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert name != "codegen" or kept.returncode == 0, kept.stderr


def test_helper_processes_do_not_see_the_working_directory(project: Project, tmp_path: Path) -> None:
    """With -P this command does not, and neither do those that it starts, or they would fail on these files."""
    for name in (*OWN_PACKAGES, "cic", "torch"):
        shadow(tmp_path, name, package=False)
    asked = (project.split, project.file, "--bandwidth", "50Mbps", "--cut", "server-only", "--repeat", "1", "--check")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [warm_python.executable(), "-P", "-m", "cic", "run", *map(str, asked)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_model_in_a_file_of_our_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow(tmp_path, "compress", package=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TraceError, match="rename compress"):
        load_model("compress:network")


def test_models_beside_such_files_are_found(tmp_path: Path) -> None:
    """The working directory is searched for the model alone, and by then our own packages are there."""
    shadow(tmp_path, "mincut", package=False)
    (tmp_path / "nets.py").write_text("from torch import nn\ndef net(): return nn.Sequential(nn.Linear(6, 5), nn.ReLU())\n")
    machines = ("--device", "raspberry-pi-4", "--server", "v100")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [warm_python.executable(), "-P", "-m", "cic", "compile", "nets:net", "--input", "1x6", *machines, "-o", "m.cic"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # As `python -m` finds them, they are in the way, and are named.
    told = run_cic(*command[4:], cwd=tmp_path, interpreter=warm_python.executable())
    assert told.returncode == 2 and told.stderr.splitlines()[-1].startswith(f"cic: {tmp_path / 'mincut.py'} takes the place")
