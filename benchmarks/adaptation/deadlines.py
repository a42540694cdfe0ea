"""Are latencies within the time that is said for 95 % of them, and are deadlines kept, on recorded bandwidths?

A session without a profile in virtual time (`benchmarks.adaptation.deadline_session`): networks and pairs of machines whose op
times were measured, devices eight times as slow, over the recorded traces, each repeated for ten minutes. Each part has 10 % of
noise, and in every other scene device and server become slower for a while. Deadlines are 0.7 to 2.5 times what the device
alone takes. No parameter was chosen by these traces. Without intervals a local answer is given 1.15 times its prediction.

    python -m benchmarks.adaptation.deadlines --networks resnet18,vgg16
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from time import perf_counter

from benchmarks.adaptation.adaptation import Setting, pairs_of, scenes_of
from benchmarks.adaptation.deadline_session import Answer, DeadlineSession, FixedMargin
from benchmarks.adaptation.measured_ops import DATA, read_measured
from benchmarks.adaptation.world import WORK, Load, World, tables_of
from benchmarks.harness.report import Report, Section, Target, shared_options, show_time
from benchmarks.testbed.traces import Trace, recorded
from cic.session.forecast import Parts
from cic.session.intervals import Intervals

INFERENCES, TIMES = 150, 10
DUE = (None, 0.7, 1.2, 1.6, 2.5)
"""Deadlines in times of the device alone, unloaded; None: there is none."""
SLOW = 8.0
"""So many times as slow as measured are the devices, as boards are: else hardly any of these pairs has something to offload."""
CALM, BUSY = Load((0.0,), (SLOW,), (1.0,)), Load((0.0, 20.0, 40.0, 60.0), (SLOW, 1.5 * SLOW, SLOW, SLOW), (1.0, 1.0, 4.0, 1.0))
COVERED, KEPT, MOST_S = (0.93, 0.97), 0.99, 20e-6
OURS, FIXED = "with intervals", "fixed margin"


@dataclass
class Kept:
    """Of one deadline. could: so many inferences the device alone would have answered in time. kept: so many of these were.

    shares: what each took, in times of what the device alone would have taken.
    """

    could: int = 0
    kept: int = 0
    kept_of_all: int = 0
    count: int = 0
    shares: list[float] = field(default_factory=list)

    def add(self, answers: Iterable[Answer], due_s: float) -> None:
        for each in answers:
            could, kept = each.alone_s <= due_s, each.took_s <= due_s
            self.could += could
            self.kept += could and kept
            self.kept_of_all += kept
            self.count += 1
            self.shares.append(each.took_s / each.alone_s)

    @property
    def share(self) -> float:
        """Of those that the device alone would have answered in time."""
        return self.kept / self.could if self.could else 1.0


@dataclass
class Covered:
    """Of one kind of inferences: how many there were, were within the time that was said, and had none said."""

    count: int = 0
    within: int = 0
    unbounded: int = 0
    widths: list[float] = field(default_factory=list)

    def add(self, answers: Iterable[Answer]) -> None:
        for each in answers:
            self.count += 1
            self.unbounded += each.upper_s is None
            self.within += each.upper_s is None or each.took_s <= each.upper_s
            if each.upper_s is not None:
                self.widths.append(each.upper_s / each.predicted_s)

    @property
    def share(self) -> float:
        return self.within / max(self.count, 1)


def main() -> None:
    """Run it, publish, and fail if something was not kept."""
    options = shared_options(__doc__, "one network, one pair, two traces, sixty inferences")
    options.add_argument("--networks", help="names, with commas between; default: all that were measured")
    options.add_argument("--measured", type=Path, default=DATA, help="op times; default: benchmarks/data/measured_ops.json")
    options.add_argument("--work", type=Path, default=WORK, help="where tables are kept")
    options.add_argument("--inferences", type=int, default=INFERENCES, help="of each session")
    given = options.parse_args()
    measured = read_measured(given.measured)
    names = given.networks.split(",") if given.networks else list(measured.networks)
    traces = [repeated(trace) for trace in recorded()]
    if given.quick:
        names, traces, given.inferences = names[:1], traces[:2], 60
    keys = [(name, *pair) for name in names for pair in pairs_of(measured, name)]
    tables = {key: tables_of(measured, *key, folder=given.work) for key in keys[: 1 if given.quick else None]}
    scenes = [(setting, scene.world) for setting, scene in scenes_of(tables, traces)]
    report = examined(scenes, given)
    report.publish(given.results)
    if not report.kept and not given.quick:
        sys.exit(1)


def repeated(trace: Trace, times: int = TIMES) -> Trace:
    """The same bandwidths again and again."""
    starts = [place * trace.duration_s for place in range(times)]
    seconds = tuple(start + second for start in starts for second in trace.seconds)
    return replace(trace, seconds=seconds, bps=trace.bps * times, duration_s=times * trace.duration_s)


def examined(scenes: Sequence[tuple[Setting, World]], given: argparse.Namespace) -> Report:
    """Every deadline in every scene, with intervals and without."""
    covered: dict[str, dict[str, Covered]] = {"trace": {}, "kind": {}, "deadline": {}}
    kept = {(due, name): Kept() for due in DUE if due is not None for name in (OURS, FIXED)}
    for place, (setting, each) in enumerate(scenes):
        world = replace(each, load=BUSY if place % 2 else CALM)
        local = next(label for label, cut in world.cuts.items() if not cut.offloads)
        alone_s = world.true_parts(local, 0.0).device_s
        for due in DUE:
            due_s = None if due is None else due * alone_s
            answers = DeadlineSession(world, place, Intervals()).run(given.inferences, due_s)
            covered["trace"].setdefault(setting.trace, Covered()).add(answers)
            covered["deadline"].setdefault(_named(due), Covered()).add(answers)
            for kind in ("remote", "local", "fallback"):
                covered["kind"].setdefault(kind, Covered()).add(each for each in answers if each.kind == kind)
            if due is not None and due_s is not None:
                kept[due, OURS].add(answers, due_s)
                kept[due, FIXED].add(DeadlineSession(world, place, FixedMargin()).run(given.inferences, due_s), due_s)
        if place % 50 == 49:
            print(f"{place + 1} of {len(scenes)} scenes", file=sys.stderr, flush=True)
    return report_of(covered, kept, len(scenes), seconds_of_intervals())


def report_of(
    covered: dict[str, dict[str, Covered]], kept: dict[tuple[float, str], Kept], scenes: int, cost_s: float
) -> Report:
    """The tables, and what was promised."""
    shares = [each.share for each in covered["trace"].values()]
    ours = [each for (_, name), each in kept.items() if name == OURS]
    could, were = sum(each.could for each in ours), sum(each.kept for each in ours)
    within = f"{min(shares):.1%} to {max(shares):.1%}"
    targets = [
        Target(
            f"of each trace {COVERED[0]:.0%} to {COVERED[1]:.0%} are within the time that is said for 95 %",
            within,
            COVERED[0] <= min(shares) and max(shares) <= COVERED[1],
        ),
        Target(
            f"{KEPT:.0%} of the deadlines are kept that the device alone could keep",
            f"{were / could:.2%} of {could:,}",
            were >= KEPT * could,
        ),
        Target(f"{show_time(MOST_S)} an inference", show_time(cost_s), cost_s <= MOST_S),
    ]
    sections = [coverage_section(title, rows) for title, rows in covered.items()]
    figures = {
        "coverage": {title: {name: _figures(each) for name, each in rows.items()} for title, rows in covered.items()},
        "deadlines": [
            {"due": due, "session": name, **{key: value for key, value in vars(each).items() if key != "shares"}}
            for (due, name), each in kept.items()
        ],
        "seconds_an_inference": cost_s,
    }
    headline = f"Deadlines: {were / could:.2%} kept where the device alone could; {within} within what is said for 95 %"
    return Report("deadlines", headline, [deadline_section(kept), *sections], targets, figures, (f"{scenes} scenes.",))


def coverage_section(title: str, rows: dict[str, Covered]) -> Section:
    """One line for each trace, kind or deadline."""
    return Section(
        f"Within the time that is said for 95 %, by {title}",
        (title, "inferences", "within", "nothing said", "said / predicted, median"),
        [
            (name, f"{each.count:,}", f"{each.share:.1%}", f"{each.unbounded / max(each.count, 1):.1%}", _middle(each.widths))
            for name, each in rows.items()
        ],
        ("Where nothing is said the inference counts as within.",) if title == "trace" else (),
    )


def deadline_section(kept: dict[tuple[float, str], Kept]) -> Section:
    """One line for each deadline."""
    rows = []
    for due in (each for each in DUE if each is not None):
        ours, fixed = kept[due, OURS], kept[due, FIXED]
        cells = [_cells(each) for each in (ours, fixed)]
        could = f"{ours.could / ours.count:.1%}"
        rows.append((_named(due), could, *(cell for pair in zip(*cells, strict=True) for cell in pair)))
    columns = ("deadline", "device could keep", "kept of these", "fixed margin", "kept of all", "fixed", "latency", "fixed ")
    note = "Deadlines and mean latencies are in times of what the device alone takes. Fixed: the session without intervals."
    return Section("Deadlines", columns, rows, (note,))


def seconds_of_intervals(inferences: int = 5000) -> float:
    """What a session's intervals take of an inference: the promise, and the learning."""
    intervals, parts = Intervals(), Parts(0.01, 0.02, 0.01, 0.001, 0.01)
    for step in range(300):
        intervals.probed(intervals.expected(parts, 0.1, offloads=True), 0.05 + 1e-5 * (step * 37 % 300))
    began_s = perf_counter()
    for step in range(inferences):
        promise = intervals.promise(intervals.expected(parts, 0.1, offloads=True))
        intervals.saw(promise, 0.05 + 1e-5 * (step * 37 % 300))
    return (perf_counter() - began_s) / inferences


def _named(due: float | None) -> str:
    return "none" if due is None else f"{due:g} x"


def _cells(each: Kept) -> tuple[str, str, str]:
    return f"{each.share:.2%}", f"{each.kept_of_all / each.count:.1%}", f"{fmean(each.shares):.3f}"


def _middle(values: list[float]) -> str:
    return f"{median(values):.2f}" if values else "-"


def _figures(each: Covered) -> dict[str, float]:
    middle = median(each.widths) if each.widths else 0.0
    return {"inferences": each.count, "within": each.within, "nothing_said": each.unbounded, "median_width": middle}


if __name__ == "__main__":
    main()
