"""An ONNX file as a source: called by the names of its inputs, answering by the names of its outputs, and split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.codegen.onnx_models import branching, plumbing, run_split, run_whole, save, source_of


def test_inputs_and_outputs_have_the_names_of_the_file(tmp_path: Path) -> None:
    source = source_of(save(plumbing(), tmp_path / "plumbing.onnx"))
    assert [wire.name for wire in source.inputs] == ["x", "unused"] == list(source.named_inputs)
    assert source.output_structure["keys"] == ["again", "t", "x", "right", "turned_weight"]
    assert source.formats == ("onnx",) and source.called == "plumbing.onnx"


def test_the_whole_is_the_file(tmp_path: Path) -> None:
    path = save(branching(), tmp_path / "branching.onnx")
    source = source_of(path)
    given = {name: tensor.numpy() for name, tensor in source.named_inputs.items()}
    for answer, expected in zip(source.whole()(*source.example_inputs), run_whole(path, given), strict=True):
        np.testing.assert_array_equal(answer.numpy(), expected)


def test_its_halves_are_the_file_too(tmp_path: Path) -> None:
    path = save(branching(), tmp_path / "branching.onnx")
    source = source_of(path)
    halves = source.split({"early_relu", "late_exp"})
    assert source.programs(halves, "onnx").keys() == {"head", "tail"}
    given = {name: tensor.numpy() for name, tensor in source.named_inputs.items()}
    for answer, expected in zip(run_split(halves, list(given.values())), run_whole(path, given), strict=True):
        np.testing.assert_allclose(answer, expected, rtol=1e-6)


def test_weights_have_a_digest_wherever_they_are_read_from(tmp_path: Path) -> None:
    one, other = (source_of(save(plumbing(), tmp_path / f"{name}.onnx")) for name in ("one", "other"))
    assert one.weights_digest == other.weights_digest != source_of(save(branching(), tmp_path / "b.onnx")).weights_digest
