"""What do many cuts cost, on disk and in a server's memory, when weights are stored once?

    OMP_NUM_THREADS=1 python -m benchmarks.halves.bundle_size                          # ResNet-50, MobileNetV3-Large, ViT-B/16
    OMP_NUM_THREADS=1 python -m benchmarks.halves.bundle_size --model resnet50
    OMP_NUM_THREADS=1 python -m benchmarks.halves.bundle_size --onnx
    OMP_NUM_THREADS=1 python -m benchmarks.halves.bundle_size --pt2

With --onnx the models are exported first, and cut and run as ONNX files; the model's bytes are then those of the file. With
--pt2 the halves are exported programs. Each model is emitted twice at the same cuts: with shared weights and with every half
a plain file. Measured are

* disk: the bytes of all files of the bundle, over the bytes of the model's parameters and buffers;
* memory: what the resident memory of a fresh process grows by when it loads every tail, optimised, and runs each three
  times, over what it grows by for the plain tail with the whole model in it, loaded and run alike. The peak of the resident
  memory while loading is given as well. For ONNX the same again with optimize=False: "lean";
* load: seconds to load a tail, the first and the median of the others;
* speed: the median over rounds and cuts of shared / plain, head + tail, the two run in turn in one process.

The memory promise is kept by TorchScript and `.pt2`, and by ONNX with optimize=False. Optimised, ONNX Runtime packs the
weights of matrix products anew for each session: ResNet-50 keeps the promise, ViT-B/16 does not, so with tails of transformers
one chooses between memory and speed. Ends with code 1 if disk or memory exceeds the promise, for ONNX the lean memory.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.halves.emitted_speed import build, single_tensor_cuts
from benchmarks.harness.report import Report, Section, Target, shared_options
from cic.graph import Graph
from cic.trace.fx.torch_trace import trace
from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan, Storage
from codegen.loading import load_cut
from codegen.manifest import read_manifest

PROMISE = 1.3
MODELS = ("resnet50", "mobilenet_v3_large", "vit_b_16")
RUNS = 3


def main() -> int:
    """Measure, print a table, and say whether the promise is kept."""
    options = _options()
    if options.memory_of:
        print(json.dumps(memory_of_tails(options.memory_of, options.only, optimize=not options.lean)))
        return 0
    rows = [measure(name, options) for name in options.model or MODELS]
    result = report(rows, options)
    result.publish(options.results)
    return int(not result.kept)


def report(rows: list[dict[str, Any]], options: argparse.Namespace) -> Report:
    """The table, and the promise; models that were measured before and not now keep their rows."""
    name = "bundle_size" + ("_onnx" if options.onnx else "_pt2" if options.pt2 else "")
    path = options.results / f"{name}.json"
    earlier = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    rows = [row for row in earlier if row["model"] not in {row["model"] for row in rows}] + rows
    promised = ("disk_ratio", "lean_memory_ratio" if options.onnx else "memory_ratio")
    worst = max(row[ratio] for row in rows for ratio in promised)
    ratios = ("disk", "memory", "peak", *(("lean_memory", "lean_speed") if options.onnx else ()), "speed")
    loads = ("first load, s", "other loads, s", "plain load, s")
    columns = ("model", "cuts", *(ratio.replace("_", " ") for ratio in ratios), *loads)
    cells = [
        (
            row["model"],
            str(row["cuts"]),
            *(f"{row[f'{ratio}_ratio']:.3f}" for ratio in ratios),
            f"{row['shared']['first_load_s']:.2f}",
            f"{row['shared']['other_loads_s']:.2f}",
            f"{row['inline']['other_loads_s']:.2f}",
        )
        for row in rows
    ]
    return Report(
        name,
        "Many cuts over one model, on disk and in memory",
        [Section("Ratios to the model alone", columns, cells)],
        [
            Target(
                f"{' and '.join(promised).replace('_ratio', '')} at most {PROMISE} × the model",
                f"{worst:.3f}",
                worst <= PROMISE,
            )
        ],
        {"threads": torch.get_num_threads(), "promise": PROMISE, "rows": rows},
    )


@dataclass(frozen=True)
class Subject:
    """A model to emit: its graph, its size, an example call, and what writes a bundle of it."""

    graph: Graph
    model_bytes: int
    call: dict[str, torch.Tensor] | tuple[torch.Tensor, ...]
    write: Callable[[Path, list[CutPlan], Storage], object]


def torch_subject(name: str, options: argparse.Namespace) -> Subject:
    """The model as torch has it."""
    model, example = build(name, options.size)
    traced = trace(model, (example,))
    model_bytes = sum(value.nbytes for value in model.state_dict().values())
    formats = ("exported_program",) if options.pt2 else ("torchscript",)
    return Subject(
        traced.graph,
        model_bytes,
        (example,),
        lambda place, plans, weights: write_bundle(place, traced.source, plans, formats=formats, storage=weights),
    )


def onnx_subject(name: str, options: argparse.Namespace, scratch: Path) -> Subject:
    """The model as an ONNX file."""
    from cic.trace.onnx.onnx_trace import trace_onnx
    from codegen.formats.onnx_program import quiet_exporter

    model, example = build(name, options.size)
    path = scratch / f"{name}.onnx"
    with quiet_exporter():
        torch.onnx.export(model, (example,), path, dynamo=True, verbose=False, external_data=False)
    traced = trace_onnx(path, (example,))
    return Subject(
        traced.graph,
        path.stat().st_size,
        traced.kwargs,
        lambda place, plans, weights: write_bundle(place, traced.source, plans, storage=weights),
    )


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return one row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        subject = onnx_subject(name, options, Path(scratch)) if options.onnx else torch_subject(name, options)
        kinds: tuple[Storage, ...] = ("shared", "inline")
        directories: dict[Storage, Path] = {weights: Path(scratch) / weights for weights in kinds}
        for weights, directory in directories.items():
            subject.write(directory, plans_of(subject.graph, options.cuts), weights)
        disk = {weights: size_of(directory) for weights, directory in directories.items()}
        cuts = [cut.id for cut in read_manifest(directories["shared"]).cuts]
        one = in_fresh_process(directories["inline"], cuts[0])
        memory = {weights: in_fresh_process(directory) for weights, directory in directories.items()}
        speed = speed_ratio(directories["shared"], directories["inline"], subject.call, options.rounds)
        lean = lean_row(directories, cuts[0], subject.call, options.rounds) if options.onnx else {}
    return {
        "model": name,
        "cuts": len(cuts),
        "model_bytes": subject.model_bytes,
        "disk_bytes": disk,
        "disk_ratio": disk["shared"] / subject.model_bytes,
        "inline_disk_ratio": disk["inline"] / subject.model_bytes,
        "one": one,
        **memory,
        "memory_ratio": memory["shared"]["grown_bytes"] / one["grown_bytes"],
        "inline_memory_ratio": memory["inline"]["grown_bytes"] / one["grown_bytes"],
        "peak_ratio": memory["shared"]["peak_bytes"] / one["peak_bytes"],
        "speed_ratio": speed,
        **lean,
    }


def lean_row(
    directories: dict[Storage, Path], cut_id: str, call: dict[str, Any] | tuple[Any, ...], rounds: int
) -> dict[str, Any]:
    """The memory of tails loaded with optimize=False over that of one loaded so, and what they take over optimised ones."""
    one = in_fresh_process(directories["inline"], cut_id, "--lean")
    lean = in_fresh_process(directories["shared"], None, "--lean")
    return {
        "lean_one": one,
        "lean": lean,
        "lean_memory_ratio": lean["grown_bytes"] / one["grown_bytes"],
        "lean_speed_ratio": speed_ratio(directories["shared"], directories["inline"], call, rounds, optimize=False),
    }


def plans_of(graph: Graph, count: int) -> list[CutPlan]:
    """The two ends and `count` cuts spread over those at which a single tensor crosses; the whole model's tail first."""
    ends = [0, *single_tensor_cuts(graph), len(graph.ops)]
    chosen = sorted({ends[round(index * (len(ends) - 1) / (count + 1))] for index in range(count + 2)})
    plans = []
    for end in chosen:
        nodes = frozenset(node for op in graph.ops[:end] for node in op.members)
        plans.append(CutPlan(f"{end}-ops-on-device", nodes, tuple(op.name for op in graph.ops[:end])))
    return plans


def size_of(directory: Path) -> int:
    """Return the bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def in_fresh_process(directory: Path, cut_id: str | None = None, *further: str) -> dict[str, Any]:
    """Return `memory_of_tails`, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.halves.bundle_size", "--memory-of", str(directory)]
    command += [*(("--only", cut_id) if cut_id else ()), *further]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory_of_tails(directory: Path, cut_id: str | None, *, optimize: bool) -> dict[str, Any]:
    """Load and run the tails of a bundle (or one) and keep them; return what memory grew by, and the time of each load."""
    manifest = read_manifest(directory)
    bring_runtime(next(iter(manifest.cuts[0].files)))
    cut_ids = [cut_id] if cut_id else [cut.id for cut in manifest.cuts]
    before, cuts, loads = status_bytes("VmRSS"), [], []
    for name in cut_ids:
        start = time.perf_counter()
        cuts.append(load_cut(directory, name, half="tail", optimize=optimize))
        loads.append(time.perf_counter() - start)
        for _ in range(RUNS):
            cuts[-1].run_tail_flat([torch.randn(wire.shape) for wire in cuts[-1].crossing])
    return {
        "before_bytes": before,
        "grown_bytes": status_bytes("VmRSS") - before,
        "peak_bytes": status_bytes("VmHWM") - before,
        "first_load_s": loads[0],
        "other_loads_s": statistics.median(loads[1:] or loads),
    }


def bring_runtime(format_name: str) -> None:
    """Have in memory what the first tail of any model brings with it, which belongs to its runtime."""
    torch.nn.functional.conv2d(torch.zeros(1, 3, 8, 8), torch.zeros(4, 3, 3, 3))
    if format_name == "onnx":
        importlib.import_module("onnxruntime")
    if format_name == "exported_program":
        file = io.BytesIO()
        torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.zeros(1),)), file)
        torch.export.load(file).module()


def status_bytes(field: str) -> int:
    """Return a size that Linux knows of this process: VmRSS, resident memory, or VmHWM, the most there ever was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def speed_ratio(
    shared: Path, inline: Path, call: dict[str, Any] | tuple[Any, ...], rounds: int, *, optimize: bool = True
) -> float:
    """Return the median over rounds and cuts of the time with shared weights over that of plain files, these optimised."""
    args, kwargs = ((), call) if isinstance(call, dict) else (call, {})
    ratios = []
    for record in read_manifest(shared).cuts:
        cuts = [load_cut(shared, record.id, optimize=optimize), load_cut(inline, record.id)]
        for count in range(rounds + RUNS):
            times = []
            for cut in cuts:
                start = time.perf_counter()
                cut.tail(*cut.head(*args, **kwargs))
                times.append(time.perf_counter() - start)
            if count >= RUNS:  # the first ones warm up
                ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "one small network, two cuts")
    parser.add_argument("--model", action="append", help="a torchvision classification model; may be repeated")
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--onnx", action="store_true", help="export the models to ONNX and emit the files")
    formats.add_argument("--pt2", action="store_true", help="emit exported programs instead of TorchScript")
    parser.add_argument("--size", type=int, default=224, help="height and width of the image")
    parser.add_argument("--cuts", type=int, default=10, help="how many cuts to spread over the model, besides its ends")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--lean", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.model, options.size, options.cuts, options.rounds = ["squeezenet1_1"], 64, 2, 3
    return options


if __name__ == "__main__":
    sys.exit(main())
