"""Is an ONNX model of more than 2 GB compiled, emitted and run like any other? 2 GiB is all a protobuf message can have.

    OMP_NUM_THREADS=1 python -m benchmarks.halves.large_onnx            # 2.7 GB, some minutes, 10 GB of memory and disk
    OMP_NUM_THREADS=1 python -m benchmarks.halves.large_onnx --quick    # half a gigabyte, to see that it works

The model is a stack of matrix products with random weights in a file beside the graph; the first makes its input small, which
is where a cut pays. It is compiled, every cut is emitted
(which verifies it against the file itself in fresh processes), the tail with all weights in it is exported and run by ONNX
Runtime alone. Writes benchmarks/results/large_onnx.json.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

import cic
from benchmarks.harness.report import describe_setting, shared_options, write_json
from codegen.manifest import read_manifest

WIDTH, NARROW = 8192, 64
TOLERANCE = 1e-4


def main() -> None:
    """Go the whole way and say how long each step took."""
    parser = shared_options(__doc__, "two layers, half a gigabyte: runs through, and is not large")
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where there is room; default: the system's temporary directory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        row = measure(Path(folder), 2 if options.quick else options.layers)
    print(json.dumps(row))
    write_json(options.results / "large_onnx.json", {**describe_setting(("onnx", "onnx-ir", "onnxruntime")), **row})
    assert row["exported_relative_error"] <= TOLERANCE and row["largest_relative_error"] <= TOLERANCE


def measure(folder: Path, layers: int) -> dict[str, Any]:
    """One row: sizes, seconds of each step, errors, memory."""
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        seconds[step] = round(time.perf_counter() - started, 1)
        return result

    path, bundle = folder / "large.onnx", folder / "large.split"
    weights_bytes = timed("make", lambda: write_stack(path, layers))
    model = timed("compile", lambda: cic.compile(path, device="raspberry-pi-4", server="epyc-7742"))
    timed("emit and verify", lambda: cic.emit(path, model, bundle))
    manifest = read_manifest(bundle)
    timed("export", lambda: cic.export_half(bundle, "server-only", "tail", folder / "alone.onnx"))
    given = np.random.default_rng(1).standard_normal((1, WIDTH), np.float32)
    expected = timed("run the whole", lambda: answer_of(path, given))
    answer = timed("run the exported tail", lambda: answer_of(folder / "alone.onnx", given))
    halves = [half for cut in manifest.cuts for half in (cut.files["onnx"].head, cut.files["onnx"].tail)]
    files = [file for file in bundle.rglob("*") if file.is_file()]
    return {
        "weights_bytes": weights_bytes,
        "largest_half_bytes": max(half.bytes for half in halves),
        "cuts": len(manifest.cuts),
        "bundle_bytes_over_weights_bytes": round(sum(file.stat().st_size for file in files) / weights_bytes, 3),
        "largest_relative_error": max(check.max_relative_error for cut in manifest.cuts for check in cut.verification),
        "exported_relative_error": float(abs(answer - expected).max() / abs(expected).max()),
        "seconds": seconds,
        "peak_memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "peak_memory_of_a_verifying_process_bytes": 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    }


def write_stack(path: Path, layers: int) -> int:
    """Write the model, never more than one matrix in memory; return the bytes of its weights."""
    generator, offset = np.random.default_rng(0), 0
    shapes = [(WIDTH, NARROW), (NARROW, WIDTH), *[(WIDTH, WIDTH)] * layers]
    weights, nodes, value = [], [], "x"
    with (path.parent / "large.weights").open("wb") as file:
        for index, shape in enumerate(shapes):
            matrix = generator.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / shape[0]))
            file.write(matrix.data)
            weight = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
            for key, entry in {"location": "large.weights", "offset": offset, "length": matrix.nbytes}.items():
                weight.external_data.add(key=key, value=str(entry))
            offset += matrix.nbytes
            weights.append(weight)
            nodes.append(helper.make_node("MatMul", [value, f"w{index}"], [f"product{index}"], name=f"multiply{index}"))
            value = f"y{index}"
            nodes.append(helper.make_node("Relu", [f"product{index}"], [value], name=f"rectify{index}"))
    border = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, WIDTH]) for name in ("x", value)]
    graph = helper.make_graph(nodes, "stack", border[:1], border[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return offset


def answer_of(path: Path, given: np.ndarray) -> np.ndarray:
    """What ONNX Runtime alone makes of a file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: given})
    return np.asarray(answer)


if __name__ == "__main__":
    main()
