"""What a tail server adds to a tail: requests of 0.8 MB over an unshaped link, beside the tail alone and the bytes alone.

    OMP_NUM_THREADS=1 python -m benchmarks.serving.overhead      # writes benchmarks/results/overhead.{md,json}

The server is `cic serve` in a process of its own, the client one connection of `http.client`. A round has, one after the other,
a request to each server, the tail alone in this process, and the same bytes there and back over a bare socket. What a server
adds is the request without the other two. With `--triton` a real Triton answers the same requests (`make test-triton` installs
it, whose Python backend stands in for the one of the format). With `--first`, as root, all that is measured goes ahead of
whatever else the machine does, by the scheduler's first-in-first-out policy.
"""

from __future__ import annotations

import gc
import http.client
import multiprocessing
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import nn

from benchmarks.harness.report import Report, Section, Target, shared_options, show_time
from benchmarks.serving.own_server import ask, serving
from benchmarks.serving.real_triton import served
from cic.codec.tensors import Array
from cic.engine.opening import open_half
from cic.protocol.request import coded_inputs, write_request
from cic.protocol.spoken_tail import SpokenTail, spoken_tail
from cic.trace.fx.torch_trace import trace
from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.manifest import read_manifest
from codegen.serving.triton_repository import write_triton_repository

PROMISED_S = 0.6e-3
# Engine, and the format of the tails that it runs.
ENGINES = {"onnxruntime": "onnx", "torchscript": "torchscript"}
CUT = "wide"


@dataclass(frozen=True)
class Tail:
    """A tail with arrays for it, in this process."""

    spoken: SpokenTail
    arrays: list[Array]
    run: Callable[[], object]


def main() -> None:
    parser = shared_options(__doc__, "few rounds")
    parser.add_argument("--triton", action="store_true", help="a real Triton beside it")
    parser.add_argument("--first", action="store_true", help="ahead of all other programs of a busy machine; needs root")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        bundle = _bundle(Path(folder))
        for engine, format_name in ENGINES.items():
            with ExitStack() as stack:
                addresses = {"cic serve": stack.enter_context(serving(bundle, engine))}
                if options.triton:
                    write_triton_repository(bundle, Path(folder) / engine / "repository", format_name=format_name)
                    addresses["Triton"] = stack.enter_context(
                        served(Path(folder) / engine / "repository", Path(folder) / engine)
                    )
                echo = stack.enter_context(_echo())
                tail = _tail(bundle, engine)
                with _ahead_of_others() if options.first else nullcontext():
                    rows[engine] = _measured(tail, addresses, echo, 30 if options.quick else 200)
    report = _report(rows)
    report.publish(options.results)
    if not options.quick and not report.kept:
        raise SystemExit("overhead: not as promised")


def _bundle(folder: Path) -> Path:
    """A cut whose one crossing tensor has 1 x 64 x 56 x 56 values, 802,816 bytes; its tail is small."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 64, 7, 4, 3), nn.ReLU()
    model = nn.Sequential(*first, nn.Conv2d(64, 16, 3, 4), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 14 * 14, 1000)).eval()
    traced = trace(model, (torch.rand(1, 3, 224, 224),))
    early = frozenset(member for op in traced.graph.ops[:1] for member in op.members)
    for engine in ENGINES:
        (folder / engine).mkdir()
    write_bundle(folder / "net.split", traced.source, [CutPlan(CUT, early, ())], formats=list(ENGINES.values()))
    return folder / "net.split"


def _tail(bundle: Path, engine: str) -> Tail:
    opened = open_half(bundle, CUT, "tail", engine)
    manifest = read_manifest(bundle)
    spoken = spoken_tail(manifest, CUT, manifest.name, counted=engine == "torchscript")
    generator = np.random.default_rng(0)
    arrays: list[Array] = [generator.random(each.wire.shape, np.float32) for each in spoken.inputs]
    return Tail(spoken, arrays, lambda: opened.run(arrays))


def _measured(tail: Tail, addresses: dict[str, str], echo: socket.socket, rounds: int) -> dict[str, Any]:
    """Seconds of everything in each round, after a tenth as many that do not count."""
    links = {name: http.client.HTTPConnection(urlsplit(address).netloc) for name, address in addresses.items()}
    sent, back = sum(array.nbytes for array in tail.arrays), sum(each.wire.bytes for each in tail.spoken.outputs)
    calls: dict[str, Callable[[], object]] = {
        "tail alone": tail.run,
        "bytes alone": lambda: _there_and_back(echo, memoryview(tail.arrays[0]).cast("B"), back),
        **{name: lambda link=link: ask(link, tail.spoken, tail.arrays).times for name, link in links.items()},  # type: ignore[misc]
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    times = []
    gc.disable()
    for number in range(rounds + rounds // 10):
        for name, call in calls.items():
            began = perf_counter()
            answer = call()
            if number >= rounds // 10:
                taken[name].append(perf_counter() - began)
                times += [answer] if name == "cic serve" else []
    gc.enable()
    for link in links.values():
        link.close()
    return {"sent_bytes": sent, "answer_bytes": back, "taken_s": taken, "stages_us": _stages(times), "overhead": _bytes(tail)}


def _bytes(tail: Tail) -> dict[str, int]:
    """Bytes of a request besides its tensors: the JSON, and the header of HTTP as `http.client` writes it."""
    headers, buffers = write_request(tail.spoken, "1", coded_inputs(tail.spoken, tail.arrays))
    own = {"Host": "127.0.0.1:8000", "Accept-Encoding": "identity", **headers}
    lines = [f"POST /v2/models/{tail.spoken.name}/infer HTTP/1.1", *(f"{key}: {value}" for key, value in own.items()), "", ""]
    return {"json": memoryview(buffers[0]).nbytes, "http": len("\r\n".join(lines))}


def _stages(times: list[Any]) -> dict[str, float]:
    names = ("receive_us", "queue_us", "decode_us", "compute_us", "encode_us")
    return {name: median(getattr(each, name) for each in times) for name in names}


@contextmanager
def _echo() -> Iterator[socket.socket]:
    """A socket to a process that takes a number of bytes and sends another number back, eight bytes each."""
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("spawn").Process(target=_answer_bytes, args=(listener.getsockname()[1],), daemon=True)
    process.start()
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener, accepted:
        yield accepted
    process.join()


def _answer_bytes(port: int) -> None:
    memory = memoryview(bytearray(1 << 24))
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while len(head := link.recv(16, socket.MSG_WAITALL)) == 16:
            wanted, back = int.from_bytes(head[:8], "little"), int.from_bytes(head[8:], "little")
            received = 0
            while received < wanted:
                received += link.recv_into(memory[received:wanted])
            link.sendall(memory[:back])


@contextmanager
def _ahead_of_others() -> Iterator[None]:
    """Let this process and all that it has started run whenever they can: nothing else is waited for."""
    started, family = [os.getpid()], list[int]()
    while started:
        family.append(process := started.pop())
        for task in Path(f"/proc/{process}/task").iterdir():
            started += map(int, (task / "children").read_text().split())
    tasks = [int(task.name) for process in family for task in Path(f"/proc/{process}/task").iterdir()]
    for task in tasks:
        os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        for task in tasks:
            with suppress(ProcessLookupError):
                os.sched_setscheduler(task, os.SCHED_OTHER, os.sched_param(0))


def _there_and_back(link: socket.socket, content: memoryview, back: int) -> None:
    link.sendall(len(content).to_bytes(8, "little") + back.to_bytes(8, "little"))
    link.sendall(content)
    received = 0
    while received < back:
        received += len(link.recv(1 << 18))


def _report(rows: dict[str, dict[str, Any]]) -> Report:
    sections, targets, figures = [], [], {}
    for engine, row in rows.items():
        taken = row["taken_s"]
        added = {
            name: [
                whole - tail - wire
                for whole, tail, wire in zip(taken[name], taken["tail alone"], taken["bytes alone"], strict=True)
            ]
            for name in taken
            if name not in ("tail alone", "bytes alone")
        }
        lines = [_line(name, values) for name, values in taken.items()]
        lines += [_line(f"added by {name}", values) for name, values in added.items()]
        stages = ", ".join(f"{name.removesuffix('_us')} {value:.0f}" for name, value in row["stages_us"].items())
        notes = (
            f"The server's own microseconds, medians: {stages}. A request has {row['overhead']['json']} bytes of JSON and"
            f" {row['overhead']['http']} of HTTP besides its {row['sent_bytes']:,}.",
        )
        sections.append(
            Section(f"{engine}: {row['sent_bytes']:,} bytes there, {row['answer_bytes']:,} back", _COLUMNS, lines, notes)
        )
        ours = median(added["cic serve"])
        targets.append(
            Target(f"{engine}: at most {show_time(PROMISED_S)} added, median", show_time(max(ours, 0.0)), ours <= PROMISED_S)
        )
        figures[engine] = {
            "median_s": {name: median(values) for name, values in taken.items()},
            "added_median_s": {name: median(values) for name, values in added.items()},
            **{key: row[key] for key in ("stages_us", "overhead", "sent_bytes", "answer_bytes")},
        }
    note = (
        "Wall time; all take turns. *Tail alone* runs in this process, *bytes alone* is a bare socket to another process."
        " *Added* is the median over rounds of a request without the other two."
    )
    return Report("overhead", "What a server adds to a tail", sections, targets, {"engines": figures}, notes=(note,))


_COLUMNS = ("", "median", "99 in 100 below")


def _line(name: str, values: list[float]) -> tuple[str, ...]:
    return name, show_time(max(median(values), 0.0)), show_time(max(quantiles(values, n=100)[98], 0.0))


if __name__ == "__main__":
    main()
