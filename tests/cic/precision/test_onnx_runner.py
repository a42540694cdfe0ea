"""An ONNX model on calibration samples gives what the same network in torch gives: values, cuts, codecs and what they keep."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

import cic
from cic.decision.splitting_model import SplittingModel
from cic.errors import CompileError
from cic.precision import onnx_runner
from cic.precision.calibration import calibration_of
from cic.precision.model_runner import ModelRunner, runner_of
from cic.precision.onnx_runner import OnnxRunner
from cic.precision.precision import Precision
from cic.runtime.rehearsal import Rehearsal
from cic.trace.any_model import trace_model
from cic.trace.traced import Traced
from tests.cic.inception import STRONG, WEAK, Inception
from tests.cic.precision.onnx_twin import onnx_twin
from tests.cic.runtime.small_split import FAST


@pytest.fixture(scope="module")
def twin(network: Inception) -> onnx.ModelProto:
    return onnx_twin(network)


@pytest.fixture(scope="module")
def traced(twin: onnx.ModelProto) -> Traced:
    return trace_model(twin)


@pytest.fixture(scope="module")
def chosen(traced: Traced, images: torch.Tensor) -> SplittingModel:
    return cic.compile(traced, device=WEAK, server=STRONG, precision=Precision(calibration=[images], accuracy="rel<=0.03"))


def shown(runner: ModelRunner, traced: Traced, sample: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    values: dict[str, torch.Tensor] = {}

    def see(name: str, value: torch.Tensor) -> None:
        assert name not in values, "each is shown once"
        values[name] = value

    runner.observe(sample, traced.graph.crossable, see)
    return values


def test_every_tensor_is_shown_as_torch_computes_it(traced: Traced, network: Inception, images: torch.Tensor) -> None:
    values = shown(runner_of(traced), traced, (images[:1],))
    assert list(values) == [tensor.name for tensor in traced.graph.tensors if tensor.may_cross]
    for tensor in traced.graph.tensors:
        assert tuple(values[tensor.name].shape) == tensor.shape
    with torch.no_grad():
        stem = network.stem(images[:1])
        both = torch.cat((network.left(stem), network.right(stem)), 1)
        expected = {"image": images[:1], "stem_0": stem, "both": both, "merge_2": network.merge(both)}
        for name, value in {**expected, "scores": network(images[:1])}.items():
            assert torch.allclose(values[name], value, rtol=1e-4, atol=1e-5), name


def test_in_groups_it_is_the_same_and_the_model_stays_as_it_was(
    traced: Traced, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, sample = runner_of(traced), (images[1:2],)
    at_once = shown(runner, traced, sample)
    monkeypatch.setattr(onnx_runner, "MOST_SHOWN_BYTES", 20_000)
    apart = shown(runner_of(traced), traced, sample)
    assert list(apart) == list(at_once)
    assert all(torch.allclose(apart[name], at_once[name], rtol=1e-5) for name in at_once)
    assert isinstance(runner, OnnxRunner)
    assert [value.name for value in runner.traced.model.graph.outputs] == ["scores"]


def test_halves_give_what_the_whole_gives(traced: Traced, images: torch.Tensor) -> None:
    runner, sample = runner_of(traced), (images[:1],)
    values, (whole,) = shown(runner, traced, sample), runner.whole(sample)
    ops = traced.graph.ops
    for count in range(len(ops) + 1):
        halves = runner.halves([member for op in ops[:count] for member in op.members])
        made = halves.head(*sample)
        for value, wire in zip(made, halves.crossing, strict=False):
            assert torch.allclose(value, values[wire.name], rtol=1e-4, atol=1e-5)
        returned = halves.tail(*made[: len(halves.crossing)])
        answer = {"head": made, "tail": returned}[halves.outputs[0].half][halves.outputs[0].position]
        assert torch.allclose(answer, whole, rtol=1e-4, atol=1e-5)


def test_cuts_and_codecs_are_those_of_the_same_network_in_torch(chosen: SplittingModel, compiled: SplittingModel) -> None:
    assert any("int4" in name for cut in chosen.cuts for name in cut.codecs)
    assert [(cut.id, cut.codecs) for cut in chosen.cuts] == [(cut.id, cut.codecs) for cut in compiled.cuts]
    for mine, theirs in zip(chosen.cuts, compiled.cuts, strict=True):
        assert mine.accuracy is not None and theirs.accuracy is not None
        assert mine.accuracy["error"] == pytest.approx(theirs.accuracy["error"], rel=0.05, abs=1e-6)
        assert mine.upload_bytes == pytest.approx(theirs.upload_bytes, rel=0.01)


def test_an_emitted_cut_crosses_a_socket_under_its_codecs(
    traced: Traced, chosen: SplittingModel, images: torch.Tensor, tmp_path: Path
) -> None:
    cut = next(cut for cut in chosen.cuts if any("int4" in name for name in cut.codecs))
    cic.emit(traced, chosen, tmp_path / "split", cuts=[cut.id])
    (whole,) = runner_of(traced).whole((images[:1],))
    with Rehearsal(tmp_path / "split", cut, FAST, codecs=cut.codec_of) as session:
        inputs = session.flatten((images[:1],), {})
        answer, timing = session.infer(inputs)
        assert session.error_against_one_process(inputs, answer) <= 1e-5
    assert cut.accuracy is not None
    assert float((answer["scores"] - whole).norm() / whole.norm()) <= 3 * cut.accuracy["error"]
    assert timing.sent_bytes < 1.5 * cut.upload_bytes + 300


def test_labels_count_and_batches_come_in_many_ways(traced: Traced, images: torch.Tensor) -> None:
    right = torch.cat([runner_of(traced).whole((image[None],))[0] for image in images]).argmax(1)
    ways = [images, {"image": images}, (images.numpy(), right.numpy()), {"image": images.numpy(), "labels": right}]
    ways += [{"args": (images,), "labels": right}, {"kwargs": {"image": images}}]
    for batch in ways:
        calibration = calibration_of(traced, [batch])
        assert torch.equal(torch.cat([image for (image,) in calibration.samples]), images)
        if calibration.labels is not None:
            assert torch.equal(torch.cat(calibration.labels), right)
    by_label, by_agreement = (
        cic.compile(traced, device=WEAK, server=STRONG, precision=Precision("int4", [batch], "top1>=0.5"))
        for batch in (ways[3], ways[0])
    )
    assert [cut.accuracy for cut in by_label.cuts] == [cut.accuracy for cut in by_agreement.cuts]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"picture": torch.zeros(1, 3, 64, 64)}, r"batch 0 does not fit the model's inputs: kwargs\.image is missing"),
        ({"image": torch.zeros(1, 3, 64, 64), "mask": torch.zeros(1)}, "mask was not given"),
        ({"args": (torch.zeros(1, 3, 64, 64),) * 2}, r"takes 1 inputs \(image\), called with 2"),
        ({"args": (), "image": torch.zeros(1, 3, 64, 64)}, "a dict may have args, kwargs, labels"),
        (torch.zeros(1, 3, 64, 32), "shape"),
        (torch.zeros(1, 3, 64, 64).double(), "float64"),
        (torch.full((1, 3, 64, 64), float("nan")), "NaN"),
    ],
)
def test_batches_that_do_not_fit_are_refused(traced: Traced, batch: object, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        cic.compile(traced, device=WEAK, server=STRONG, precision=Precision("int8", [batch]))


def test_a_model_that_does_not_run_on_a_sample_is_told_by_name(tmp_path: Path) -> None:
    ids = onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [1, 4])
    words = onnx.numpy_helper.from_array(torch.rand(5, 3).numpy(), "words")
    nodes = [onnx.helper.make_node("Gather", ["words", "ids"], ["word"]), onnx.helper.make_node("Relu", ["word"], ["y"])]
    made = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph(nodes, "words", [ids], [made], [words])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "words.onnx")
    with pytest.raises(CompileError, match=r"words\.onnx cannot be run on calibration samples: .*Gather"):
        precision = Precision("int8", [torch.full((1, 4), 5)])
        cic.compile(tmp_path / "words.onnx", device=WEAK, server=STRONG, precision=precision)
