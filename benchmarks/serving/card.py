"""A server with a card: do profile, table and halves hold on one, and does a server on it answer what the processor answers?

    OMP_NUM_THREADS=1 python -m benchmarks.serving.card      # needs a card of NVIDIA; writes benchmarks/results/card.{md,json}

A network is profiled on the card with each engine that has one, compiled for a board beside it, and emitted. `cic serve` runs
the tails on the card, in a process of its own, and every cut is asked in turn with what its head gives on the processor. The
server says with each answer what computing took it; copies to the card and back are a part of that, here and in the profile.
Without a card nothing is measured, which is said.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import torch

import cic
from benchmarks.halves.emitted_speed import build
from benchmarks.harness.report import Report, Section, Target, shared_options, show_time
from benchmarks.serving.own_server import ask, serving
from cic.codec.tensors import Array, array_of, tensor_of
from cic.engine.opening import open_half
from cic.protocol.spoken_tail import spoken_tail
from codegen.manifest import read_manifest
from codegen.verification.agreement import relative_error

NETWORKS = ("resnet50", "efficientnet_b0", "densenet121")
# Engine, and the format of the tails that it runs.
ENGINES = {"torchscript:cuda": "torchscript", "pt2:cuda": "exported_program"}
BOARD = "raspberry-pi-4"
# A card computes convolutions in TF32 by default, with ten bits after the point.
ALLOWED_ERROR, ALLOWED_DIFFERENCE = 0.1, 1e-2
NO_SMALLER_S = 2e-4
"""Of tails that take less, calling one is what is measured."""


@dataclass(frozen=True)
class Asked:
    """One cut. predicted_s: of the tail, by the profile. computed_s: by the server, the median. difference: of the answer."""

    network: str
    engine: str
    cut: str
    predicted_s: float
    computed_s: float
    difference: float

    @property
    def error(self) -> float:
        """Of the prediction, relative to what was measured."""
        return abs(self.predicted_s / self.computed_s - 1)


def main() -> int:
    """Measure, and say whether what is promised was kept; 0 where there is no card."""
    parser = shared_options(__doc__, "one network, small pictures, few requests")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="names, with commas between")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("skipped: torch has no card here")
        return 0
    torch.set_num_threads(1)
    names, size, requests = (["resnet18"], 64, 5) if options.quick else (options.networks.split(","), 224, 50)
    rows = [row for name in names for engine in ENGINES for row in measure(name, size, engine, requests)]
    report = _report(rows)
    report.publish(options.results)
    return 0 if report.kept or options.quick else 1


def measure(name: str, size: int, engine: str, requests: int) -> Iterator[Asked]:
    """Every cut of a network's table, with one engine."""
    print(f"{name}, {engine}", file=sys.stderr, flush=True)
    model, example = build(name, size)
    with torch.no_grad():
        expected = model(example)
    profile = cic.profile(model, (example,), engine=engine, seconds_per_op=0.02)
    table = cic.compile(model, (example,), device=BOARD, server=profile)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / f"{name}.split"
        cic.emit(model, table, bundle, formats=[ENGINES[engine]])
        arrays = [array_of(example)[0]]
        with serving(bundle, engine) as url, _linked(url) as link:
            for cut in table.cuts:
                if cut.offloads:
                    head = open_half(bundle, cut.id, "head", engine.partition(":")[0])
                    crossing = head.run(arrays)[: len(head.cut.crossing)]
                    yield _asked(name, engine, cut, link, bundle, crossing, expected, requests)


@contextmanager
def _linked(url: str) -> Iterator[http.client.HTTPConnection]:
    link = http.client.HTTPConnection(urlsplit(url).netloc)
    try:
        yield link
    finally:
        link.close()


def _asked(
    name: str,
    engine: str,
    cut: cic.Cut,
    link: http.client.HTTPConnection,
    bundle: Path,
    crossing: tuple[Array, ...],
    expected: torch.Tensor,
    requests: int,
) -> Asked:
    manifest = read_manifest(bundle)
    spoken = spoken_tail(manifest, cut.id, manifest.name, counted=ENGINES[engine] == "torchscript")
    answers = [ask(link, spoken, crossing) for _ in range(requests + requests // 5)][requests // 5 :]
    computed_s = median(answer.times.compute_us for answer in answers if answer.times is not None) / 1e6
    difference = relative_error(tensor_of(answers[-1].outputs[0].copy(), "float32"), expected)
    return Asked(name, engine, cut.id, cut.row[1], computed_s, difference)


def _report(rows: list[Asked]) -> Report:
    sections = []
    for key in dict.fromkeys((row.network, row.engine) for row in rows):
        lines = [
            (row.cut, show_time(row.predicted_s), show_time(row.computed_s), f"{row.error:.0%}", f"{row.difference:.1e}")
            for row in rows
            if (row.network, row.engine) == key
        ]
        sections.append(Section(", ".join(key), ("cut", "predicted", "computed", "error", "difference"), lines))
    errors = [row.error for row in rows if row.computed_s >= NO_SMALLER_S]
    difference = max(row.difference for row in rows)
    targets = [
        Target(
            f"tails of at least {show_time(NO_SMALLER_S)} are predicted to {ALLOWED_ERROR:.0%}, median",
            f"{median(errors):.1%}" if errors else "there is none",
            bool(errors) and median(errors) <= ALLOWED_ERROR,
        ),
        Target(f"answers differ by {ALLOWED_DIFFERENCE:g} at most", f"{difference:.1e}", difference <= ALLOWED_DIFFERENCE),
    ]
    card = torch.cuda.get_device_name()
    note = f"The card is {card}. Times end when the results are in main memory; differences are relative to the largest value."
    figures: dict[str, Any] = {"card": card, "rows": [vars(row) for row in rows]}
    return Report("card", "Tails on a card", sections, targets, figures, notes=(note,))


if __name__ == "__main__":
    sys.exit(main())
