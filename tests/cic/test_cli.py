"""The `cic` command, in this process and as users start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cic
from cic.cli import main
from cic.decision.splitting_model import SplittingModel
from tests.cic.conftest import MACHINES, ROOT, SMALL, Project, run_cic
from tests.cic.report.made_run import made_run, write_run

pytestmark = pytest.mark.usefixtures("in_project")

HEAVY = ("torch", "torchvision", "numba", "numpy", "networkx", "onnx", "onnxruntime", "scipy", "rich", "matplotlib", "PIL")


@pytest.mark.real_interpreter
def test_device_commands_need_only_the_standard_library(project: Project) -> None:
    code = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)

sys.meta_path.insert(0, Blocker())
from cic.cli import main
for arguments in (["decide", "small.cic", "20Mbps"], ["show", "small.cic"], ["show", "small.cic", "--json"],
                  ["show", "small.cic", "--ops", "--emitted", "small.split"], ["machines"],
                  ["decide", "small.cic", "20Mbps", "--rtt", "3s"], ["report", "run.jsonl", "-o", "run.html"]):
    assert main(arguments) == 0, arguments
assert not set(sys.modules) & {set(HEAVY)!r}
"""
    write_run(project.directory / "run.jsonl", made_run(9))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=project.directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Outside the box and without a solver the answer is the best cut known, and says so.
    assert "not proved optimal" in done.stderr


@pytest.mark.real_interpreter
def test_a_reader_that_leaves_is_no_error(project: Project) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cic", "show", "small.cic", "--json"]
    with subprocess.Popen(
        command, cwd=project.directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        process.wait(60)
    assert said == ""
    assert process.returncode == 141


def test_interruption_ends_with_130(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    def interrupted(path: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cic.commands.decide.load", interrupted)
    assert main(["decide", str(project.file), "1Mbps"]) == 130


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    def broken(path: str) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("cic.commands.decide.load", broken)
    with pytest.raises(ZeroDivisionError):
        main(["decide", str(project.file), "1Mbps"])


COMPILE = ("compile", *SMALL, "-o", "bad.cic")

BAD_INPUT = {
    "unknown machine": (("compile", *SMALL, "-o", "bad.cic", "--device", "abacus", "--server", "v100"), "abacus"),
    "missing profile": (("compile", *SMALL, "-o", "bad.cic", "--device", "no.json", "--server", "v100"), "no.json"),
    "model without module": (("compile", "resnet50", *MACHINES, "-o", "bad.cic"), "resnet50"),
    "module that is not there": (("compile", "no_such_module:Net", *MACHINES, "-o", "bad.cic"), "no_such_module"),
    "callable that is not there": (("compile", "small_networks:Large", *MACHINES, "-o", "bad.cic"), "Large"),
    "no model": (("compile", "small_networks:NOT_A_MODEL", *MACHINES, "-o", "bad.cic"), "NOT_A_MODEL"),
    "model without input": (("compile", "small_networks:Small", *MACHINES, "-o", "bad.cic"), "--input"),
    "input that is no shape": (("compile", "small_networks:Small", "--input", "3xbig", *MACHINES, "-o", "bad.cic"), "3xbig"),
    "input of unknown type": (("profile", "small_networks:Small", "--input", "1x3:int5", "-o", "bad.json"), "int5"),
    "input file that is not there": (("profile", "small_networks:Small", "--input", "no.npy", "-o", "bad.json"), "no.npy"),
    "input named twice": ((*COMPILE, *MACHINES, "--input", "a=1x3", "--input", "a=1x3"), "'a'"),
    "input of the wrong shape": (
        ("compile", "small_networks:Small", "--input", "1x7x8x8", *MACHINES, "-o", "bad.cic"),
        "Small",
    ),
    "missing program": (("compile", "no.pt2", *MACHINES, "-o", "bad.cic"), "no.pt2"),
    "damaged program": (("compile", "damaged.pt2", *MACHINES, "-o", "bad.cic"), "damaged.pt2"),
    "range without end": ((*COMPILE, *MACHINES, "--uplink", "5Mbps"), "5Mbps"),
    "range upside down": ((*COMPILE, *MACHINES, "--uplink", "5Mbps..1Mbps"), "uplink"),
    "box of nothing": ((*COMPILE, *MACHINES, "--box", "weather=1..2"), "weather"),
    "box of words": ((*COMPILE, *MACHINES, "--box", "server_slowdown=slow..slower"), "slow"),
    "rtt outside the box": ((*COMPILE, *MACHINES, "--rtt", "9s"), "rtt"),
    "pin without side": ((*COMPILE, *MACHINES, "--pin", "first"), "first"),
    "pin of no op": ((*COMPILE, *MACHINES, "--pin", "nothing=device"), "nothing"),
    "pin to no side": ((*COMPILE, *MACHINES, "--pin", "first=cloud"), "cloud"),
    "pinned twice": ((*COMPILE, *MACHINES, "--pin", "first=device", "--pin", "first=server"), "first"),
    "pins against the flow": ((*COMPILE, *MACHINES, "--pin", "first=server", "--pin", "last=device"), "pins"),
    "private tensor that is none": ((*COMPILE, *MACHINES, "--private", "secret"), "secret"),
    "uncertainty of a word": ((*COMPILE, *MACHINES, "--uncertainty", "little"), "little"),
    "uncertainty of two": ((*COMPILE, *MACHINES, "--uncertainty", "2"), "uncertainty"),
    "output nowhere": (("compile", *SMALL, *MACHINES, "-o", "no/such/place/bad.cic"), "no/such/place"),
    "threads": (("profile", *SMALL, "-o", "bad.json", "--threads", "0"), "threads"),
    "missing file": (("decide", "no.cic", "1Mbps"), "no.cic"),
    "damaged file": (("decide", "damaged.cic", "1Mbps"), "damaged.cic"),
    "foreign file": (("show", "small_networks.py"), "small_networks.py"),
    "bandwidth of a word": (("decide", "small.cic", "fast"), "fast"),
    "bandwidth of zero": (("decide", "small.cic", "0Mbps"), "0Mbps"),
    "bandwidth without a number": (("decide", "small.cic", "nanMbps"), "nanMbps"),
    "bandwidth in furlongs": (("decide", "small.cic", "3furlongs"), "furlongs"),
    "negative rtt": (("decide", "small.cic", "1Mbps", "--rtt=-3ms"), "-3ms"),
    "downlink of a word": (("decide", "small.cic", "1Mbps", "--downlink", "slow"), "downlink"),
    "slowdown of a word": (("decide", "small.cic", "1Mbps", "--server-slowdown", "much"), "much"),
    "slowdown of zero": (("decide", "small.cic", "1Mbps", "--device-slowdown", "0"), "device_slowdown"),
    "picture of unknown kind": (("show", "small.cic", "--picture", "small.bmp"), "small.bmp"),
    "picture nowhere": (("show", "small.cic", "--picture", "no/such/place.png"), "no/such/place.png"),
    "emitted nowhere": (("show", "small.cic", "--emitted", "nowhere"), "nowhere"),
    "unknown cut to emit": (("emit", "small_networks:Small", "small.cic", "-o", "x.split", "--cut", "cut-77"), "cut-77"),
    "unknown format": (("emit", "small_networks:Small", "small.cic", "-o", "x.split", "--format", "csv"), "csv"),
    "model that cannot be traced": (("compile", "small_networks:NeedsData", *COMPILE[2:], *MACHINES), "NeedsData"),
    "wrong model to emit": (("emit", "small_networks:Similar", "small.cic", "-o", "x.split"), "Small"),
    "emit over other things": (("emit", "small_networks:Small", "small.cic", "-o", "occupied"), "occupied"),
    "unknown cut to run": (("run", "small.split", "small.cic", "--bandwidth", "1Mbps", "--cut", "cut-77"), "cut-77"),
    "run of nothing emitted": (("run", "nowhere", "small.cic", "--bandwidth", "1Mbps"), "nowhere"),
    "run of bad bandwidth": (("run", "small.split", "small.cic", "--bandwidth", "fast"), "fast"),
    "run never": (("run", "small.split", "small.cic", "--bandwidth", "1Mbps", "--repeat", "0"), "--repeat"),
    "run of unknown format": (("run", "small.split", "small.cic", "--bandwidth", "1Mbps", "--format", "csv"), "csv"),
    "run on the wrong input": (("run", "small.split", "small.cic", "--bandwidth", "1Mbps", "--input", "1x3x8x8"), "shape"),
    "run on no picture": (("run", "small.split", "small.cic", "--bandwidth", "1Mbps", "--input", "fake.jpg"), "fake.jpg"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gives_one_line_that_names_it(case: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(project.file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (project.directory / "damaged.cic").write_bytes(damaged)
    (project.directory / "damaged.pt2").write_bytes(b"not a program")
    (project.directory / "fake.jpg").write_bytes(b"not a picture")
    (project.directory / "occupied").mkdir(exist_ok=True)
    (project.directory / "occupied" / "letter.txt").write_text("keep me")
    arguments, named = BAD_INPUT[case]
    code = main(list(arguments))
    captured = capsys.readouterr()
    assert code == 2, captured.out
    last = captured.err.splitlines()[-1]
    assert last.startswith("cic: ") and named in last
    assert "Traceback" not in captured.err
    assert not (project.directory / "bad.cic").exists() and not (project.directory / "x.split").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("decide", "small.cic"),
        ("run", "small.split", "small.cic"),
        ("run", "small.split", "small.cic", "--server", "none", "--bandwidth", "1Mbps"),
    ],
)
def test_incomplete_commands_are_refused_with_their_usage(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    assert exit_.value.code == 2
    assert "usage: cic" in capsys.readouterr().err


@pytest.mark.real_interpreter
def test_errors_of_a_real_process_are_one_line_and_code_2(project: Project) -> None:
    done = run_cic("decide", "no.cic", "1Mbps", cwd=project.directory)
    assert done.returncode == 2
    assert done.stderr.startswith("cic: ") and done.stderr.count("\n") == 1 and not done.stdout


def test_a_closed_stdout_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `cic machines >&-`: Python has no stdout then."""
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["machines"]) == 0


def test_a_name_from_a_file_commands_no_terminal(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    """Whoever made a splitting model named its tensors."""
    model = cic.load(project.file)
    graph = model.graph()
    bad = [tensor.replaced(name=f"\033[2J{tensor.name}\x07") for tensor in graph.tensors]
    ops = [op.replaced(name=f"{op.name}\x9b31m") for op in graph.ops]
    changed = graph.replaced(tensors=tuple(bad), ops=tuple(ops))
    table = model.table.replaced(name="\033]0;mine\x07")
    SplittingModel(table, lambda: changed).save(tmp_path / "bad.cic")
    for command in (["show", "--ops"], ["decide", "20Mbps"], ["export", "--format", "d\033c", "-o", "x"]):
        main([command[0], str(tmp_path / "bad.cic"), *command[1:]])
        printed = capsys.readouterr()
        assert all(letter.isprintable() or letter == "\n" for letter in printed.out + printed.err)
        assert printed.out or printed.err
