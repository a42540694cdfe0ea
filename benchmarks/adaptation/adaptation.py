"""How soon a session without any profile finds the best cut, and what that costs beside what people would use instead.

Twelve networks, four pairs of machines whose op times were measured and of which the session is told nothing, twelve bandwidth
traces, in virtual time with 10 % of noise on each part of each inference (`benchmarks.adaptation.world`). Rivals run in the
best of several configurations each, chosen by their regret in every eighth of these scenes. Then the same after jumps: the
server becomes eight times slower and quick again, and the bandwidth falls to an eighth and comes back.

    python -m benchmarks.adaptation.adaptation --networks resnet18,vgg16
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean, median, quantiles
from time import perf_counter
from typing import Any

from benchmarks.adaptation import contenders
from benchmarks.adaptation.adaptation_picture import draw
from benchmarks.adaptation.contenders import Scene
from benchmarks.adaptation.following import Followed
from benchmarks.adaptation.measured_ops import DATA, MeasuredOps, read_measured
from benchmarks.adaptation.world import CALM, WORK, Load, Tables, World, tables_of
from benchmarks.harness.report import Report, Section, Target, shared_options, show_time
from benchmarks.testbed.traces import Trace, all_traces
from cic.session.learned_machines import learned_machines

INFERENCES = 100
LEVELS = (0.5, 1.0, 2.0)
"""Medians of the uplink, times the one at which device-only and server-only take equally long: where deciding is hard."""
_LEAST_BPS, _MOST_BPS = 1e6, 1e9
PAIRS = 4
# A pair of which the device is not this much slower has nothing to offload.
_LEAST_RATIO = 1.5
_EVERY = 8
_JUMPS_S, _END_S, _TIMES = (10.0, 20.0), 30.0, 8.0


@dataclass(frozen=True)
class Setting:
    """Where a scene is: names for people. level: the median of the uplink, bit/s."""

    network: str
    device: str
    server: str
    trace: str
    level: float


def main() -> int:
    """Run it, publish, and say whether everything was kept."""
    options = shared_options(__doc__, "one network, one pair, three traces, few configurations")
    options.add_argument("--networks", help="names, with commas between; default: all that were measured")
    options.add_argument("--measured", type=Path, default=DATA, help="op times; default: benchmarks/data/measured_ops.json")
    options.add_argument("--work", type=Path, default=WORK, help="where tables are kept")
    given = options.parse_args()
    measured = read_measured(given.measured)
    names = given.networks.split(",") if given.networks else list(measured.networks)
    names, most = (names[:1], 1) if given.quick else (names, PAIRS)
    pairs = [(name, *pair) for name in names for pair in pairs_of(measured, name)[:most]]
    tables = {(name, *pair): tables_of(measured, name, *pair, folder=given.work) for name, *pair in pairs}
    scenes = list(scenes_of(tables, all_traces()[:: 4 if given.quick else 1]))
    levels = LEVELS[:1] if given.quick else LEVELS
    jumps = {kind: list(jumps_of(tables, kind, levels)) for kind in ("server", "bandwidth")}
    report = examined(scenes, jumps, given)
    report.publish(given.results)
    return 0 if report.kept or given.quick else 1


def pairs_of(measured: MeasuredOps, network: str) -> list[tuple[str, str]]:
    """Devices and servers: of all pairs in which the server is faster those whose ratios are spread most evenly."""
    whole_s = {machine: sum(seconds) for machine, seconds in measured.networks[network].machines.items()}
    ratios = sorted(
        (whole_s[device] / whole_s[server], device, server)
        for device, server in product(whole_s, whole_s)
        if whole_s[device] >= _LEAST_RATIO * whole_s[server]
    )
    places = [round(step * (len(ratios) - 1) / max(1, PAIRS - 1)) for step in range(PAIRS)] if ratios else []
    return [ratios[place][1:] for place in dict.fromkeys(places)]


def scenes_of(tables: Mapping[tuple[str, str, str], Tables], traces: Sequence[Trace]) -> Iterator[tuple[Setting, Scene]]:
    """Every network on every pair over every trace, whose medians take turns at three levels."""
    for place, (key, trace) in enumerate(product(tables, traces)):
        level = LEVELS[(place + place // len(traces)) % len(LEVELS)] * tie_bps(tables[key])
        world = World(tables[key], trace.with_median(level))
        yield Setting(*key, trace.name, level), Scene(world, _other(tables, key).works, INFERENCES, seed=place)


def jumps_of(
    tables: Mapping[tuple[str, str, str], Tables], kind: str, levels: Sequence[float]
) -> Iterator[tuple[Setting, Scene]]:
    """Every network on every pair with two jumps, there and back."""
    for place, (key, times) in enumerate(product(tables, levels)):
        level = times * tie_bps(tables[key])
        bps, load = (level, level, level), CALM
        if kind == "server":
            load = Load((0.0, *_JUMPS_S), (1.0, 1.0, 1.0), (1.0, _TIMES, 1.0))
        else:
            bps = (level, level / _TIMES, level)
        trace = Trace(f"{kind} jumps", "made: jumps there and back", (0.0, *_JUMPS_S), bps, _END_S)
        scene = Scene(World(tables[key], trace, load), _other(tables, key).works, None, _END_S, place)
        yield Setting(*key, trace.name, level), scene


def tie_bps(tables: Tables) -> float:
    """The uplink at which device-only and server-only take equally long; the fastest there is where they never do."""
    device = next(work for work in tables.works.values() if not work.offloads)
    server = next(work for work in tables.works.values() if work.device_s == 0 and work.offloads)
    left_s = device.device_s - server.server_s - World(tables, all_traces()[0]).rtt_s
    bits = server.up_bits + server.down_bits
    return min(max(bits / left_s, _LEAST_BPS), _MOST_BPS) if left_s > 0 else _MOST_BPS


def _other(tables: Mapping[tuple[str, str, str], Tables], key: tuple[str, str, str]) -> Tables:
    """The same network on the next pair: what was measured before, for those who need that."""
    same = [other for other in tables if other[0] == key[0]]
    return tables[same[(same.index(key) + 1) % len(same)]]


def examined(
    scenes: Sequence[tuple[Setting, Scene]],
    jumps: Mapping[str, Sequence[tuple[Setting, Scene]]],
    given: argparse.Namespace,
) -> Report:
    """Run all policies in all scenes, and ours after jumps."""
    best = contenders.chosen([scene for _, scene in scenes[::_EVERY]][: 2 if given.quick else None])
    runs = contenders.others() | {name: run for name, (_, run) in best.items()}
    found: dict[str, list[Followed]] = {name: [] for name in runs}
    started = perf_counter()
    for place, (_, scene) in enumerate(scenes):
        for name, run in runs.items():
            found[name].append(run(scene))
        if place % 50 == 49:
            print(f"{place + 1} of {len(scenes)} scenes in {perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    after = {
        name: {kind: [count for _, scene in each for count in after_jumps(runs[name](scene))] for kind, each in jumps.items()}
        for name in (contenders.OURS, contenders.GREEDY, contenders.HILL, contenders.UCB)
    }
    picture = given.results / "adaptation.png"
    draw({name: [each.regret for each in runs_of] for name, runs_of in found.items()}, picture)
    cost_s = learning_seconds(scenes[0][1])
    figures = {
        "configurations": {name: described for name, (described, _) in best.items()},
        "learning_s": cost_s,
        "rows": [row_of(setting, {name: found[name][place] for name in found}) for place, (setting, _) in enumerate(scenes)],
        "after_jumps": after,
    }
    sections = [_policies(found), _after(after), _networks(scenes, found[contenders.OURS])]
    return Report(
        "adaptation",
        "A session without a profile finds the best cut",
        sections,
        targets(found, after, cost_s),
        figures,
        notes=_notes(scenes, best),
        pictures=(picture.name,),
    )


def after_jumps(followed: Followed) -> list[int]:
    """Of each jump after which another cut is needed: how many inferences were run before one within 5 % of the best."""
    counts = []
    for from_s, to_s in zip(_JUMPS_S, (*_JUMPS_S[1:], _END_S), strict=True):
        count = followed.until_good(from_s, to_s)
        if followed.was_good(from_s) and count:
            counts.append(count)
    return counts


def learning_seconds(scene: Scene, inferences: int = 2000) -> float:
    """What learning from one inference takes on both sides, the median."""
    cuts = scene.world.cuts
    learned = learned_machines(scene.world.tables.prior).by_side
    draw_label, spent = random.Random(0), []
    for step in range(inferences):
        label = draw_label.choice(list(cuts))
        seconds = cuts[label].row[0] * draw_label.uniform(1, 2), cuts[label].row[1] * draw_label.uniform(1, 2)
        began = perf_counter()
        for side, taken_s, profiled_s in zip(learned.values(), seconds, cuts[label].row, strict=False):
            side.observe(label, profiled_s, taken_s, step * 0.1)
        spent.append(perf_counter() - began)
    return median(spent)


def row_of(setting: Setting, found: Mapping[str, Followed]) -> dict[str, Any]:
    """The figures of one scene."""
    policies = {
        name: {
            "until_good": each.until_good(),
            "regret": round(sum(each.regret), 3),
            "regret_10": round(sum(each.regret[:10]), 3),
        }
        for name, each in found.items()
    }
    return vars(setting) | policies


def targets(found: Mapping[str, list[Followed]], after: Mapping[str, Mapping[str, list[int]]], cost_s: float) -> list[Target]:
    """What was promised."""
    until = [each.until_good() for each in found[contenders.OURS]]
    regret = {name: mean(sum(each.regret) for each in runs) for name, runs in found.items()}
    ours = regret[contenders.OURS]
    kept = [
        Target("at most 3 inferences before a cut within 5 % of the best, median", f"{median(until):g}", median(until) <= 3),
        Target("at most 8, 95th percentile", f"{_late(until):g}", _late(until) <= 8),
    ]
    for name, part in ((contenders.UCB, 5), (contenders.HILL, 10)):
        measured = f"{regret[name] / ours:.1f}th" if ours > 0 else "none at all"
        kept.append(Target(f"at most 1/{part} of the regret of {name}", measured, part * ours <= regret[name]))
    for kind, counts in after[contenders.OURS].items():
        counted = counts or [0]
        shown = f"{median(counted):g} (95th percentile {_late(counted):g}; {len(counts)} jumps)"
        kept.append(Target(f"after a jump of {kind} again at most 3, median", shown, median(counted) <= 3))
    kept.append(Target("learning takes at most 20 µs an inference", show_time(cost_s), cost_s <= 20e-6))
    return kept


def _policies(found: Mapping[str, list[Followed]]) -> Section:
    rows = []
    for name, runs in found.items():
        until = [each.until_good() for each in runs]
        regrets = [sum(each.regret) for each in runs]
        good = mean(mean(value <= 0.05 for value in each.regret) for each in runs)
        rows.append(
            (
                name,
                f"{median(until):g}",
                f"{_late(until):g}",
                f"{mean(sum(each.regret[:10]) for each in runs):.2f}",
                f"{mean(regrets):.2f}",
                f"{median(regrets):.2f}",
                f"{good:.0%}",
            )
        )
    columns = ("policy", "before within 5 %", "95th", "regret of 10", f"regret of {INFERENCES}", "median", "within 5 %")
    note = "Regret: what inferences took longer than with the best cut, added up, in latencies of that. Means over all scenes."
    return Section("Policies", columns, rows, (note,))


def _after(after: Mapping[str, Mapping[str, list[int]]]) -> Section:
    rows = [
        (name, kind, str(len(counts)), f"{median(counts or [0]):g}", f"{_late(counts or [0]):g}")
        for name, kinds in after.items()
        for kind, counts in kinds.items()
    ]
    note = "Jumps by a factor of eight and back, after which a cut that was within 5 % is that no more."
    return Section("After jumps", ("policy", "jump of", "jumps", "inferences, median", "95th"), rows, (note,))


def _networks(scenes: Sequence[tuple[Setting, Scene]], runs: Sequence[Followed]) -> Section:
    rows = []
    for name in dict.fromkeys(setting.network for setting, _ in scenes):
        mine = [(scene, each) for (setting, scene), each in zip(scenes, runs, strict=True) if setting.network == name]
        until = [each.until_good() for _, each in mine]
        tables = mine[0][0].world.tables
        gap = max(scene.world.best_known_s(0.0) / scene.world.best_s(0.0) - 1 for scene, _ in mine)
        regret = mean(sum(each.regret) for _, each in mine)
        used = mean(len(set(each.cuts)) for _, each in mine)
        sizes = str(len(tables.works)), str(len(tables.true))
        rows.append((name, *sizes, f"{gap:.1%}", f"{median(until):g}", f"{_late(until):g}", f"{regret:.2f}", f"{used:.1f}"))
    columns = ("network", "cuts", "of true times", "largest gap", "before within 5 %", "95th", "regret", "cuts run")
    note = "The largest gap is by how much the best cut that the session has is behind the best of all, when the traces begin."
    return Section("Networks, learning", columns, rows, (note,))


def _notes(scenes: Sequence[tuple[Setting, Scene]], best: Mapping[str, tuple[str, Any]]) -> tuple[str, ...]:
    pairs = dict.fromkeys((setting.device, setting.server) for setting, _ in scenes)
    levels = ", ".join(f"{level:g}" for level in LEVELS)
    return (
        f"{len(scenes)} scenes. Device and server: {'; '.join(f'{device} and {server}' for device, server in pairs)}. "
        f"Traces are scaled to medians of {levels} times the uplink at which device-only and server-only take equally long.",
        "Best configurations, by the regret in every eighth scene: "
        + "; ".join(f"{name}: {described}" for name, (described, _) in best.items())
        + ".",
        "µLinUCB is told how long each head really takes, as it is by its authors. Neurosurgeon has the times of the same "
        "network on another of the pairs.",
    )


def _late(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


if __name__ == "__main__" and main():
    sys.exit(1)
