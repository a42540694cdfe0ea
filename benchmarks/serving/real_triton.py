"""A real Triton Inference Server in a process: that of the package nvidia-pytriton, which `make test-triton` installs.

It brings Triton's core and its Python backend alone. So the two backends that would run the files are stood in for by one of
Triton's Python-based backends, which opens the same file with torch or ONNX Runtime.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOUND = importlib.util.find_spec("pytriton")
FORMATS = {"torchscript": "pytorch", "onnx": "onnxruntime"}
START_S = 90

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


@contextmanager
def served(repository: Path, scratch: Path) -> Iterator[str]:
    """The address of a Triton that has every model of a repository loaded. Raises AssertionError with its log if it ends."""
    assert FOUND is not None and FOUND.origin is not None, "no Triton server here; make test-triton installs one"
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
    options.append("--exit-timeout-secs=5")
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
        yield address
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:  # it waits for models that answer no more
            server.kill()
            server.wait()


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
