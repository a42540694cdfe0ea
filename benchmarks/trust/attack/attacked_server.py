"""A process of `cic serve` that is attacked: started, asked, and looked at from outside."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import cic
from cic.protocol.request import JSON_LENGTH, coded_inputs, write_request
from cic.protocol.spoken_tail import SpokenTail, spoken_tail
from codegen.manifest import read_manifest

MIB = 1 << 20
HEADER_S, BODY_S = 3.0, 3.0
QUEUE = 16
PATIENCE_S = 30.0
NEVER = 999


@dataclass(frozen=True)
class Victim:
    """A server under attack. process: of `cic serve`. port: of 127.0.0.1. tail: the one that is asked."""

    process: subprocess.Popen[str]
    port: int
    tail: SpokenTail

    @property
    def resident_bytes(self) -> int:
        return _status(self.process.pid, "VmRSS") * 1024

    @property
    def threads(self) -> int:
        return _status(self.process.pid, "Threads")

    @property
    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def request(self, text: bytes | None = None, payload: bytes | None = None, **headers: str) -> bytes:
        """A request for the tail, sound unless some of it is given."""
        arrays = [np.zeros(each.wire.shape, np.float32) for each in self.tail.inputs]
        own, buffers = write_request(self.tail, "1", coded_inputs(self.tail, arrays))
        text = bytes(buffers[0]) if text is None else text
        payload = b"".join(bytes(each) for each in buffers[1:]) if payload is None else payload
        lines = {**own, JSON_LENGTH: str(len(text)), "Content-Length": str(len(text) + len(payload)), **headers}
        return self.head(lines) + text + payload

    def head(self, headers: dict[str, str]) -> bytes:
        """The head of a request for the tail."""
        lines = [f"POST /v2/models/{self.tail.name}/infer HTTP/1.1", "Host: x", *(f"{key}: {headers[key]}" for key in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def emit(folder: Path) -> Path:
    """A bundle whose tail takes 28 kB and some milliseconds, in ONNX."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 59 * 59, 10)
    )
    image = torch.rand(1, 3, 128, 128)
    splitting_model = cic.compile(model.eval(), (image,), device="raspberry-pi-4", server="epyc-7742")
    cic.emit(model, splitting_model, folder / "attacked.split", formats=["onnx"])
    return folder / "attacked.split"


@contextmanager
def victim(bundle: Path) -> Iterator[Victim]:
    """A server that has answered once."""
    tail = spoken_tail(read_manifest(bundle), "server-only", "attacked", counted=False)
    process, port = started(bundle)
    try:
        made = Victim(process, port, tail)
        for _ in range(20):
            assert asyncio.run(ask(made, made.request()))[0] == 200
        yield made
    finally:
        process.kill()
        process.wait()


def started(bundle: Path, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    """A process of `cic serve` that is ready, and its port."""
    times = ["--header-timeout", f"{HEADER_S}s", "--body-timeout", f"{BODY_S}s", "--grace", "5s"]
    command = [sys.executable, "-m", "cic", "serve", str(bundle), "--port", str(port), "--queue", str(QUEUE), *times]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    if " on http://127.0.0.1:" not in line:
        raise RuntimeError(f"the server did not start: {line}{process.stderr.read()}")
    return process, int(line.rsplit(":", 1)[1])


async def ask(server: Victim, sent: bytes, *, patience_s: float = PATIENCE_S) -> tuple[int, float, bytes]:
    """Status, seconds and body of the reply to these bytes on a new connection; the status is 0 if it is closed without one,
    and `NEVER` if it is not closed either."""
    began_s = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        with suppress(ConnectionError):
            writer.write(sent)
            await asyncio.wait_for(writer.drain(), patience_s)
        status, body = await asyncio.wait_for(read_reply(reader), patience_s)
        return status, time.perf_counter() - began_s, body
    except TimeoutError:
        return NEVER, time.perf_counter() - began_s, b""
    finally:
        writer.close()


async def read_reply(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
        )
        return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, b""


async def sound_times(server: Victim, until: Awaitable[Any], pause_s: float = 0.005) -> list[float]:
    """Seconds of sound requests, one after another on one connection, until something is done; each is answered."""
    times, done = [], asyncio.ensure_future(until)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    sent = server.request()
    while not done.done():
        began_s = time.perf_counter()
        writer.write(sent)
        status, _ = await asyncio.wait_for(read_reply(reader), PATIENCE_S)
        times.append(time.perf_counter() - began_s)
        if status != 200:
            raise RuntimeError(f"a sound request is answered with {status}")
        await asyncio.sleep(pause_s)
    writer.close()
    await done
    return times


def high(times: list[float], share: float = 0.99) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]
