"""A real Triton Inference Server opens the repository and gives the tails' answers over HTTP: `make test-triton`.

The server is that of the package nvidia-pytriton, which brings Triton's core and its Python backend alone. So the two backends
that would run the files are stood in for by one of Triton's Python-based backends, which opens the same file with torch or
ONNX Runtime. The configuration, the layout, the names, types and shapes of what is sent and returned: all that is Triton's.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving.real_triton import FORMATS, FOUND, served
from codegen.loading import load_cut
from codegen.manifest import read_manifest
from codegen.serving.triton_repository import write_triton_repository
from tests.codegen.mixed_types import call, write_mixed_bundle

TYPES = {"float32": "FP32", "int64": "INT64", "bool": "BOOL", "float16": "FP16"}

pytestmark = pytest.mark.skipif(FOUND is None, reason="no Triton server here; make test-triton installs one")


@dataclass(frozen=True)
class Server:
    """A running server; `ask` is one inference of a model, arrays by name in and out."""

    address: str

    def ask(self, model: str, given: dict[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        tensors = [
            {
                "name": name,
                "datatype": TYPES[str(array.dtype)],
                "shape": array.shape,
                "parameters": {"binary_data_size": array.nbytes},
            }
            for name, array in given.items()
        ]
        wanted = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
        head = json.dumps({"inputs": tensors, "outputs": wanted}).encode()
        body = b"".join([head, *(array.tobytes() for array in given.values())])
        request = urllib.request.Request(
            f"{self.address}/v2/models/{model}/infer",
            body,
            {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content, length = answer.read(), int(answer.headers["Inference-Header-Content-Length"])
        except urllib.error.HTTPError as error:
            raise AssertionError(f"Triton refuses the request: {error.read().decode()}") from error
        described = {tensor["name"]: tensor for tensor in json.loads(content[:length])["outputs"]}
        arrays, dtypes = {}, {triton: np.dtype(name) for name, triton in TYPES.items()}
        for name, tensor in described.items():
            size = tensor["parameters"]["binary_data_size"]
            arrays[name] = np.frombuffer(content[length : length + size], dtypes[tensor["datatype"]]).reshape(tensor["shape"])
            length += size
        return [arrays[name] for name in outputs]


@pytest.mark.parametrize("format_name", FORMATS)
def test_triton_serves_every_tail(format_name: str, tmp_path: Path) -> None:
    bundle = write_mixed_bundle(tmp_path, [format_name])
    models = write_triton_repository(bundle, tmp_path / "repository")
    with served(tmp_path / "repository", tmp_path) as address:
        server = Server(address)
        for model in models:
            record = read_manifest(bundle).cut(model.cut_id)
            cut = load_cut(bundle, model.cut_id)
            crossing = cut.head(*call())[: len(record.crossing)]
            given = {
                name: tensor.reshape(tensor.shape or (1,)).numpy() for name, tensor in zip(model.inputs, crossing, strict=True)
            }
            answers = server.ask(model.name, given, list(model.outputs))
            for answer, wanted, wire in zip(answers, cut.run_tail_flat(crossing), record.returned, strict=True):
                assert answer.shape == (wire.shape or (1,)) and str(answer.dtype) == wire.dtype
                np.testing.assert_allclose(answer.reshape(wire.shape), wanted.numpy(), rtol=1e-4, atol=1e-5)
        with pytest.raises(AssertionError, match="refuses"):
            name, tensor = next(iter(given.items()))
            server.ask(model.name, {**given, name: np.concatenate([tensor, tensor])}, list(model.outputs))


@pytest.mark.parametrize("damage", ["dims: [ 3", "TYPE_INT64", "max_batch_size: 0"])
def test_triton_would_notice_a_wrong_configuration(damage: str, tmp_path: Path) -> None:
    """The server is no formality: what is served above is refused, or answers something else, with a changed configuration."""
    bundle = write_mixed_bundle(tmp_path, ["onnx"])
    (model,) = write_triton_repository(bundle, tmp_path / "repository", cuts=["wide-1.2"])
    config = tmp_path / "repository" / model.name / "config.pbtxt"
    text = config.read_text()
    assert damage in text
    changed = {"dims: [ 3": "dims: [ -7", "TYPE_INT64": "TYPE_INTEGER", "max_batch_size: 0": "max_batch_size: -1"}[damage]
    config.write_text(text.replace(damage, changed, 1))
    with pytest.raises(AssertionError, match="Triton ended"), served(tmp_path / "repository", tmp_path):
        pass
