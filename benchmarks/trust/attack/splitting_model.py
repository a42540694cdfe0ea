"""Attacks on `.cic` files: sound ones changed in one or more places, signed again, and then used in every way there is.

    python -m benchmarks.trust.attack.splitting_model

Whatever a file says, all that may come of it is an answer or a `CicError`, in little memory and time. A changed file that
loads and passes `cic verify` must decide rightly: as fast as the best placement of the problem that stands in it, wherever it
says so.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
from binascii import crc32
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

import cic
from benchmarks.harness.report import shared_options
from benchmarks.trust.attack.attacked_call import attacked, watched
from benchmarks.trust.attack.mutations import mutated_bytes, mutated_json
from benchmarks.trust.attack.sound_transforms import with_a_transform
from benchmarks.trust.attack.tally import Tally, publish
from cic.commands.document import solver_document
from cic.commands.show import print_break_points, print_cuts
from cic.compilation.verification import verify
from cic.decision.conditions import Conditions
from cic.decision.objective import weights
from cic.decision.off_table.problem import stored_alternatives, stored_problem
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.inputs.example_inputs import make_inputs
from mincut.network import smallest_device_side
from mincut.weighted import solve_weighted

# What rounding may hide in a table, and in what it is compared with.
ROOM = 1 + 3e-6
CONDITIONS = 10
PARTS = ("table", "graph", "store of codecs", "bytes")


def sound_files() -> list[bytes]:
    """A model without codecs, one with them, and one of which a tensor crosses under a transform, compiled here."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 4, 3, 2), nn.Flatten(), nn.Linear(4 * 49, 5)
    model, machines = nn.Sequential(*layers).eval(), {"device": "raspberry-pi-4b", "server": "i7-13700k"}
    inputs = torch.rand(1, 3, 32, 32)
    plain = cic.compile(model, (inputs,), defaults=cic.Conditions(1e6, rtt="5ms"), **machines)  # type: ignore[arg-type]
    lossy = cic.Precision("int4", [torch.rand(8, 3, 32, 32)], "rel<=0.05")
    coded = cic.compile(model, (inputs,), precision=lossy, **machines)  # type: ignore[arg-type]
    return [dumps(plain), dumps(coded), dumps(with_a_transform(coded))]


def changed(content: bytes, part: str, draw: random.Random) -> tuple[bytes, str]:
    """The file with something changed in one of its parts and all checksums right, and what was changed."""
    first, *lines = content.splitlines()
    if part == "bytes":
        index = draw.randrange(3)
        lines[index], how = mutated_bytes(lines[index], draw)
        how = f"{PARTS[index]} {how}"
    else:
        index = PARTS.index(part)
        document, how = mutated_json(json.loads(lines[index]), draw, draw.choice((1, 1, 1, 2, 5)))
        lines[index] = json.dumps(document, separators=(",", ":")).encode()
    header = json.loads(first)
    header |= {"bytes": [len(line) for line in lines], "crc32": [crc32(line) for line in lines]}
    return b"\n".join([json.dumps(header).encode(), *lines, b""]), how


def use(content: bytes, draw: random.Random) -> SplittingModel:
    """Everything that is done with a `.cic` file; returns what was loaded, if it passes `cic verify`."""
    model = loads(content, "the file")
    decisions = [model.decide(2e7), model.decide("1Mbps", rtt="40ms", server_slowdown=3.0), model.decide(draw.uniform(1, 1e12))]
    for decision in decisions:
        repr((decision, decision.why, decision.terms, decision.conditions))
        repr((decision.device_ops, decision.crossing, decision.codecs))
    for name in {name for cut in model.cuts for name in cut.codecs}:
        repr(model.codec(name))
    with contextlib.redirect_stdout(io.StringIO()):
        print_cuts(model)
        print_break_points(model)
        print(json.dumps(solver_document(model)))
    make_inputs(model.graph().inputs)
    verify(model)
    return model


def mistake(model: SplittingModel, draw: random.Random) -> str | None:
    """An answer that is said to be optimal and is slower than the best placement of the file's own problem, if there is one."""
    low, high = model.box.uplink_bps
    uplink = min(max(low * (high / low) ** draw.random(), low), high)
    if draw.random() < 0.5:
        decision = model.decide(uplink)
    else:
        given = draw.uniform(0, 0.5), uplink * draw.uniform(0.5, 12), draw.uniform(0.2, 12), draw.uniform(0.2, 60)
        decision = model.decide(uplink, *given)
    best = optimum_s(model, decision.conditions)
    if decision.optimal and decision.latency_s > best * ROOM + 1e-12:
        return f"{decision!r} takes {decision.latency_s}, the best placement {best}"
    return None


def optimum_s(model: SplittingModel, conditions: Conditions) -> float:
    """Seconds of the fastest placement of the problem in the file, by a minimum cut that knows nothing of its table."""
    problem, costs = stored_problem(model.graph()), weights(conditions)
    parts = stored_alternatives(model.graph(), problem) or [problem]
    feasible = smallest_device_side(problem)
    known = float(problem.features(feasible).cost(costs))  # type: ignore[arg-type]
    if known == 0:
        return 0.0
    return min(solve_weighted(part, costs, known).cost for part in parts) * 1e-9


def attack(files: Sequence[bytes], part: str, count: int, seed: int = 0) -> Tally:
    """Attack one part of the files so many times."""
    tally = Tally(f".cic, {part}")
    with watched():
        for index in range(count):
            draw = random.Random(f"{seed} {part} {index}")
            content, how = changed(draw.choice(files), part, draw)
            passed: list[SplittingModel] = []
            outcome = attacked(lambda: passed.append(use(content, draw)))  # noqa: B023 - called at once
            tally.add(outcome, len(content), f"{part} {index}, {how}")
            for model in passed:
                for _ in range(CONDITIONS):
                    wrong = mistake(model, draw)
                    if wrong is not None:
                        tally.faults.append(f"{part} {index}, {how}: {wrong}")
    return tally


def main() -> None:
    """Attack and publish."""
    parser = shared_options(__doc__)
    parser.add_argument("--count", type=int, default=4000, help="attacks in all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files: Any = sound_files()
    for content in files:
        use(content, random.Random(0))
    tallies = [attack(files, part, options.count // len(PARTS) + 1, options.seed) for part in PARTS]
    raise SystemExit(0 if publish("attack_splitting_model", tallies, options.results) else 1)


if __name__ == "__main__":
    main()
