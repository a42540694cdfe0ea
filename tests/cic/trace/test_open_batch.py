"""An open batch: decisions equal those of compiling at it, and what does not grow in proportion is refused by name."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import cic
from benchmarks.harness.hand_made import random_conditions
from cic.cost.pricing import resolve
from cic.errors import ArgumentError, EmitError, TraceError
from cic.trace.any_model import trace_model
from codegen.splitters.open_batch import at_batch
from tests.cic.inception import STRONG, WEAK
from tests.cic.trace.onnx.exported import dynamic
from tests.codegen.onnx_models import run_whole, save
from tests.codegen.unverified import unverified_bundles

BATCH = {"x": {0: "batch"}}


class Function(nn.Module):
    """A function of its inputs, after a layer."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(8, 8), function

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        return self.function(self.layer(x), *more)


def small() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 16, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 9, 10)
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_decisions_equal_those_of_compiling_at_that_batch(batch: int) -> None:
    model, x = small(), torch.randn(2, 3, 18, 18)
    opened = cic.compile(model, (x,), device=WEAK, server=STRONG, dynamic={"input_1": {0: "batch"}})
    device, server = resolve(WEAK, "the device"), resolve(STRONG, "the server")
    there = trace_model(model, (at_batch(x, 0, batch),)).graph
    here = opened.graph().ops
    assert [op.name for op in there.ops] == [op.name for op in here]
    times = {op.name: (op.device_ns * 1e-9 * batch / 2, op.server_ns * 1e-9 * batch / 2) for op in here}
    at_that_batch = cic.compile(model, (at_batch(x, 0, batch),), device=device, server=server)
    rng, used = random.Random(70), set()
    for _ in range(60):
        uplink, downlink, rtt, slow, slower = random_conditions(rng, opened.box)
        exact = {name: (slow * on_device, slower * on_server) for name, (on_device, on_server) in times.items()}
        expected = at_that_batch.decide(uplink, rtt, downlink, op_times=exact)
        decision = opened.decide(uplink, rtt, downlink, slow, slower, batch=batch)
        used.add(decision.cut_id)
        assert decision.latency_s == pytest.approx(expected.latency_s, rel=1e-5, abs=1e-8)
        assert decision.optimal
        # Of a smaller batch the round trip weighs more than it does anywhere in the box.
        assert decision.source == "table" or rtt * 2 / batch > opened.box.rtt_s[1]
        if decision.device_ops == expected.device_ops:
            assert decision.upload_bytes == expected.upload_bytes
    assert len(used) > 1


REFUSED = {
    "a tensor without the batch": (
        lambda y, mask: y * mask.sigmoid(),
        "input_1, an input, has the shapes .8. and .8. at batch",
    ),
    "a tensor that grows with the square": (lambda y, mask: (y @ y.T).relu() @ y * mask, "batch 2 and 4"),
    "a mean over the batch": (lambda y, mask: y.mean(0) + mask, "batch 2 and 4"),
    "another op for each row": (lambda y, mask: sum(row.relu() for row in y.unbind(0)) * mask, "not the same model at batch 2"),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_grow_in_proportion_is_refused_by_name(function: Callable[..., Tensor], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        trace_model(Function(function).eval(), (torch.randn(2, 8), torch.randn(8)), dynamic=BATCH)


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        ({}, "dynamic is"),
        ({"x": 0}, "dynamic is"),
        ({"x": {"0": "batch"}}, "dynamic is"),
        ({"y": {0: "batch"}}, "names the input 'y'"),
        ({"x": {0: "batch", 1: "width"}}, "only the batch can be open"),
        ({"x": {2: "batch"}}, "names the axis 2 of x, which has 2"),
    ],
)
def test_what_names_no_batch_is_refused(dynamic: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        trace_model(Function(torch.relu).eval(), (torch.randn(2, 8),), dynamic=dynamic)  # type: ignore[arg-type]


def test_examples_of_two_batches_and_models_that_refuse_another_are_refused() -> None:
    both = {"x": {0: "batch"}, "input_1": {0: "batch"}}
    with pytest.raises(TraceError, match="have the batches x 2, input_1 3"):
        trace_model(Function(lambda y, z: y.sum() + z).eval(), (torch.randn(2, 8), torch.randn(3, 8)), dynamic=both)
    with pytest.raises(TraceError, match="fails at batch 4"):
        trace_model(Function(lambda y: y.view(2, 2, 4)).eval(), (torch.randn(2, 8),), dynamic=BATCH)


LOSSY: list[tuple[cic.Precision | str, str]] = [
    ("int8", "fp16"),
    ("transform", r"\w+ is"),
    (cic.Precision(["raw+zlib"], calibration=[torch.randn(2, 3, 18, 18)]), "accuracy"),
    (cic.Precision(input="jpeg90, mean=0.5, std=0.5"), "jpeg90"),
]


@pytest.mark.parametrize(("precision", "told"), LOSSY)
def test_what_is_judged_at_one_batch_is_refused_beside_an_open_one(precision: cic.Precision | str, told: str) -> None:
    more = {"dynamic": {"input_1": {0: "batch"}}, "precision": precision}
    with pytest.raises(ArgumentError, match=f"dynamic leaves the batch open, and {told}"):
        cic.compile(small(), (torch.randn(2, 3, 18, 18),), device=WEAK, server=STRONG, **more)  # type: ignore[arg-type]


def test_pixels_and_codecs_that_lose_nothing_go_with_an_open_batch(tmp_path: Path) -> None:
    model, pixels = small(), torch.randint(0, 256, (2, 3, 18, 18), dtype=torch.uint8)
    precision = cic.Precision(["raw", "raw+zlib"], input="uint8, mean=0.5, std=0.25")
    compiled = cic.compile(model, (pixels,), device=WEAK, server=STRONG, precision=precision, dynamic={"input_1": {0: "batch"}})
    assert compiled.table.batch == 2 and compiled.graph().inputs.tensors[0].dtype == "uint8"
    with unverified_bundles():
        cic.emit(model, compiled, tmp_path / "small.split")
    for batch in (1, 3, 16):
        pictures = torch.randint(0, 256, (batch, 3, 18, 18), dtype=torch.uint8)
        expected = model((pictures / 255 - 0.5) / 0.25)
        for cut_id in compiled.cut_by_id:
            cut = cic.load_cut(tmp_path / "small.split", cut_id)
            torch.testing.assert_close(cut.tail(*cut.head(pictures)), expected, rtol=1e-4, atol=1e-4)
        decision = compiled.decide("20Mbps", batch=batch)
        assert decision.upload_bytes == decision.cut.upload_bytes * batch // 2


# -------------------------------------------------------------------------------------------------------------- halves


class Mixed(nn.Module):
    """The batch stands in sizes, in multiples of it, in a state with a row for each, and in the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.recurrent = nn.Conv2d(3, 8, 3, 2), nn.LSTM(8, 8, batch_first=True)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.query, self.last, self.dropout = nn.Linear(8, 8), nn.Linear(8, 5), nn.Dropout()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        rows = self.dropout(self.first(x).relu()).flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(len(rows), -1, -1), rows], 1)
        heads = self.query(rows).reshape(len(rows), -1, 2, 4).transpose(1, 2).reshape(len(rows) * 2, -1, 4)
        rows = rows + torch.bmm(heads @ heads.transpose(1, 2), heads).reshape(len(rows), 2, -1, 4).transpose(1, 2).flatten(2)
        return {"scores": self.last(self.recurrent(rows)[0][:, -1]), "first": rows[:, 0]}


@pytest.mark.parametrize("size", [1, 2])
def test_halves_take_any_batch_in_two_formats(size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Mixed().eval()
    compiled = cic.compile(model, (torch.randn(size, 3, 9, 9),), device=WEAK, server=STRONG, dynamic=BATCH)
    assert len(compiled.cuts) > 2
    formats = ("torchscript", "exported_program")
    cuts = [compiled.cuts[len(compiled.cuts) // 2].id] if size == 1 else None
    manifest = cic.emit(model, compiled, tmp_path / "m.split", formats=formats, cuts=cuts, storage="inline")
    for record in manifest.cuts:
        assert all(wire.batch == 64 for wire in (*manifest.inputs, *record.crossing, *record.output_wires))
        for format_name in formats:
            cut = cic.load_cut(tmp_path / "m.split", record.id, format_name=format_name)
            for batch in (1, 3, 7, 16):
                x = torch.randn(batch, 3, 9, 9)
                torch.testing.assert_close(cut.tail(*cut.head(x)), model(x), rtol=1e-4, atol=1e-5)
            for wrong in (torch.randn(65, 3, 9, 9), torch.randn(0, 3, 9, 9), torch.randn(2, 3, 9, 10)):
                with pytest.raises(EmitError, match=r"compiled for float32 of shape .batch up to 64, 3, 9, 9."):
                    cut.head(wrong)


def test_an_onnx_file_with_an_open_batch_is_split_for_any_batch(tmp_path: Path) -> None:
    path = save(dynamic(), tmp_path / "dynamic.onnx")
    compiled = cic.compile(path, (torch.randn(1, 2, 3),), device=WEAK, server=STRONG, dynamic=BATCH)
    manifest = cic.emit(path, compiled, tmp_path / "dynamic.split")
    for record in manifest.cuts:
        cut = cic.load_cut(tmp_path / "dynamic.split", record.id)
        for batch in (1, 3, 16):
            x = torch.randn(batch, 2, 3)
            (expected,) = run_whole(path, {"x": x.numpy()})
            (answer,) = cut.tail(*cut.head(x)).values()
            torch.testing.assert_close(answer, torch.from_numpy(expected), rtol=1e-4, atol=1e-6)


def test_a_traced_model_without_its_batch_is_not_emitted_for_one(tmp_path: Path) -> None:
    model, x = small(), torch.randn(2, 3, 18, 18)
    compiled = cic.compile(model, (x,), device=WEAK, server=STRONG, dynamic={"input_1": {0: "batch"}})
    with pytest.raises(EmitError, match="compiled with an open batch; trace it with dynamic="):
        cic.emit(trace_model(model, (x,), name=compiled.name), compiled, tmp_path / "small.split")
    with pytest.raises(TraceError, match=r"traced with fixed shapes; give dynamic to cic.trace_model"):
        trace_model(trace_model(model, (x,)), dynamic=BATCH)
