"""What faults and soak run on: a network worth splitting, its server behind a faulty proxy, its device slowed down."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import cic
from benchmarks.testbed.testbed import Testbed

PICTURES = 16
# Of one core.
DEVICE_SHARE = 0.2
_PORT, _PROXY_PORT = 8000, 8001


@dataclass
class Scene:
    """testbed: with its link. folder: of the bundle and the pictures. server, proxy: processes. restarts: of the server."""

    testbed: Testbed
    folder: Path
    server: subprocess.Popen[str]
    proxy: subprocess.Popen[str]
    restarts: int = 0

    @property
    def url(self) -> str:
        """Of the proxy, as the device sees it."""
        return f"http://{self.testbed.address}:{_PROXY_PORT}"

    def fault(self, told: dict[str, Any]) -> None:
        """Set faults of the proxy, as its lines of JSON have them; they hold when this returns."""
        assert self.proxy.stdin is not None and self.proxy.stdout is not None
        self.proxy.stdin.write(json.dumps(told) + "\n")
        self.proxy.stdin.flush()
        self.proxy.stdout.readline()

    def kill_server(self) -> None:
        """As SIGKILL does it; a new one is started and not waited for."""
        self.server.kill()
        self.server.wait()
        self.server = _server(self.testbed, self.folder)
        self.restarts += 1

    def device(self, *options: object) -> subprocess.Popen[str]:
        """A process of `benchmarks.serving.device` on the device."""
        return self._asking(self.testbed.run_on_device, self.url, options)

    def neighbour(self, *options: object) -> subprocess.Popen[str]:
        """Another one, on the server's own host and without the proxy."""
        return self._asking(self.testbed.run_on_server, f"http://127.0.0.1:{_PORT}", options)

    def _asking(self, run: Any, url: str, options: Sequence[object]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.serving.device", str(self.folder), url, *map(str, options)]
        started: subprocess.Popen[str] = run(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return started


def network() -> nn.Module:
    """A cheap beginning that leaves 50 kB, and much to do afterwards: 350 million multiplications and additions."""
    torch.manual_seed(0)
    body = [layer for _ in range(3) for layer in (nn.Conv2d(128, 128, 3, padding=1), nn.ReLU())]
    layers = [nn.Conv2d(3, 16, 8, 8), nn.ReLU(), nn.Conv2d(16, 128, 3, padding=1), nn.ReLU(), *body]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 100)).eval()


def emit(folder: Path) -> None:
    """The splitting model, the halves in ONNX, pictures, and what the whole model answers to them."""
    model, pictures = network(), torch.rand(PICTURES, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    usual = cic.Conditions("20Mbps", rtt="2ms")
    splitting_model = cic.compile(model, (pictures[:1],), device="raspberry-pi-4", server="epyc-7742", defaults=usual)
    splitting_model.save(folder / "model.cic")
    cic.emit(model, splitting_model, folder / "model.split", formats=["onnx"])
    with torch.inference_mode():
        answers = np.stack([model(picture[None]).numpy() for picture in pictures])
    np.savez(folder / "right.npz", pictures=pictures.numpy(), answers=answers)


@contextmanager
def scene() -> Iterator[Scene]:
    """All of it, ready to be asked. Raises TestbedMissingError where there can be no testbed."""
    with ExitStack() as stack:
        testbed = stack.enter_context(Testbed(device_share=DEVICE_SHARE))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        emit(folder)
        server = _server(testbed, folder)
        assert server.stderr is not None
        if " on http://" not in (line := server.stderr.readline()):
            raise RuntimeError(f"the server did not start: {line}")
        command = [sys.executable, "-m", "benchmarks.testbed.fault_proxy", f"127.0.0.1:{_PORT}"]
        proxy = testbed.run_on_server(
            [*command, "--listen", f"{testbed.address}:{_PROXY_PORT}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert proxy.stdout is not None
        proxy.stdout.readline()
        yield Scene(testbed, folder, server, proxy)


def _server(testbed: Testbed, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cic", "serve", str(folder / "model.split"), "--port", str(_PORT)]
    started: subprocess.Popen[str] = testbed.run_on_server(command, stderr=subprocess.PIPE, text=True)
    return started
