"""How far exact compression shrinks the graph: ops before and after, per rule, against the box and the uncertainty.

    python -m benchmarks.decision.compression [--models resnet50,densenet121]

Device: Raspberry Pi 4, server: one thread of an EPYC 7742, both from the catalogue. Writes benchmarks/results/compression.md
and .json.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

import cic
from benchmarks.decision.quotient import quotient
from benchmarks.harness.report import Report, Section, shared_options
from cic.compilation.lowering import bounds, price_box
from cic.decision.off_table.problem import stored_problem
from cic.decision.splitting_model import SplittingModel
from codegen.torchvision_import import import_torchvision
from compress.schedule import RULES, compress
from mincut.lower_envelope import envelope

MODELS = (
    "alexnet", "vgg16", "squeezenet1_1", "resnet18", "resnet50", "resnet152", "resnext50_32x4d", "googlenet", "inception_v3",
    "densenet121", "densenet201", "mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2_x1_0", "mnasnet1_0", "efficientnet_b0",
    "efficientnet_b7", "regnet_y_400mf", "convnext_tiny", "vit_b_16", "swin_t", "fcn_resnet50", "deeplabv3_mobilenet_v3_large",
)  # fmt: skip
ONE = (1, 1)
BOXES = {
    "bandwidth": cic.Box(downlink_ratio=ONE, device_slowdown=ONE, server_slowdown=ONE),
    "±20 % load": cic.Box(device_slowdown=(0.8, 1.2), server_slowdown=(0.8, 1.2)),
    "everything": cic.Box(),
}
UNCERTAINTIES = (0.0, 0.05, 0.2, 0.5)
QUICK = ("squeezenet1_1", "resnet18")
DEVICE, SERVER = "raspberry-pi-4", "epyc-7742-1-thread"


def compiled(name: str) -> SplittingModel:
    """A torchvision model between the two machines, random weights."""
    torchvision = import_torchvision()
    torch.manual_seed(0)
    options: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if name.startswith(("fcn", "deeplab")):
        options["weights_backbone"] = None
    side = 299 if name == "inception_v3" else 224
    model = torchvision.models.get_model(name, weights=None, **options).eval()
    traced = cic.trace_model(model, (torch.randn(1, 3, side, side),), name=name)
    return cic.compile(traced, device=DEVICE, server=SERVER)


def shrunk(model: SplittingModel) -> dict[str, Any]:
    """Ops of a model at every stage."""
    problem = stored_problem(model.graph())
    row: dict[str, Any] = {
        "model": model.name,
        "traced": model.information.traced_nodes,
        "fused": problem.op_count,
    }
    for title, box in BOXES.items():
        compression = compress(problem, bounds(box, 0.0))
        found = envelope(problem, price_box(box))
        row[title] = {
            "rules": compression.reduction.problem.op_count,
            "merged": dict(compression.merged),
            "quotient": quotient(problem, found.placements).problem.op_count,
            "cuts": len(found.placements),
        }
    row["uncertainty"] = {
        f"{uncertainty:.0%}": compress(problem, bounds(BOXES["bandwidth"], uncertainty)).reduction.problem.op_count
        for uncertainty in UNCERTAINTIES
    }
    return row


def main() -> None:
    options = shared_options(__doc__, "two networks")
    options.add_argument("--models", default=",".join(MODELS))
    arguments = options.parse_args()
    rows = []
    for name in QUICK if arguments.quick else arguments.models.split(","):
        print(f"{name} …", file=sys.stderr)
        rows.append(shrunk(compiled(name)))
    report(rows).publish(arguments.results)


def report(rows: list[dict[str, Any]]) -> Report:
    """The table."""
    columns = ["model", "traced", "fused"]
    for title in BOXES:
        columns += [f"{title}: rules", "quotient", "cuts"]
    columns += [*RULES, *(f"ε {uncertainty:.0%}" for uncertainty in UNCERTAINTIES[1:])]
    cells = []
    for row in rows:
        line = [row["model"], row["traced"], row["fused"]]
        line += [row[title][key] for title in BOXES for key in ("rules", "quotient", "cuts")]
        line += [*(row["bandwidth"]["merged"][rule] for rule in RULES), *list(row["uncertainty"].values())[1:]]
        cells.append(tuple(map(str, line)))
    note = (
        "Counts per rule and the columns ε (uncertainty of every op time) are for the box `bandwidth`: 50 kbit/s to 10 Gbit/s, "
        "nothing else varies. `±20 % load` lets both machines vary by 20 %; `everything` is the default box. `quotient` is "
        "what the envelope leaves: one atom per group of ops that no optimal cut separates."
    )
    return Report(
        "compression",
        "Exact compression: ops before and after",
        [Section(f"Ops of networks between {DEVICE} and {SERVER}", tuple(columns), cells, (note,))],
        [],
        {"device": DEVICE, "server": SERVER, "rows": rows},
    )


if __name__ == "__main__":
    main()
