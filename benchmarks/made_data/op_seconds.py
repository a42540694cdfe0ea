"""Makes a part of benchmarks/data/measured_ops.json: measured seconds of every op of some networks, on the machine it runs on.

    OMP_NUM_THREADS=1 python -m benchmarks.made_data.op_seconds "one core of a …" --engine torchscript
    OMP_NUM_THREADS=1 python -m benchmarks.made_data.op_seconds "a card …" --engine torchscript:cuda

What simulations of adaptation take for the truth. A network's ops have the same names wherever it is traced, so that columns of
several machines stand beside each other; a machine is replaced by its name if it is there already.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cic
from benchmarks.halves.emitted_speed import build
from benchmarks.harness.report import write_json
from cic.cost.pricing import price
from cic.trace.fx.torch_trace import trace

DATA = Path(__file__).resolve().parents[1] / "data" / "measured_ops.json"
NETWORKS = (
    "alexnet", "densenet121", "efficientnet_b0", "googlenet", "mnasnet1_0", "mobilenet_v2", "regnet_y_400mf", "resnet18",
    "resnet50", "shufflenet_v2_x1_0", "squeezenet1_1", "vgg11",
)  # fmt: skip
SIZE = 224


def main() -> None:
    """Measure each network, and keep it as soon as it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machine", help="what to call the machine, its threads and its engine")
    parser.add_argument("--engine", default="torchscript")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds-per-op", type=float, default=0.05)
    parser.add_argument("--networks", default=",".join(NETWORKS), help="names, with commas between")
    parser.add_argument("--file", type=Path, default=DATA)
    given = parser.parse_args()
    for name in given.networks.split(","):
        model, example = build(name, SIZE)
        traced = trace(model, (example,))
        profile = cic.profile(traced, threads=given.threads, seconds_per_op=given.seconds_per_op, engine=given.engine)
        seconds = [float(f"{each:.4g}") for each in price(traced.graph, profile)]
        add(given.file, name, [op.name for op in traced.graph.ops], given.machine, seconds)
        print(f"{name}: {len(seconds)} ops, {sum(seconds) * 1e3:.2f} ms", file=sys.stderr, flush=True)


def add(path: Path, network: str, ops: list[str], machine: str, seconds: list[float]) -> None:
    """Put one column into the file. Raises SystemExit if the network has other ops there."""
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"networks": {}}
    row = body["networks"].setdefault(network, {"ops": ops, "machines": {}})
    if row["ops"] != ops:
        raise SystemExit(f"{network} has other ops here than in {path}: trace it with the same torch")
    row["machines"][machine] = seconds
    body["source"] = "measured by python -m benchmarks.made_data.op_seconds; seconds, batch 1, 224 x 224 pixels"
    write_json(path, body)


if __name__ == "__main__":
    main()
