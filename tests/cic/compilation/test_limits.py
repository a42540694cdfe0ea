"""Limits of a real model: every cut keeps to them, they are stored, shown and proved anew, and contradictions are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from cic.cli import main
from cic.compilation.limits import Limits
from cic.compilation.verification import verify
from cic.decision.off_table.limit_rows import limit_rows
from cic.decision.off_table.problem import side_of, stored_problem
from cic.decision.splitting_model import SplittingModel, dumps, load, loads
from cic.errors import ArgumentError, ArtifactError, CompileError, UnitError
from mincut.rows import amount
from tests.cic.inception import STRONG, WEAK


@pytest.fixture(scope="module")
def traced(network: nn.Module) -> object:
    return cic.trace_model(network, (torch.rand(1, 3, 64, 64),), name="inception")


def compiled_with(traced: object, limits: Limits | None = None, **options: object) -> SplittingModel:
    return cic.compile(traced, device=WEAK, server=STRONG, limits=limits, **options)  # type: ignore[arg-type]


def most_used(model: SplittingModel) -> dict[str, int]:
    """The most that any cut has of each limited row, memory as the largest moment."""
    graph = model.graph()
    problem, rows = stored_problem(graph), limit_rows(graph)
    assert rows is not None
    sides = [side_of(problem, ops) for ops in graph.cuts]
    return {row.name: max(amount(problem, row, side) for side in sides) for row, _ in rows(problem)}


def test_every_cut_keeps_within_its_limits_and_the_table_is_proved(traced: object, tmp_path: Path) -> None:
    free = compiled_with(traced)
    assert max(cut.upload_bytes for cut in free.cuts) > 40_000
    for limits in (Limits(upload="40kB"), Limits(weights="20kB"), Limits(memory="100kB"), Limits("40kB", "150kB", "300kB")):
        model = compiled_with(traced, limits)
        graph = model.graph()
        assert graph.limits is not None
        for name, used in most_used(model).items():
            if not name.startswith("memory"):
                assert used <= graph.limits.bytes_by_name[name]
        assert verify(model).cuts == len(model.cuts)
        model.save(tmp_path / "model.cic")
        again = load(tmp_path / "model.cic")
        assert again.graph() == graph
        assert again.information.constraints == model.information.constraints != ()
        verify(again)
        for uplink in (1e5, 1e6, 1e7, 1e8, 1e9):
            assert again.decide(uplink).latency_s >= free.decide(uplink).latency_s * (1 - 1e-9)
    assert dumps(free).find(b"limits") == dumps(free).find(b"constraints") == -1, "a file without limits is no larger"


def test_limits_that_never_bind_change_no_cut(traced: object) -> None:
    free, loose = compiled_with(traced), compiled_with(traced, Limits("1GB", "1GB", "1GB"))
    assert [cut.features for cut in free.cuts] == [cut.features for cut in loose.cuts]
    assert loose.information.compressed_ops == free.information.compressed_ops


def test_a_limit_in_a_file_that_its_cuts_exceed_is_found(traced: object) -> None:
    model = compiled_with(traced, Limits(upload="40kB"))
    content = dumps(model)
    graph = model.graph()
    assert graph.limits is not None
    tighter = SplittingModel(model.table, lambda: graph.replaced(limits=graph.limits.replaced(upload_bytes=10)))
    with pytest.raises(ArtifactError, match="is not within its bounds: upload at most 10"):
        verify(tighter)
    wrong = SplittingModel(model.table, lambda: graph.replaced(limits=graph.limits.replaced(weights=(1, 2))))
    with pytest.raises(ArtifactError, match=r"limits\.weights"):
        loads(dumps(wrong), "it").graph()
    assert loads(content, "it").graph() == graph


def test_outside_the_box_no_limit_is_broken(traced: object) -> None:
    narrow = cic.Box(uplink=("1Mbps", "2Mbps"))
    model = compiled_with(traced, Limits(upload="40kB"), box=narrow)
    fast = model.decide("100Gbps")
    assert fast.source == "solver"
    assert fast.cut.upload_bytes <= 40_000
    assert not fast.optimal, "everything on the server would be faster, and is not allowed"
    assert compiled_with(traced, box=narrow).decide("100Gbps").cut.upload_bytes > 40_000
    slow = model.decide("10kbps")
    assert slow.optimal
    assert slow.cut.upload_bytes == 0


def test_a_deadline_beside_limits_breaks_neither(traced: object) -> None:
    model, energy = compiled_with(traced, Limits(upload="40kB")), cic.Energy(0.5, 6.0, 4.0, 0.3)
    for uplink in (1e6, 1e7, 1e8):
        fastest = model.decide(uplink).latency_s
        for more in (1.02, 1.1, 1.5):
            decision = model.decide(uplink, objective=energy.with_deadline(fastest * more))
            assert decision.optimal
            assert decision.cut.upload_bytes <= 40_000
            assert decision.latency_s <= fastest * more
            kept = [cut for cut in model.cuts if cut.latency_s(decision.conditions) <= fastest * more]
            assert decision.energy_j <= min(energy.joules(cut, decision.conditions) for cut in kept) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("limits", "options", "message"),
    [
        (Limits(upload=0, weights=0), {}, "with upload at most 0 B and weights on the device at most 0 B; drop or loosen one"),
        (Limits(upload=10**6, memory=100), {}, "with memory of activations on the device at most 100 B; drop or loosen it"),
        (Limits(weights="1kB"), {"private": ["x"]}, "with x private and weights on the device at most 1 kB; drop"),
        (Limits(upload="1GB", weights="1kB"), {"pins": {"merge.*": "device"}},
         r"with merge.\* on the device and weights on the device at most 1 kB; drop"),
    ],
)  # fmt: skip
def test_the_fewest_that_contradict_are_named(traced: object, limits: Limits, options: dict[str, object], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compiled_with(traced, limits, **options)


def test_nothing_leaves_before_the_first_layer(traced: object) -> None:
    model = compiled_with(traced, private_until=["merge*"])
    graph = model.graph()
    merged = [index for index, op in enumerate(graph.ops) if op.name.startswith("merge")]
    sent = [tensor for ops in graph.cuts for tensor in graph.crossing(frozenset(ops))]
    assert all(tensor.producer >= merged[0] for tensor in sent)
    assert model.information.constraints == ("nothing sent before merge*",)
    verify(model)


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(UnitError, match="limit of upload"):
        Limits(upload="5 apples")
    with pytest.raises(ArgumentError, match="limit of memory"):
        Limits(memory=-1)
    with pytest.raises(ArgumentError, match="limit of weights"):
        Limits(weights=1.5)  # type: ignore[arg-type]


def test_limits_are_those_of_one_batch(network: nn.Module) -> None:
    with pytest.raises(CompileError, match="the batch is open, yet a larger batch sends"):
        traced = cic.trace_model(network, (torch.rand(2, 3, 64, 64),), dynamic={"x": {0: "batch"}})
        compiled_with(traced, Limits(upload="1MB"))


def test_the_command_takes_limits_and_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machines = ("--device", "raspberry-pi-4", "--server", "v100")
    model = ("torchvision:squeezenet1_1", "--input", "1x3x64x64")
    out = str(tmp_path / "model.cic")
    assert main(["compile", *model, *machines, "-o", out, "--limit", "upload=30kB", "--limit", "memory=2MB"]) == 0
    assert main(["show", out]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Asked for: upload at most 30 kB; memory of activations on the device at most 2 MB" in shown
    assert main(["verify", out]) == 0
    assert main(["compile", *model, *machines, "-o", out, "--limit", "height=2MB"]) != 0
    assert "--limit names 'height'" in capsys.readouterr().err
