"""Ops of an ONNX file are measured with ONNX Runtime, on parts that compute what the whole computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

import cic
from cic.cli import main
from cic.cost.measure import measure
from cic.cost.onnx_workbench import OnnxWorkbench
from cic.cost.pricing import price
from cic.errors import CostError
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.formats.onnx_program import quiet_exporter
from tests.codegen import onnx_models
from tests.codegen.onnx_models import model, save, value


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 32, 3),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3),
        nn.ReLU(),
    )
    path = tmp_path_factory.mktemp("exported") / "small.onnx"
    with quiet_exporter():
        whole = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)).eval()
        torch.onnx.export(whole, (torch.rand(1, 3, 64, 64),), path, dynamo=True, verbose=False, external_data=False)
    return path


@pytest.fixture(scope="module")
def traced(network: Path) -> OnnxModel:
    return trace_onnx(network)


@pytest.mark.parametrize("name", ["branching", "looping", "plumbing", "counting"])
def test_every_part_computes_what_it_does_in_the_network(name: str, tmp_path: Path):
    traced = trace_onnx(save(getattr(onnx_models, name)(), tmp_path / "m.onnx"))
    bench, ops = OnnxWorkbench(traced), traced.graph.ops
    parts = [[op] for op in ops] + [half for end in range(1, len(ops)) for half in (ops[:end], ops[end:])]
    before = [value.name for value in traced.model.graph.outputs]
    for part, make in zip(parts, bench.parts(parts), strict=True):
        _, names = bench._border(part)
        expected = bench._capture(names)
        for result, made in zip(make()(), names, strict=True):
            np.testing.assert_allclose(result.numpy(), expected[made].numpy(), rtol=1e-5, atol=1e-6)
    assert [value.name for value in traced.model.graph.outputs] == before


def test_the_times_add_up_and_price_the_file(network: Path, traced: OnnxModel, tmp_path: Path):
    profile = measure(traced, seconds_per_op=0.02)
    assert {name for op in profile.ops for name in op.names} == {op.name for op in traced.graph.ops}
    assert sum(price(traced.graph, profile)) == pytest.approx(profile.sum_s)
    assert profile.sum_s == pytest.approx(profile.whole_s, rel=0.35)
    assert profile.halves_error < 0.35 and "onnxruntime" in profile.torch_version
    profile.save(tmp_path / "here.profile.json")
    assert cic.load_profile(tmp_path / "here.profile.json") == profile
    compiled = cic.compile(network, device=tmp_path / "here.profile.json", server="epyc-7742")
    assert compiled.proof.complete


def test_the_command(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    profile = tmp_path / "here.profile.json"
    assert main(["profile", str(network), "--seconds-per-op", "0.005", "-o", str(profile)]) == 0
    assert "small on " in capsys.readouterr().out
    machines = ["--device", str(profile), "--server", str(profile)]
    assert main(["compile", str(network), *machines, "-o", str(tmp_path / "small.cic")]) == 0


def test_a_model_the_runtime_cannot_run_is_refused_by_name(tmp_path: Path):
    """ONNX Runtime has no convolution of bfloat16 on a processor."""
    weight = helper.make_tensor("w", TensorProto.BFLOAT16, [1, 1, 1, 1], [1.0])
    bfloat16 = TensorProto.BFLOAT16
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv")
    made: onnx.ModelProto = model([node], [value("x", [1, 1, 4, 4], bfloat16)], [value("y", [1, 1, 4, 4], bfloat16)], [weight])
    with pytest.raises(CostError, match="m cannot be run on its example inputs: "):
        cic.profile(save(made, tmp_path / "m.onnx"))
