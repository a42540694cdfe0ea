"""The `cic` command, in this process and as users start it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

import cic
from cic.cli import main
from cic.commands.document import SIDES
from cic.commands.table import plain_table
from cic.decision.payoff import payoff_of
from cic.decision.units import show_bandwidth
from mincut.problem import FREE, ON_DEVICE, ON_SERVER
from tests.cic.conftest import MACHINES, ROOT, SMALL, Project, answer, run_cic

pytestmark = pytest.mark.usefixtures("in_project")

HEAVY = ("torch", "torchvision", "numba", "numpy", "networkx", "onnx", "onnxruntime", "scipy", "rich", "matplotlib", "PIL")


# -------------------------------------------------------------------------------------------------- commands that work


def test_machines_are_listed_with_figures_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    known = json.loads(answer(capsys, "machines", "--json"))
    lines = answer(capsys, "machines").splitlines()
    assert len(known) > 5
    for machine in known:
        line = next(line for line in lines if line.startswith(machine["name"] + " "))
        assert machine["source"] and machine["source"] in line
        assert f"{machine['flops_per_s'] / 1e9:.3g}" in line.split()


def test_profile_writes_what_compile_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    profile, file = tmp_path / "here.profile.json", tmp_path / "small.cic"
    said = answer(capsys, "profile", *SMALL, "-o", profile, "--seconds-per-op", "0.002")
    assert str(profile) in said
    answer(capsys, "compile", *SMALL, "--device", "raspberry-pi-4", "--server", profile, "-o", file)
    compiled = cic.load(file)
    assert compiled.information.server.kind == "profile"
    expected_ns = [round(cic.load_profile(profile).sum_s * 1e9)]
    assert compiled.cut_by_id["server-only"].server_ns == pytest.approx(expected_ns[0], abs=len(compiled.graph().ops))


def test_compile_tells_cuts_and_break_points_and_keeps_stdout_for_them(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "again.cic"
    done = run_cic("compile", *SMALL, *MACHINES, "--rtt", "100us", "-o", file, cwd=project.directory)
    assert done.returncode == 0, done.stderr
    assert "tracing" in done.stderr and "tracing" not in done.stdout
    compiled = cic.load(file)
    assert all(cut.id in done.stdout for cut in compiled.cuts)
    assert compiled.name == "Small"
    assert [cut.features for cut in compiled.cuts] == [cut.features for cut in cic.load(project.file).cuts]


def test_compile_obeys_pins_private_tensors_and_box(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    free, bound, private = tmp_path / "free.cic", tmp_path / "bound.cic", tmp_path / "private.cic"
    box = ("--uplink", "1Mbps..1Gbps", "--box", "rtt=0..20ms", "--box", "server_slowdown=1..2", "--downlink-ratio", "2")
    answer(capsys, "compile", *SMALL, *MACHINES, *box, "-o", free)
    model = cic.load(free)
    assert model.box.uplink_bps == (1e6, 1e9)
    assert model.box.rtt_s == (0, 0.02)
    assert model.box.server_slowdown == (1, 2)
    assert model.default_downlink_ratio == pytest.approx(2)
    first, last = model.graph().ops[0].name, model.graph().ops[-1].name
    answer(capsys, "compile", *SMALL, *MACHINES, "--pin", f"{first}=device", "--pin", f"{last}=server", "-o", bound)
    for cut in cic.load(bound).cuts:
        assert first in cut.device_ops and last not in cut.device_ops
    image = next(tensor.name for tensor in model.graph().tensors if tensor.producer < 0)
    answer(capsys, "compile", *SMALL, *MACHINES, "--private", image, "-o", private)
    for cut in cic.load(private).cuts:
        assert image not in cut.crossing


def test_decide_says_what_the_library_says(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    asked = ("--rtt", "40ms", "--downlink", "50Mbps", "--device-slowdown", "1.3", "--server-slowdown", "4")
    for bandwidth in ("60kbps", "18.88Mbps", "2.5MB/s", "5Gbps"):
        told = json.loads(answer(capsys, "decide", project.file, bandwidth, *asked, "--json"))
        decision = cic.load(project.file).decide(bandwidth, "40ms", "50Mbps", 1.3, 4.0)
        assert told["cut"] == decision.cut_id
        assert told["latency_s"] == decision.latency_s == pytest.approx(sum(told["terms"].values()))
        assert told["conditions"]["rtt_s"] == 0.04
        assert tuple(told["device_ops"]) == decision.device_ops
        text = answer(capsys, "decide", project.file, bandwidth, *asked)
        assert text.startswith(f"{decision.cut_id}: ") and decision.why in text


def test_emit_writes_only_the_cuts_asked_for(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    split = tmp_path / "two.split"
    said = answer(
        capsys, "emit", "small_networks:Small", project.file, "-o", split, "--cut", "device-only", "--cut", "server-only"
    )
    assert {path.name for path in split.iterdir()} == {"manifest.json", "device-only", "server-only"}
    assert "torchscript" in said
    told = json.loads(answer(capsys, "show", project.file, "--emitted", split, "--json"))
    assert told["emitted"] == ["device-only", "server-only"]
    table = answer(capsys, "show", project.file, "--emitted", split).splitlines()
    emitted = {line.split()[0]: line.split()[-1] for line in table[2 : 2 + len(cic.load(project.file).cuts)]}
    assert emitted == {cut: "yes" if cut in told["emitted"] else "no" for cut in cic.load(project.file).cut_by_id}


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


def test_show_prints_provenance_ops_and_tensors(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    model = cic.load(project.file)
    text = answer(capsys, "show", project.file, "--ops")
    assert all(op.name in text for op in model.graph().ops)
    assert all(tensor.name in text for tensor in model.graph().tensors)
    assert model.information.graph_digest[:12] in text
    assert all(side.name in text for side in (model.information.device, model.information.server))


def test_show_says_whether_a_split_pays(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    model = cic.load(project.file)
    assert main(["show", str(project.file)]) == 0
    shown = capsys.readouterr().out
    found = payoff_of(model)
    assert found is not None and found.best is not None
    assert "A split pays at uplinks of " + show_bandwidth(found.windows[0][0]) in shown
    assert f"{found.gains[found.best].factor:.2f} x as fast" in shown and "pays below" in shown


def test_show_draws(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    answer(capsys, "show", project.file, "--picture", tmp_path / "small.svg")
    assert "<svg" in (tmp_path / "small.svg").read_text()


# ------------------------------------------------------------------------------------- the document for other solvers


def test_document_lets_anyone_recompute_the_optimum(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    document = json.loads(answer(capsys, "show", project.file, "--json"))
    model = cic.load(project.file)
    assert len(document["ops"]) <= 12
    for uplink in (5e4, 3e5, 2e6, 9e6, 3e7, 1.2e8, 6e8, 1e10):
        best = brute_force(document, uplink)
        decision = model.decide(uplink)
        assert decision.latency_s == pytest.approx(best, rel=1e-9)
        assert price(document, set(decision.device_ops), uplink) == pytest.approx(best, rel=1e-9)


def test_features_in_the_document_follow_from_ops_and_tensors(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    document = json.loads(answer(capsys, "show", project.file, "--json"))
    for cut in document["cuts"]:
        found = features(document, set(cut["device_ops"]))
        assert found == pytest.approx(cut["features"])
    for op, stored in zip(document["ops"], cic.load(project.file).graph().ops, strict=True):
        assert round(op["device_s"] * 1e9) == stored.device_ns
        assert op["device_s"] == stored.device_ns / 1e9


def test_break_points_in_the_document_are_where_two_cuts_are_equal(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    document = json.loads(answer(capsys, "show", project.file, "--json"))
    ops = {cut["id"]: set(cut["device_ops"]) for cut in document["cuts"]}
    assert document["break_points"], "a network whose cuts all win somewhere has break points"
    for point in document["break_points"]:
        at = point["uplink_bps"]
        assert price(document, ops[point["below"]], at) == pytest.approx(price(document, ops[point["above"]], at), rel=1e-9)
        assert price(document, ops[point["below"]], at * 0.9) < price(document, ops[point["above"]], at * 0.9)
        assert price(document, ops[point["below"]], at * 1.1) > price(document, ops[point["above"]], at * 1.1)


def test_pins_have_their_names(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert (SIDES[FREE], SIDES[ON_DEVICE], SIDES[ON_SERVER]) == (None, "device", "server")
    file = tmp_path / "pinned.cic"
    answer(capsys, "compile", *SMALL, *MACHINES, "--pin", "last=server", "-o", file)
    document = json.loads(answer(capsys, "show", file, "--json"))
    assert {op["name"]: op["pinned"] for op in document["ops"]}["last"] == "server"
    assert brute_force(document, 5e4) == pytest.approx(cic.load(file).decide(5e4).latency_s)


def brute_force(document: dict[str, Any], uplink_bps: float) -> float:
    """The lowest latency over all sets of ops that the document allows."""
    names = [op["name"] for op in document["ops"]]
    sets = (set(chosen) for count in range(len(names) + 1) for chosen in itertools.combinations(names, count))
    return min(price(document, on_device, uplink_bps) for on_device in sets)


def price(document: dict[str, Any], on_device: set[str], uplink_bps: float) -> float:
    """The cost sentence of the document, in Python; infinite for a set that is not allowed."""
    for op in document["ops"]:
        if op["pinned"] == ("server" if op["name"] in on_device else "device"):
            return float("inf")
    for tensor in document["tensors"]:
        made_on_server = tensor["producer"] not in on_device and tensor["producer"] != "@input"
        if made_on_server and any(consumer in on_device for consumer in tensor["consumers"]):
            return float("inf")
        if crosses(tensor, on_device) and not tensor["may_cross"]:
            return float("inf")
    sums, defaults = features(document, on_device), document["defaults"]
    downlink_bps = uplink_bps * defaults["downlink_ratio"]
    return (
        sums["device_s"]
        + sums["server_s"]
        + 8 * sums["upload_bytes"] / uplink_bps
        + 8 * sums["download_bytes"] / downlink_bps
        + sums["offloads"] * defaults["rtt_s"]
    )


def crosses(tensor: dict[str, Any], on_device: set[str]) -> bool:
    made_on_device = tensor["producer"] == "@input" or tensor["producer"] in on_device
    return made_on_device and any(name not in on_device and name != "@output" for name in tensor["consumers"])


def features(document: dict[str, Any], on_device: set[str]) -> dict[str, float]:
    ops, tensors = document["ops"], document["tensors"]
    return {
        "device_s": sum(op["device_s"] for op in ops if op["name"] in on_device),
        "server_s": sum(op["server_s"] for op in ops if op["name"] not in on_device),
        "upload_bytes": sum(tensor["wire_bytes"] for tensor in tensors if crosses(tensor, on_device)),
        "download_bytes": sum(
            tensor["wire_bytes"]
            for tensor in tensors
            if "@output" in tensor["consumers"] and tensor["producer"] not in {*on_device, "@input"}
        ),
        "offloads": int(any(op["name"] not in on_device for op in ops)),
    }


# ---------------------------------------------------------------------------------------------------- running a split


def test_run_takes_as_long_as_the_link_and_about_as_long_as_predicted(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    asked = ("--bandwidth", "1Mbps", "--rtt", "30ms", "--cut", "server-only", "--repeat", "3", "--check", "--json")
    told = json.loads(answer(capsys, "run", project.split, project.file, *asked))
    serialisation_s = 8 * (told["upload_bytes"] + told["download_bytes"]) / 1e6 + 0.03
    assert all(latency >= serialisation_s for latency in told["latencies_s"])
    assert told["predicted"]["latency_s"] >= serialisation_s
    # Nearly all of it is the link, so whose processor the prediction is for does not matter; but the machine may be busy.
    assert told["measured"]["latency_s"] < 3 * told["predicted"]["latency_s"]
    assert told["relative_error"] <= 1e-4
    assert told["sent_bytes"] > told["upload_bytes"]


def test_run_takes_the_cut_that_decide_names(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    for bandwidth in ("50kbps", "10Gbps"):
        told = json.loads(
            answer(capsys, "run", project.split, project.file, "--bandwidth", bandwidth, "--repeat", "1", "--json")
        )
        assert told["cut"] == cic.load(project.file).decide(bandwidth).cut_id


@pytest.mark.real_interpreter
def test_run_works_as_users_start_it(project: Project) -> None:
    asked = ("--bandwidth", "20Mbps", "--cut", "server-only", "--input", "photo", "--repeat", "2")
    done = run_cic("run", "small.split", "small.cic", *asked, cwd=project.directory)
    assert done.returncode == 0, done.stderr
    assert "server-only at 20 Mbit/s" in done.stdout and "measured" in done.stdout


# ------------------------------------------------------------------------------------------------------ light and quiet


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
                  ["decide", "small.cic", "20Mbps", "--rtt", "3s"]):
    assert main(arguments) == 0, arguments
assert not set(sys.modules) & {set(HEAVY)!r}
"""
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


def test_tables_without_rich_are_aligned() -> None:
    table = plain_table(("name", "bytes"), [("a", "5"), ("longer", "12345")], title="Sizes", left=("name",)).splitlines()
    assert table == ["Sizes", "name    bytes", "a           5", "longer  12345"]


# ----------------------------------------------------------------------------------------------------------- bad input

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


@pytest.mark.parametrize("arguments", [(), ("fly",), ("decide", "small.cic"), ("run", "small.split", "small.cic")])
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


def test_verify_proves_and_refuses(capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path) -> None:
    assert main(["verify", str(project.file)]) == 0
    assert "no other cut is faster" in capsys.readouterr().out
    assert main(["verify", str(project.file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gap"] < 1e-6
    damaged = tmp_path / "damaged.cic"
    damaged.write_bytes(project.file.read_bytes()[:-20])
    assert main(["verify", str(damaged)]) == 2
    assert "damaged.cic" in capsys.readouterr().err


def test_a_closed_stdout_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `cic machines >&-`: Python has no stdout then."""
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["machines"]) == 0
