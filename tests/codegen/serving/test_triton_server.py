"""A real Triton Inference Server opens the repository and gives the tails' answers over HTTP: `make test-triton`.

The server is that of the package nvidia-pytriton, which brings Triton's core and its Python backend alone. So the two backends
that would run the files are stood in for by one of Triton's Python-based backends, which opens the same file with torch or
ONNX Runtime. The configuration, the layout, the names, types and shapes of what is sent and returned: all that is Triton's.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from codegen.loading import load_cut
from codegen.manifest import read_manifest
from codegen.serving.triton_repository import write_triton_repository
from tests.codegen.mixed_types import call, write_mixed_bundle

FOUND = importlib.util.find_spec("pytriton")
FORMATS = {"torchscript": "pytorch", "onnx": "onnxruntime"}
TYPES = {"float32": "FP32", "int64": "INT64", "bool": "BOOL", "float16": "FP16"}
START_S = 90

pytestmark = pytest.mark.skipif(FOUND is None, reason="no Triton server here; make test-triton installs one")

BACKEND = """
import json, sys
from pathlib import Path
sys.path.extend(SITE_PACKAGES)
import torch, triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.inputs, self.outputs = ([each["name"] for each in config[side]] for side in ("input", "output"))
        version = Path(args["model_repository"]) / args["model_version"]
        if (version / "model.onnx").exists():
            import onnxruntime
            session = onnxruntime.InferenceSession(str(version / "model.onnx"), providers=["CPUExecutionProvider"])
            def run(*given):
                feeds = dict(zip(self.inputs, (each.numpy() for each in given)))
                return map(torch.from_numpy, session.run(self.outputs, feeds))
            self.run = run
        else:
            self.run = torch.jit.load(str(version / "model.pt"))

    def execute(self, requests):
        answers = []
        for request in requests:
            # Not as arrays: this server knows numpy 1 only.
            tensors = [triton.get_input_tensor_by_name(request, name).to_dlpack() for name in self.inputs]
            with torch.no_grad():
                results = [each.contiguous() for each in self.run(*(torch.from_dlpack(each).clone() for each in tensors))]
            named = zip(self.outputs, results)
            answers.append(triton.InferenceResponse([triton.Tensor.from_dlpack(name, each) for name, each in named]))
        return answers
"""


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


@contextmanager
def served(repository: Path, scratch: Path) -> Iterator[Server]:
    """Triton with every model of a repository loaded."""
    assert FOUND is not None and FOUND.origin is not None
    package = Path(FOUND.origin).parent
    triton, version = package / "tritonserver", f"{sys.version_info.major}.{sys.version_info.minor}"
    backends = scratch / "backends"
    shutil.copytree(triton / "backends" / "python", backends / "python")
    shutil.copy(triton / "python_backend_stubs" / version / "triton_python_backend_stub", backends / "python")
    for name in FORMATS.values():
        (backends / name).mkdir()
        paths = [path for path in sys.path if path.endswith("site-packages")]
        (backends / name / "model.py").write_text(BACKEND.replace("SITE_PACKAGES", repr(paths)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    libraries = [str(package.parent / "nvidia_pytriton.libs"), str(sysconfig.get_config_var("LIBDIR"))]
    # The strict mode takes the configuration as it is; else a backend may mend it.
    options = ["--disable-auto-complete-config", "--allow-grpc=false", "--allow-metrics=false", "--http-address=127.0.0.1"]
    log = scratch / "triton.log"
    with log.open("w") as told:
        server = subprocess.Popen(
            [
                triton / "bin" / "tritonserver",
                f"--model-repository={repository}",
                f"--backend-directory={backends}",
                f"--http-port={port}",
                *options,
            ],
            stdout=told,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries), "PYTHONHOME": sys.base_prefix},
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(address, server, log)
        yield Server(address)
    finally:
        server.terminate()
        server.wait(30)


def wait_until_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, f"Triton ended: {log.read_text()[-6000:]}"
        try:
            with urllib.request.urlopen(f"{address}/v2/health/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"Triton was not ready after {START_S} s: {log.read_text()[-6000:]}")


@pytest.mark.parametrize("format_name", FORMATS)
def test_triton_serves_every_tail(format_name: str, tmp_path: Path) -> None:
    bundle = write_mixed_bundle(tmp_path, [format_name])
    models = write_triton_repository(bundle, tmp_path / "repository")
    with served(tmp_path / "repository", tmp_path) as server:
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
