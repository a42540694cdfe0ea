"""Does a model that is compiled once answer at any batch as the whole does, and decide as if compiled at that batch?

    OMP_NUM_THREADS=1 python -m benchmarks.halves.batches                     # eight networks
    OMP_NUM_THREADS=1 python -m benchmarks.halves.batches --networks resnet18 # only this one; rows of others are kept

Each network is compiled with an open batch, on an example of one picture. Some of its cuts are emitted in each format, and both
halves answer at batches 1, 3 and 16, compared with the network itself. For each of these batches it is compiled once more, with
fixed shapes and times that are so many times as large, and what the two tables decide is compared: the latency of the decided
cut under random conditions. A row is written as soon as its network is done, and a later run goes on after the last one.
Ends with code 1 if an answer or a decision differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import cic
from benchmarks.harness.report import Report, Section, Target, shared_options
from cic.cost.pricing import resolve
from cic.decision.conditions import Box, Conditions
from cic.decision.provenance import MachineProvenance
from cic.decision.splitting_model import SplittingModel
from cic.errors import CicError, CostError
from cic.graph import Graph
from codegen.splitters.open_batch import at_batch
from codegen.torchvision_import import import_torchvision
from codegen.verification.agreement import relative_error
from examples.models.meaningful import make_meaningful

NETWORKS = {
    "resnet18": 64,
    "mobilenet_v3_small": 64,
    "squeezenet1_1": 64,
    "shufflenet_v2_x0_5": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "swin_t": 64,
    "vit": 64,
}
"""With the height and width of the picture; vit is a small VisionTransformer, since torchvision's own take 224 pixels only."""

BATCHES = 1, 3, 16
FORMATS = "exported_program", "onnx", "torchscript"
DEVICE, SERVER = "raspberry-pi-4", "epyc-7742"
ALLOWED_ERROR = 1e-4
# Op times are rounded to nanoseconds, which a sum of hundreds of them shows.
ALLOWED_DIFFERENCE = 1e-4


@dataclass(frozen=True)
class Times:
    """A source of costs that knows each op by its name. like: names the machine."""

    like: str
    seconds: Mapping[str, float]

    @property
    def name(self) -> str:
        return self.like

    @property
    def digest(self) -> str:
        return resolve(self.like).digest

    def op_seconds(self, graph: Graph) -> tuple[float, ...]:
        return tuple(self.seconds[op.name] for op in graph.ops)

    def codec_seconds(self, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
        raise CostError(f"nothing is known of {codec}")

    def provenance(self, graph: Graph, runtime: str) -> MachineProvenance:
        return resolve(self.like).provenance(graph, runtime)


def main() -> int:
    """Take each network the whole way, print tables, and say whether all was equal."""
    options = _options()
    rows = _known(options.results) if not options.quick else {}
    for name in options.networks:
        if options.again or name not in rows or options.formats != list(rows[name]["errors"]):
            rows[name] = take(name, options.formats, options.conditions)
        result = report([rows[each] for each in NETWORKS if each in rows])
        result.publish(options.results)
    return int(not result.kept)


def take(name: str, formats: Sequence[str], conditions: int) -> dict[str, Any]:
    """The row of one network."""
    torch.manual_seed(0)
    model, x = build(name)
    compiled = cic.compile(model, (x,), device=DEVICE, server=SERVER, dynamic={"x": {0: "batch"}})
    chosen = list(dict.fromkeys([compiled.cuts[0].id, compiled.cuts[len(compiled.cuts) // 2].id, compiled.cuts[-1].id]))
    row: dict[str, Any] = {"network": name, "cuts": len(compiled.cuts), "emitted": chosen, "errors": {}, "refused": {}}
    for format_name in formats:
        with tempfile.TemporaryDirectory() as scratch:
            bundle = Path(scratch) / "halves"
            try:
                cic.emit(model, compiled, bundle, formats=[format_name], cuts=chosen)
            except CicError as error:
                row["errors"][format_name], row["refused"][format_name] = None, str(error)[:300]
                continue
            row["errors"][format_name] = {str(batch): _error(model, x, bundle, chosen, batch) for batch in BATCHES}
    row["decisions"] = {str(batch): compared(model, x, compiled, batch, conditions) for batch in BATCHES}
    return row


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network with random weights whose answers say something, and a picture."""
    models = import_torchvision().models
    size = NETWORKS[name]
    if name == "vit":
        network = models.VisionTransformer(size, 16, num_layers=4, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=20)
    else:
        network = getattr(models, name)(num_classes=20)
    return make_meaningful(network, (torch.randn(4, 3, size, size),)), torch.randn(1, 3, size, size)


def _error(model: nn.Module, x: torch.Tensor, bundle: Path, cuts: Sequence[str], batch: int) -> float:
    """The greatest relative error of an answer."""
    pictures = torch.randn_like(at_batch(x, 0, batch))
    with torch.no_grad():
        expected = model(pictures)
    halves = (cic.load_cut(bundle, cut_id) for cut_id in cuts)
    return max(float(relative_error(cut.tail(*cut.head(pictures)), expected)) for cut in halves)


def compared(model: nn.Module, x: torch.Tensor, compiled: SplittingModel, batch: int, conditions: int) -> dict[str, Any]:
    """The open table beside one that was compiled at this batch, with costs so many times as large."""
    ops = compiled.graph().ops
    device = Times(DEVICE, {op.name: op.device_ns * 1e-9 * batch for op in ops})
    server = Times(SERVER, {op.name: op.server_ns * 1e-9 * batch for op in ops})
    fixed = cic.compile(model, (at_batch(x, 0, batch),), device=device, server=server)
    rng, worst, same, of_table, used = random.Random(batch), 0.0, 0, 0, set()
    for _ in range(conditions):
        drawn = _drawn(rng, compiled.box)
        uplink, downlink, rtt, device_slowdown, server_slowdown = drawn.numbers
        expected = fixed.decide(uplink, rtt, downlink, device_slowdown, server_slowdown)
        decision = compiled.decide(uplink, rtt, downlink, device_slowdown, server_slowdown, batch=batch)
        worst = max(worst, abs(decision.latency_s / expected.latency_s - 1))
        same += decision.device_ops == expected.device_ops
        of_table += decision.source == "table"
        used.add(decision.cut_id)
    return {"conditions": conditions, "difference": worst, "same_cut": same, "of_table": of_table, "cuts_used": len(used)}


def _drawn(rng: random.Random, box: Box) -> Conditions:
    """Somewhere in the box; bandwidths and slowdowns by their magnitude."""

    def between(low: float, high: float) -> float:
        return float(low * (high / low) ** rng.random())

    uplink = between(*box.uplink_bps)
    low_rtt, high_rtt = box.rtt_s
    rtt = rng.choice([low_rtt, low_rtt + (high_rtt - low_rtt) * rng.random() ** 3])
    return Conditions(
        uplink, uplink * between(*box.downlink_ratio), rtt, between(*box.device_slowdown), between(*box.server_slowdown)
    )


def report(rows: list[dict[str, Any]]) -> Report:
    """Two tables and the promises."""
    answers = [
        (row["network"], f"{len(row['emitted'])} of {row['cuts']}", *(_shown_errors(row, each) for each in FORMATS))
        for row in rows
    ]
    decisions = [
        (
            row["network"],
            batch,
            f"{each['difference']:.1e}",
            f"{each['same_cut']} of {each['conditions']}",
            f"{each['of_table']}",
            f"{each['cuts_used']}",
        )
        for row in rows
        for batch, each in row["decisions"].items()
    ]
    formats = [sum(errors is not None for errors in row["errors"].values()) for row in rows]
    error = max((one for row in rows for errors in row["errors"].values() for one in (errors or {}).values()), default=0.0)
    difference = max(each["difference"] for row in rows for each in row["decisions"].values())
    columns = ("network", "cuts emitted", *(f"largest error, {each}" for each in FORMATS))
    return Report(
        "batches",
        "One compilation for every batch",
        [
            Section(f"Answers of both halves at batches {', '.join(map(str, BATCHES))}, against the whole", columns, answers),
            Section(
                "Decisions, against compiling at that batch with times so many times as large",
                ("network", "batch", "latency differs by", "same ops on the device", "look-ups", "cuts used"),
                decisions,
                ("Where two cuts take equally long either may be decided for.",),
            ),
        ],
        [
            Target("equal to the whole in two formats", f"{min(formats)} formats, error {error:.1e}",
                   min(formats) >= min(2, len(rows[0]["errors"])) and error <= ALLOWED_ERROR),
            Target("decisions as of compiling at that batch", f"{difference:.1e} apart", difference <= ALLOWED_DIFFERENCE),
        ],
        {"networks": rows},
        ("That op times grow in proportion with the batch is assumed here, not shown.",),
    )  # fmt: skip


def _shown_errors(row: dict[str, Any], format_name: str) -> str:
    if format_name not in row["errors"]:
        return "not tried"
    errors = row["errors"][format_name]
    return "refused" if errors is None else f"{max(errors.values()):.1e}"


def _known(results: Path) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run, by network."""
    path = results / "batches.json"
    if not path.exists():
        return {}
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["networks"]
    return {row["network"]: row for row in rows}


def _options() -> argparse.Namespace:
    parser = shared_options(__doc__, "one network, one format, few conditions")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, metavar="NAME", help="only these")
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS, metavar="FORMAT", help="only these")
    parser.add_argument("--conditions", type=int, default=500, help="how many for each network and batch; default: 500")
    parser.add_argument("--again", action="store_true", help="do not go on with the rows of an earlier run")
    options = parser.parse_args()
    if options.quick:
        options.networks, options.formats, options.conditions = ["squeezenet1_1"], ["torchscript"], 20
    return options


if __name__ == "__main__":
    sys.exit(main())
