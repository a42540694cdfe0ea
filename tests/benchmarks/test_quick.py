"""The benchmarks run, in seconds, and leave a table and figures behind."""

from __future__ import annotations

import json
import random
import runpy
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.harness.torchvision_zoo import load
from cic.cost.pricing import price

pytestmark = pytest.mark.real_interpreter


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict]:
    """Runs one as `python -m` would, but in this process, which has torch and numba loaded."""
    return partial(_run, monkeypatch, tmp_path)


def _run(monkeypatch: pytest.MonkeyPatch, folder: Path, benchmark: str, *arguments: str) -> dict:
    monkeypatch.setattr(sys, "argv", [benchmark, "--quick", "--results", str(folder), *arguments])
    # Another test may have imported it, and `runpy` then warns.
    monkeypatch.delitem(sys.modules, f"benchmarks.{benchmark}", raising=False)
    runpy.run_module(f"benchmarks.{benchmark}", run_name="__main__", alter_sys=True)
    name = benchmark.rpartition(".")[2]
    written = (folder / f"{name}.md").read_text(encoding="utf-8")
    assert f"python -m benchmarks.{benchmark} --quick" in written
    assert "| --- |" in written
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def test_decision_time(run: Callable[..., dict]) -> None:
    figures = run("decision.decision_time", "resnet18")["models"]["resnet18"]
    assert figures["seconds"]["decide(float)"] < figures["seconds"]["full graph"] < figures["seconds"]["networkx minimum_cut"]
    assert figures["largest_disagreement"] < 1e-7


def test_emission_time(run: Callable[..., dict]) -> None:
    (row,) = run("halves.emission_time")["rows"]
    once = row["before"] + row["start"] + row["after"]
    each = row["files"] + row["heads"] + row["tails"]
    assert row["cuts"] > 1 and 0 < row["files"] < row["all"]
    assert 0.3 * row["all"] < once + row["cuts"] * each < 3 * row["all"], "phases are not what the whole takes"


def test_a_million_decisions_are_checked(run: Callable[..., dict]) -> None:
    figures = run("decision.million_decisions", "--decisions", "500", "--processes", "1")
    assert sum(problem["decisions"] for problem in figures["problems"]) >= 500
    assert {problem["kind"] for problem in figures["problems"]} == {"network", "shaped DAG", "any DAG"}
    assert not any(problem["wrong"] for problem in figures["problems"])


def test_tiers(run: Callable[..., dict]) -> None:
    figures = run("decision.tiers")
    assert figures["placed"] > figures["between"] > 0
    assert figures["wrong"] == 0


def test_constraints(run: Callable[..., dict]) -> None:
    figures = run("decision.constraints")
    assert not any(found["wrong"] for found in figures["problems"].values())
    assert len(figures["networks"]) > 2
    assert all(row["apart"] < 1e-6 for row in figures["networks"])


def test_energy(run: Callable[..., dict]) -> None:
    cells = run("objectives.energy")["cells"]
    assert all(cell["proved"] and 0 <= cell["saved"] < 1 and cell["split_gain"] >= 1 - 1e-9 for cell in cells)
    assert any(cell["differs"] for cell in cells)


def test_compile_time(run: Callable[..., dict], tmp_path: Path) -> None:
    figures = run("decision.compile_time", "squeezenet1_1")
    assert set(figures["models"]) == {"squeezenet1_1"}
    assert all(len(rows) == 2 for rows in figures["growth"].values())
    assert (tmp_path / "compile_time.png").stat().st_size > 10_000


def test_cold_start(run: Callable[..., dict]) -> None:
    for programs in run("decision.cold_start")["measured"].values():
        assert programs["import cic"]["peak_bytes"] >= programs["bare interpreter"]["peak_bytes"] > 0


def test_codec_speed(run: Callable[..., dict]) -> None:
    for rows in run("wire.codec_speed")["speed"].values():
        by_name = {row["method"]: row for row in rows}
        assert by_name["int4+zstd"]["bytes"] < by_name["int8+zstd"]["bytes"] < by_name["int8"]["bytes"] == 200_711
        assert by_name["int8+zstd"]["over_entropy"] < 1.25 and by_name["int4+zstd"]["over_entropy"] < 1.25
        assert all(row["encode_s"] > 0 and row["decode_s"] > 0 for row in rows)


@pytest.mark.parametrize("ops", [100, 1000])
def test_synthetic_dags_have_the_size_asked_for(ops: int) -> None:
    from benchmarks.decision.synthetic import FAMILIES, JOINTLESS

    for generate in (*FAMILIES.values(), *JOINTLESS.values()):
        problem = generate(ops)
        assert ops <= problem.op_count <= ops + 60
        everything_reads = set(problem.consumers.tolist()) | {0}
        assert everything_reads == set(range(problem.op_count))


def test_throughput(run: Callable[..., dict]) -> None:
    figures = run("decision.throughput")
    assert figures["brute_force"]["problems"] == 200
    assert all(target["kept"] for target in figures["targets"])


def test_scission(run: Callable[..., dict]) -> None:
    figures = run("tiers.scission")
    assert {row["network"] for row in figures["timed"]} == {"nasnetmobile"}
    assert all(one == other for row in figures["cells"] for one, other in row["found_ns"].values())
    assert len(figures["readme"]) == 5 and all(row["printed"] == row["enumerated"] for row in figures["readme"])


@pytest.fixture
def measured(tmp_path: Path) -> tuple[str, ...]:
    """Options that name op times made up here: those of the catalogue, each kind of op off by a factor of its own."""
    graph = load("squeezenet1_1").traced.graph
    draw, machines = random.Random(0), {"slow": "raspberry-pi-3b+", "middle": "snapdragon-835", "fast": "i7-13700k"}
    off = {(name, kind): draw.uniform(0.6, 1.6) for name in machines for op in graph.ops for kind in op.kinds}
    seconds = {
        name: [off[name, op.kinds[0]] * op_s for op, op_s in zip(graph.ops, price(graph, machine), strict=True)]
        for name, machine in machines.items()
    }
    network = {"ops": [op.name for op in graph.ops], "machines": seconds}
    file = tmp_path / "measured.json"
    file.write_text(json.dumps({"source": "made up", "networks": {"squeezenet1_1": network}}))
    return "--measured", str(file), "--work", str(tmp_path / "work")


def test_adaptation(run: Callable[..., dict], measured: tuple[str, ...], tmp_path: Path) -> None:
    figures = run("adaptation.adaptation", *measured)
    row = figures["rows"][0]
    names = {"learning", "learning without probes", "clairvoyant", "static best", "Neurosurgeon"}
    assert names | {"hill climbing", "epsilon-greedy", "µLinUCB"} <= row.keys()
    assert all(0 <= each["clairvoyant"]["regret"] <= each["learning"]["regret"] + 1.0 for each in figures["rows"])
    assert (tmp_path / "adaptation.png").stat().st_size > 10_000


def test_deadlines(run: Callable[..., dict], measured: tuple[str, ...]) -> None:
    figures = run("adaptation.deadlines", *measured)
    for rows in figures["coverage"].values():
        assert all(0 <= each["within"] <= each["inferences"] for each in rows.values())
    rows = figures["deadlines"]
    assert {row["session"] for row in rows} == {"with intervals", "fixed margin"} and len(rows) == 8
    assert all(0 <= row["kept"] <= row["could"] <= row["count"] == 120 for row in rows)
    assert all(row["kept"] <= row["kept_of_all"] <= row["count"] for row in rows)
    assert sum(row["kept"] for row in rows) > 0.9 * sum(row["could"] for row in rows)


def test_control(run: Callable[..., dict], tmp_path: Path) -> None:
    rows = run("adaptation.control", "--work", str(tmp_path / "work"))["rows"]
    assert {row["kind"] for row in rows} == {"all cuts", "chain cuts", "independent frames", "moving bandwidth", "greedy"}
    exact = [row for row in rows if row["kind"] not in ("moving bandwidth", "greedy")]
    assert all(row["gap"] <= row["certified"] + 1e-9 and row["proved"] == 1 for row in exact)
    assert all(row["optimum"] >= row["least"] * (1 - 1e-9) for row in rows)
    assert (tmp_path / "control.png").stat().st_size > 10_000
