"""How often does a table hold a cut that misses its accuracy target, if it was judged on so many calibration samples?

A network is compiled again and again, each time judged on other samples, drawn from a population of pictures. What each
cut truly keeps is known: what it keeps of the whole population. A table that holds a cut below its target is a broken promise.
Search, codecs, halves and judgement are those of `cic.compile`; only the answers of a set of codecs on the population are
computed once and then looked up for the pictures drawn. The judgement before exact bounds (a normal margin of 1.645 standard
errors for each cut by itself) is run on the same draws, to see what they are worth.

The network has random weights, is narrow and tells 40 classes apart, so that codecs upset it easily: networks that
nothing upsets would keep every promise. Its labels are its own answers, one in five of them replaced at random.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.harness.report import Report, Section, Target, shared_options
from cic.compilation.lowering import Lowered, bounds, lower
from cic.cost.machine import Machine
from cic.cost.pricing import resolve
from cic.decision.conditions import Box
from cic.precision import target_search as precision
from cic.precision.accuracy import Reached, shares_right
from cic.precision.cut_accuracy import Examiner
from cic.precision.evidence import is_shown, level_of
from cic.precision.examination import examine, reader_counts
from cic.precision.precision import Precision
from cic.precision.target_search import within_target
from cic.precision.wire_form import WireForm
from cic.trace.fx.torch_trace import trace
from compress.bounds import Bounds
from compress.schedule import Compression, compress_together
from examples.trained.shapes import classification
from mincut.lower_envelope import Envelope, PriceBox, envelope
from mincut.problem import BoolArray, Problem

DEVICE, SERVER = resolve(Machine("weak", 2e9, 1e9, 1e-5)), resolve(Machine("strong", 2e11, 2e10, 1e-6))
CLASSES = 40
UPLINK = ("50kbps", "100Mbps")
SAMPLES = (1, 10, 30, 100, 300, 1000)
TARGETS = (0.9, 0.97, 0.99)
DRAWS, POPULATION = 200, 3000
Shares = NDArray[np.float64]
Verdict = Callable[[Shares, Shares, float, float], bool]


@dataclass(frozen=True)
class Row:
    """Tables judged on draws of so many samples.

    lossy: tables with a cut that loses anything. broken: tables with a cut that misses its target on the population.
    worst: the least that a cut of any table keeps.
    """

    against: str
    verdict: str
    share: float
    samples: int
    draws: int
    lossy: int
    broken: int
    worst: float


class Population:
    """What each set of lossy codecs keeps of every picture of a population, computed when first asked for."""

    def __init__(self, pictures: int) -> None:
        network, images, labels = fragile_network(pictures)
        traced = trace(network, (images[:1],))
        asked = Precision("int4", [(images, labels)])
        examined = examine(traced, asked, (DEVICE, SERVER), lambda text: print(text, file=sys.stderr))
        assert examined.examiner is not None
        self.examiner: Examiner = examined.examiner
        self.pairs = examined.lossy_pairs
        self.lowered: Lowered = lower(
            traced.graph, *(cost.op_seconds(traced.graph) for cost in (DEVICE, SERVER)), forms=examined.forms
        )
        self.bounds = bounds(Box(uplink=UPLINK), 0.0)
        self.labels = self.examiner.calibration.labels
        whole = self.examiner.whole
        self.right = {kind: shares_right(whole, whole, truth).numpy() for kind, truth in self._truths()}
        self._kept: dict[frozenset[tuple[int, str]], dict[str, Shares]] = {}

    def kept(self, on_device: BoolArray, lossy: dict[int, WireForm]) -> dict[str, Shares]:
        """For each picture what is got right, by labels and by agreement."""
        key = frozenset((tensor, form.stage) for tensor, form in lossy.items())
        if key not in self._kept:
            nodes = frozenset(node for op in np.flatnonzero(on_device) for node in self.lowered.graph.ops[op].members)
            codecs = {self.lowered.tensors[tensor]: form.codec for tensor, form in lossy.items()}
            answers = self.examiner.answers(nodes, codecs)
            self._kept[key] = {
                kind: shares_right(answers, self.examiner.whole, truth).numpy() for kind, truth in self._truths()
            }
        return self._kept[key]

    def _truths(self) -> Sequence[tuple[str, Sequence[torch.Tensor] | None]]:
        return (("labels", self.labels), ("agreement", None))


def fragile_network(count: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """The network, so many rendered pictures, and their labels."""
    torch.manual_seed(7)
    layers = (nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 64, 3), nn.ReLU())
    deep = (nn.Conv2d(64, 64, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    network = nn.Sequential(*layers, *deep, nn.Linear(256, CLASSES)).eval()
    pixels = torch.from_numpy(classification(3, count)[0]).float()
    images = (pixels / 255 - 0.5) / 0.25
    with torch.no_grad():
        # Without this a random network answers nearly the same to every picture.
        features = network[:-1](images[:500])
        network[-1].bias.copy_(-network[-1].weight @ features.mean(0))
        labels = network(images).argmax(1)
    replaced = torch.rand(count) < 0.2
    return network, images, torch.where(replaced, torch.randint(CLASSES, (count,)), labels)


def remember_envelopes() -> None:
    """Searches on different samples ask for the same compressions and envelopes again and again: each is computed once."""
    compressed: dict[bytes, tuple[Compression, list[Problem]]] = {}
    # By the compressed problem, which stays in `compressed`.
    enveloped: dict[int, Envelope] = {}

    def together(problem: Problem, alternatives: Sequence[Problem], within: Bounds) -> tuple[Compression, list[Problem]]:
        codecs = [each.codecs for each in alternatives if each.codecs is not None]
        key = b"|".join(part.tobytes() for each in codecs for part in (each.start, each.wire_bytes, each.device_ns))
        if key not in compressed:
            compressed[key] = compress_together(problem, alternatives, within)
        return compressed[key]

    def remembered(problem: Problem, box: PriceBox, *, alternatives: Sequence[Problem], **told: Any) -> Envelope:
        if id(problem) not in enveloped:
            enveloped[id(problem)] = envelope(problem, box, alternatives=alternatives, **told)
        return enveloped[id(problem)]

    precision.compress_together = together  # type: ignore[assignment]
    precision.envelope = remembered  # type: ignore[assignment]


def measure(population: Population, draws: int, samples: Sequence[int]) -> list[Row]:
    """Every kind of judgement, target and number of samples."""
    rows = []
    for against in ("labels", "agreement"):
        for label, verdict in (("exact", exact), ("normal", normal)):
            for share in TARGETS:
                for count in samples:
                    rows.append(_row(population, against, (label, verdict), share, count, draws))
                    print(rows[-1], file=sys.stderr)
    return rows


def _row(population: Population, against: str, verdict: tuple[str, Verdict], share: float, count: int, draws: int) -> Row:
    rng = np.random.default_rng((count, round(share * 1000)))
    right = population.right[against]
    seen: Counter[str] = Counter()
    worst = 1.0
    for _ in range(draws):
        drawn = rng.integers(len(right), size=count)

        def run(side: BoolArray, lossy: dict[int, WireForm], drawn: NDArray[np.int64] = drawn) -> Reached:
            kept = population.kept(side, lossy)[against]
            readers = reader_counts(population.lowered.problem, lossy, side)
            level = level_of(len(lossy), population.pairs, readers)
            true_share = float(kept.mean() / right.mean())
            return Reached(true_share, 0.0, verdict[1](kept[drawn], right[drawn], share, level))

        found = within_target(
            population.lowered.problem,
            population.lowered.forms,
            population.bounds,
            run,
            most_solves=20_000,
            tell=lambda _: None,
        )
        truly = [reached.top1 for reached in found.reached if reached.top1 is not None]
        seen["lossy"] += any(share_kept != 1.0 for share_kept in truly)
        seen["broken"] += min(truly) < share
        worst = min(worst, *truly)
    return Row(against, verdict[0], share, count, draws, seen["lossy"], seen["broken"], worst)


def exact(kept: Shares, right: Shares, share: float, level: float) -> bool:
    """The judgement of `cic.compile`; a model that is right on no sample is refused there."""
    return is_shown(kept, right, share, level)


def normal(kept: Shares, right: Shares, share: float, _level: float) -> bool:
    """A margin of 1.645 standard errors, each cut by itself; none if all samples agree."""
    margin = kept - share * right
    spread = float(margin.std(ddof=1)) / math.sqrt(len(margin)) if len(margin) > 1 else 0.0
    return float(margin.mean()) - 1.645 * spread >= 0


def main() -> None:
    parser = shared_options(__doc__, "few pictures and draws: runs through, decides nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    remember_envelopes()
    draws, pictures, samples = (4, 200, (10, 100)) if arguments.quick else (DRAWS, POPULATION, SAMPLES)
    rows = measure(Population(pictures), draws, samples)
    target = _target([row for row in rows if row.verdict == "exact"])
    Report(
        "accuracy_evidence",
        "At most 5 % of tables hold a cut that misses its accuracy target, however few samples it was judged on",
        [_section(rows, against) for against in ("labels", "agreement")],
        [target],
        {"rows": [asdict(row) for row in rows], "population": pictures},
        (
            f"Each table is judged on samples drawn, with replacement, from {pictures:,} pictures, on all of which the truth "
            "is measured. Cells: tables with a broken promise, of those with a cut that loses anything. `normal` is the margin "
            "that was used before: 1.645 standard errors, each cut by itself.",
        ),
    ).publish(arguments.results)
    sys.exit(not (arguments.quick or target.kept))


def _target(rows: Sequence[Row]) -> Target:
    """Of the tables with a cut that loses anything, and of all tables, where there are enough to tell."""
    worst = max(rows, key=lambda row: row.broken / max(row.lossy, 1))
    accepted, broken = sum(row.lossy for row in rows), sum(row.broken for row in rows)
    measured = (
        f"{broken} of {accepted} tables that lose anything ({sum(row.draws for row in rows)} drawn); most of one kind: "
        f"{worst.broken} of {worst.lossy} ({worst.share:g}, {worst.samples} samples)"
    )
    kept = all(row.broken <= 0.05 * row.draws for row in rows) and broken <= 0.05 * max(accepted, 1)
    return Target("at most 5 % of accepted tables hold a cut below its target", measured, kept)


def _section(rows: Sequence[Row], against: str) -> Section:
    chosen = [row for row in rows if row.against == against]
    samples = sorted({row.samples for row in chosen})
    cells = {(row.verdict, row.share, row.samples): row for row in chosen}
    lines = []
    for verdict, share in dict.fromkeys((row.verdict, row.share) for row in chosen):
        here = [cells[verdict, share, count] for count in samples]
        counts = (f"{row.broken} of {row.lossy}" for row in here)
        lines.append((verdict, f"{share:.0%}", *counts, f"{min(row.worst for row in here):.4f}"))
    columns = ("judged by", "target", *(f"{count} samples" for count in samples), "least kept by any cut")
    return Section(f"Broken promises, top-1 counted by {against}", columns, lines)


if __name__ == "__main__":
    main()
