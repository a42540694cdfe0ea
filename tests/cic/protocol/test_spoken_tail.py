"""A tail is spoken of by what its manifest says, under the names that a Triton repository of it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from cic.errors import ProtocolError
from cic.protocol.spoken_tail import spoken_tail
from codegen.errors import CodegenError
from codegen.manifest import Manifest, read_manifest
from codegen.serving.triton_repository import write_triton_repository


@pytest.fixture(scope="module")
def manifest(mixed_bundle: Path) -> Manifest:
    return read_manifest(mixed_bundle)


@pytest.mark.parametrize("fixture", ["mixed_bundle", "onnx_bundle"])
def test_names_are_those_of_a_triton_repository(fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Path = request.getfixturevalue(fixture)
    models, manifest = write_triton_repository(bundle, tmp_path / "repository"), read_manifest(bundle)
    assert len(models) == 2
    for model in models:
        counted = model.inputs[0] == "INPUT__0"
        assert counted == (fixture == "mixed_bundle")
        tail = spoken_tail(manifest, model.cut_id, manifest.name, counted=counted)
        assert tail.name == model.name
        assert tuple(tensor.name for tensor in tail.inputs) == model.inputs
        assert tuple(tensor.name for tensor in tail.outputs) == model.outputs


def test_a_tensor_without_dimensions_is_sent_with_one(manifest: Manifest) -> None:
    tail = spoken_tail(manifest, "wide-1.2", "mixed", counted=True)
    (scalar,) = [tensor for tensor in tail.inputs if tensor.wire.shape == ()]
    assert (scalar.shape, scalar.datatype) == ((1,), "FP32")


def test_what_cannot_be_spoken_of_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ProtocolError, match="cannot be part of an address"):
        spoken_tail(manifest, "wide-1.2", "two words", counted=True)
    with pytest.raises(CodegenError, match="there is no cut 'absent'"):
        spoken_tail(manifest, "absent", "mixed", counted=True)
