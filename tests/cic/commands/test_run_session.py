"""`cic run --server` answers with a server, shows each inference, and sums up; without one the device answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cic.cli import main
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
from cic.session.record import record_of
from tests.cic.conftest import Project, answer

TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def served(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(TOKEN + "\n")
    with TailServer(project.split, ServerOptions(port=0, token_file=token)) as server:
        yield server.address


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN)
    return tmp_path / "token"


def test_each_inference_is_shown_and_summed_up(
    capsys: pytest.CaptureFixture[str], project: Project, served: str, token: Path, tmp_path: Path
) -> None:
    asked = ("--server", served, "--token-file", token, "--cut", "cut-01", "--repeat", "4", "--records", tmp_path / "run.jsonl")
    lines = answer(capsys, "run", project.split, project.file, *asked).splitlines()
    assert len([line for line in lines if line.startswith("cut-01") and line.endswith("remote")]) == 4
    (summed,) = [line for line in lines if line.startswith("cut-01") and " 4 " in line]
    assert "remote" in summed
    assert [record_of(line).kind for line in (tmp_path / "run.jsonl").read_bytes().splitlines()] == ["remote"] * 4


def test_as_json_it_prints_the_records(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((1, 3, 64, 64), np.float32))
    asked = ("--server", "none", "--input", tmp_path / "image.npy", "--repeat", "2", "--json", "--deadline", "2s")
    told = json.loads(answer(capsys, "run", project.split, project.file, *asked))
    assert [each["outcome"] for each in told] == ["local"] * 2 and told[0]["deadline_s"] == 2.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--server", "none", "--repeat", "-1"), "at least 0"),
        (("--server", "none", "--cut", "cut-99"), "cut-99"),
        (("--server", "none", "--token-file", "nowhere"), "cannot read the token"),
        (("--server", "none", "--input", "no-such.npy"), "cannot be read as arrays"),
        (("--server", "host:8000"), "expected is a URL"),
    ],
)
def test_what_cannot_be_is_told(
    capsys: pytest.CaptureFixture[str], project: Project, options: tuple[str, ...], words: str
) -> None:
    assert main(["run", str(project.split), str(project.file), *options]) == 2
    assert words in capsys.readouterr().err
