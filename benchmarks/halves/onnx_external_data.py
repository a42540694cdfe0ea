"""ONNX halves whose graphs name their weights (external data of ONNX), against weights taken out of the bytes of plain files.

    OMP_NUM_THREADS=1 python -m benchmarks.halves.onnx_external_data               # ResNet-50, MobileNetV3-Large
    OMP_NUM_THREADS=1 python -m benchmarks.halves.onnx_external_data --layers 10   # and a model of 2.7 GB, some minutes more

CIC writes the plain file of a half, takes its large weights out as `weights/<SHA-256>.bin`, and keeps the rest compressed with
the places of the weights in the manifest. The other way is to give the graph external tensors of these locations and save it as
it is. Here both ways write the same halves of the same emitted model, and each loads all tails, in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir

import cic
from benchmarks.halves.large_onnx import write_stack
from benchmarks.harness.report import RESULTS, Report, Section, describe_setting
from codegen.formats.onnx_session import open_sharing, runner_of
from codegen.loading import export_half, load_cut
from codegen.manifest import FileRecord, read_manifest
from codegen.weights.onnx_file import write_model
from codegen.weights.onnx_weights import BareGraph
from codegen.weights.protobuf_spans import raw_data_spans
from codegen.weights.shared_weights import SMALLEST_BYTES, lift
from codegen.weights.weight_pool import POOL, return_freed_memory

MODELS = ("resnet50", "mobilenet_v3_large")
WAYS = ("taken out", "named")
Way = Literal["taken out", "named"]
NOTES = (
    "disk: bytes of the bundle over those of the model's file. load and memory: all tails, checked and from the pool.",
    "ONNX Runtime 1.24 and later refuse a location outside of the graph's folder, as ../weights/… would be. 1.20 to 1.23 open"
    " any path that a file names, even when they get the file as bytes: so a reader of the wire format, which finds each"
    " location before ONNX Runtime sees it, would stay on devices, which have no package onnx. Weights from memory"
    " are taken by 1.24 and"
    " later, which refuse names of the outermost graph that are not in the table they were given.",
    "The graph that ONNX Runtime optimises is written by it with all weights in one file; to pool them by digest its locations"
    " must be rewritten on the machine that loads. Most of what reads and writes the wire format by hand is for that.",
    "Plain files come back byte for byte and match the digest in the manifest. Put together from a graph they would be"
    " written anew, by whatever version of onnx is there, and only where it is there.",
    "Built into emission, bundles and loading for a trial, naming took away 433 lines and brought 344, a second kind of file in"
    " the manifest and a second protocol of formats among them.",
    "Weights stay taken out: graphs that ONNX Runtime opens are not compressed, so the bundle grows with every cut, and would"
    " pass 1.3 times MobileNetV3-Large at some 20 cuts; loading and memory are alike. Naming would save time to write.",
)


def main() -> None:
    """Measure, print, write; or load the tails of one bundle, in a process of its own."""
    options = _options()
    if options.load:
        print(json.dumps(load_tails(Path(options.load[1]), options.load[0], len(options.load) > 2)))
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        rows += [measure(name, export(name, Path(scratch)), Path(scratch)) for name in options.model or MODELS]
        if options.layers:
            place = Path(scratch) / "stack.onnx"
            rows.append(measure("stack of matrices", place, Path(scratch), write_stack(place, options.layers)))
    columns = ("model", "cuts", "way", "disk", "write s", "first load s", "other loads s", "memory of all tails MB", "lean MB")
    lines = [
        (
            row["model"],
            str(row["cuts"]),
            way,
            f"{row[way]['disk_ratio']:.3f}",
            f"{row[way]['write_s']:.2f}",
            f"{row[way]['first_load_s']:.2f}",
            f"{row[way]['other_loads_s']:.2f}",
            f"{row[way]['grown_mb']:.0f}",
            f"{row[way]['lean_grown_mb']:.0f}",
        )
        for row in rows
        for way in WAYS
    ]
    compressed = ", ".join(f"{row['model']} {row['named']['compressed_disk_ratio']:.3f}" for row in rows)
    notes = (*NOTES, f"disk of named, compressed: {compressed}.")
    section = Section("Weights of ONNX halves, once on disk", columns, lines, notes)
    figures = {"setting": describe_setting(("onnx", "onnx-ir", "onnxruntime")), "rows": rows}
    Report("onnx_external_data", "ONNX halves: weights taken out of files, or named by graphs", [section], [], figures).publish(
        options.results
    )


def export(name: str, scratch: Path) -> Path:
    """A network of torchvision as an ONNX file."""
    import torch

    from benchmarks.halves.emitted_speed import build
    from codegen.formats.onnx_program import quiet_exporter

    model, example = build(name, 224)
    path = scratch / f"{name}.onnx"
    with quiet_exporter():
        torch.onnx.export(model, (example,), path, dynamo=True, verbose=False, external_data=False)
    return path


def measure(name: str, path: Path, scratch: Path, weights_bytes: int = 0) -> dict[str, Any]:
    """One row: the halves of every cut written both ways, and loaded."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        bundle = Path(folder) / "taken.split"
        cic.emit(path, cic.compile(path, device="raspberry-pi-4", server="epyc-7742"), bundle, storage="shared")
        cuts = [cut.id for cut in read_manifest(bundle).cuts]
        row: dict[str, Any] = {"model": name, "cuts": len(cuts), **{way: {"write_s": 0.0} for way in WAYS}}
        named, graphs = Path(folder) / "named.split", []
        for cut_id in cuts:
            for half in ("head", "tail"):
                export_half(bundle, cut_id, half, Path(folder) / "half.onnx")
                for way, write in (("taken out", take_out), ("named", name_weights)):
                    # Apart from each other, and once more for the first: what is timed is not what reads the half.
                    model = onnx_ir.load(Path(folder) / "half.onnx")
                    start = time.perf_counter()
                    place = write(model, Path(folder) / "again.split" if way == "taken out" else named, f"{cut_id}.{half}.onnx")
                    row[way]["write_s"] += time.perf_counter() - start
                graphs.append(len(zlib.compress(place.read_bytes())))
        whole = path.stat().st_size + weights_bytes
        stored = sum(file.stat().st_size for file in (named / "weights").iterdir())
        row["taken out"]["disk_ratio"] = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) / whole
        row["named"]["disk_ratio"] = (stored + sum(file.stat().st_size for file in named.glob("*.onnx"))) / whole
        row["named"]["compressed_disk_ratio"] = (stored + sum(graphs)) / whole
        (named / "manifest.json").write_bytes((bundle / "manifest.json").read_bytes())
        for way, place in (("taken out", bundle), ("named", named)):
            row[way] |= in_fresh_process(way, place) | {"lean_grown_mb": in_fresh_process(way, place, "lean")["grown_mb"]}
    print(row, file=sys.stderr)
    return row


def take_out(model: onnx_ir.Model, directory: Path, name: str) -> Path:
    """As CIC does: the plain file, its weights out of it, the rest compressed."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    write_model(model, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lift(directory, FileRecord(name, path.stat().st_size, digest), raw_data_spans(path))
    return path


def name_weights(model: onnx_ir.Model, directory: Path, name: str) -> Path:
    """The graph as it is, with external tensors for its large weights."""
    (directory / "weights").mkdir(parents=True, exist_ok=True)
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is None or tensor.nbytes < SMALLEST_BYTES or tensor.dtype is onnx_ir.DataType.STRING:
            continue
        content = tensor.tobytes()
        location = f"weights/{hashlib.sha256(content).hexdigest()}.bin"
        if not (directory / location).exists():
            (directory / location).write_bytes(content)
        shape = onnx_ir.Shape(tensor.shape.numpy())
        value.const_value = onnx_ir.ExternalTensor(
            location, 0, len(content), tensor.dtype, shape=shape, name=str(value.name), base_dir=directory
        )
    onnx_ir.save(model, directory / name)
    return directory / name


def load_tails(bundle: Path, way: Way, lean: bool) -> dict[str, float]:
    """Load and run every tail, and keep them: seconds of each load, and what memory grew by."""
    manifest, runners, seconds, before = read_manifest(bundle), [], [], resident_bytes()
    for cut in manifest.cuts:
        start = time.perf_counter()
        run = (
            load_cut(bundle, cut.id, half="tail", optimize=not lean).run_tail_flat
            if way == "taken out"
            else named_tail(bundle, cut.id, optimize=not lean)
        )
        seconds.append(time.perf_counter() - start)
        runners.append(run)
        given = [np.zeros(wire.shape, wire.dtype) for wire in cut.crossing]
        for _ in range(3):
            run(given)
    grown = resident_bytes() - before
    return {
        "first_load_s": seconds[0],
        "other_loads_s": statistics.median(seconds[1:] or seconds),
        "grown_mb": grown / 1e6,
    }


def named_tail(directory: Path, cut_id: str, *, optimize: bool) -> Any:
    """A tail whose graph names its weights, all of them checked and from the pool."""
    path = directory / f"{cut_id}.tail.onnx"
    files = {}
    for tensor in onnx_ir.load(path).graph.initializers.values():
        if isinstance(tensor.const_value, onnx_ir.ExternalTensor):
            location = str(tensor.const_value.location)
            files[location] = POOL.get(("onnx", Path(location).stem), lambda: checked(directory / location))  # noqa: B023
    session, weights = open_sharing(BareGraph(path.read_bytes(), files), str(path), optimize=optimize)
    run = runner_of(session, path.name, weights)
    del session, weights
    return_freed_memory()
    return lambda given: run(*given)


def checked(path: Path) -> Any:
    """A weight file, if it is as its name says."""
    content = np.fromfile(path, np.uint8)
    assert hashlib.sha256(content.data).hexdigest() == path.stem
    return content


def resident_bytes() -> int:
    """What Linux knows of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def in_fresh_process(way: str, bundle: Path, *further: str) -> dict[str, float]:
    """`load_tails` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.halves.onnx_external_data", "--load", way, str(bundle), *further]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", action="append", help="a torchvision classification model; may be repeated")
    parser.add_argument("--layers", type=int, default=0, help="also a stack of so many matrices of 268 MB")
    parser.add_argument("--folder", type=Path, help="where there is room; default: the system's temporary directory")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--load", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
