"""Every kind of constraint against all cuts there are, and limits of memory on real networks against a mixed-integer program.

python -m benchmarks.decision.constraints

Small random problems are compiled with pins, private tensors, a first layer, limits of upload, of memory and of weights, or
several of them at once. At conditions anywhere in the box the look-up has to be as fast as the fastest of all cuts that keep to
them, and where there is none, compiling has to say so. Networks of torchvision are limited to a share of the memory or weights
that device-only takes; HiGHS solves the same, formulated on its own: an op on the device requires that what is held then fits.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from benchmarks.harness.bare_tables import NO_CALL, provenance
from benchmarks.harness.hand_made import graph_of, random_conditions
from benchmarks.harness.limited_problems import KINDS, Asked, Form, allowed, draw
from benchmarks.harness.memory_program import least_latency
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.harness.torchvision_zoo import DEVICE, SERVER, load
from cic.compilation.assembly import assemble
from cic.compilation.constraints import Constraints
from cic.compilation.limits import Limits
from cic.compilation.lowering import bounds, lower
from cic.compilation.pipeline import compile
from cic.compilation.verification import verify
from cic.decision.conditions import Box, Conditions
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_limits import StoredLimits
from cic.errors import CompileError
from cic.precision.target_search import within_target
from cic.precision.wire_form import WireForm, as_it_is
from cic.trace.op_weights import op_weights, spread
from mincut.errors import InfeasibleError

NETWORKS = ("resnet18", "resnet50", "googlenet", "inception_v3", "mobilenet_v3_large", "densenet121", "squeezenet1_1")
QUICK = ("squeezenet1_1",)
# Of memory no less, since the picture and its payload take more than that.
SHARES = {"memory": (0.6, 0.75, 0.9), "weights": (0.1, 0.3, 0.6)}
UPLINKS = (1e5, 1e6, 5e6, 2e7, 1e8, 1e9)


def main() -> None:
    options = shared_options(__doc__, quick="a hundredth of the problems, and one network").parse_args()
    each = 10 if options.quick else -(-5000 // len(KINDS))
    counted = {kind: against_all_cuts(kind, each) for kind in KINDS}
    rows = [row for name in (QUICK if options.quick else NETWORKS) for row in against_highs(name)]
    wrong = sum(found["wrong"] for found in counted.values())
    apart = max(row["apart"] for row in rows)
    report = Report(
        "constraints",
        f"Constraints: of {each * len(KINDS)} random problems {wrong} differ from all cuts tried, real networks from HiGHS by "
        f"{apart:.1e}",
        [
            Section(
                "Random problems of up to six ops",
                ("constraint", "problems", "without a cut", "bound", "wrong"),
                [(kind, *(str(found[name]) for name in ("problems", "impossible", "binding", "wrong"))) for kind, found in
                 counted.items()],
                ("Bound: the constraints forbid the cut that would be the fastest, at one of the conditions that were tried.",),
            ),
            Section(
                f"Networks between {DEVICE} and {SERVER}",
                ("network", "limit", "cuts", "seconds to compile", "to verify", "HiGHS, one uplink", "largest difference"),
                [
                    (row["network"], row["limit"], str(row["cuts"]),
                     *(f"{row[name]:.2f}" for name in ("compile_s", "verify_s", "highs_s")), f"{row['apart']:.1e}")
                    for row in rows
                ],
            ),
        ],
        [
            Target("every kind of constraint equals all cuts tried", f"{wrong} problems differ", wrong == 0),
            Target("HiGHS agrees within 10^-6 on real networks", f"{apart:.1e}", apart <= 1e-6),
        ],
        {"problems": counted, "networks": rows},
    )  # fmt: skip
    report.publish(options.results)
    if not report.kept:
        sys.exit(1)


def limited(plain: PlainProblem, forms: Sequence[Sequence[Form]], asked: Asked, box: Box) -> SplittingModel:
    """Compiled as the compiler does it, without a trace.

    Raises:
        CompileError, InfeasibleError: no cut keeps to the constraints.
    """
    graph, sides = graph_of(plain), {1: "device", 2: "server"}
    sizes = {"upload_bytes": asked.upload, "memory_bytes": asked.memory, "weights_bytes": asked.weights}
    weights = () if asked.weights is None else spread(graph, asked.uses)
    has_limits = any(size is not None for size in sizes.values())
    constraints = Constraints(
        {f"op{op}": sides[pin] for op, pin in asked.pins.items()},
        [f"t{tensor}" for tensor in sorted(asked.private)],
        () if asked.until is None else (f"op{asked.until}",),
        StoredLimits(**sizes, weights=weights) if has_limits else None,
    )
    named = {
        f"t{index}": [
            as_it_is(each[0][0]),
            *(WireForm("int8", size, up * 1e-9, down * 1e-9, 0.0) for size, up, down in each[1:]),
        ]
        for index, each in enumerate(forms)
    }
    low = lower(
        graph,
        [time * 1e-9 for time in plain.device_ns],
        [time * 1e-9 for time in plain.server_ns],
        pins=constraints.pins,
        private=constraints.private_tensors(graph),
        forms=named,
        limits=constraints.limits,
    )
    chosen = within_target(
        low.problem, low.forms, bounds(box, 0.0), None, limits=low.rows, most_solves=20_000, tell=lambda _: None
    )
    slowest = box.uplink_bps[0]
    return assemble(low, chosen, box, Conditions(slowest, slowest, 0.0), NO_CALL, provenance(plain.op_count, chosen.solved_ops))


def against_all_cuts(kind: str, problems: int, seed: int = 1530) -> dict[str, int]:
    """How many problems with this kind of constraint have no cut, are bound by it, and are answered wrongly."""
    rng = random.Random(f"{seed} {kind}")
    found = {"problems": problems, "impossible": 0, "binding": 0, "wrong": 0}
    box = Box(uplink=("100kbps", "1Gbps"), downlink_ratio=(0.5, 4), rtt=("0ms", "100ms"))
    for _ in range(problems):
        plain, forms, asked = draw(rng, kind)
        cuts = set(allowed(plain, forms, asked))
        try:
            model = limited(plain, forms, asked, box)
        except (CompileError, InfeasibleError):
            found["impossible"] += 1
            found["wrong"] += bool(cuts)
            continue
        every = set(allowed(plain, forms, Asked({}, frozenset(), None, None, None, None, asked.uses)))
        places = [random_conditions(rng, box) for _ in range(5)]
        found["wrong"] += not cuts or not _is_right(model, cuts, places)
        found["binding"] += any(_least(every, at) < _least(cuts or every, at) for at in places)
    return found


def _is_right(
    model: SplittingModel, cuts: set[tuple[int, ...]], places: Sequence[tuple[float, float, float, float, float]]
) -> bool:
    """Is each look-up one of these cuts and as fast as the fastest, is the table proved, and are its answers right outside?"""
    verify(model)
    for at in places:
        uplink, downlink, rtt, device, server = at
        decision = model.decide(uplink, rtt, downlink, device, server)
        if tuple(decision.cut.features) not in cuts or decision.latency_s > _least(cuts, at) * (1 + 1e-6) + 1e-12:
            return False
        outside = (uplink / 1e4, downlink / 1e4, rtt, device, server)
        decision = model.decide(outside[0], rtt, outside[1], device, server)
        least = _least(cuts, outside)
        if decision.latency_s < least * (1 - 1e-6) - 1e-12 or (
            decision.optimal and decision.latency_s > least * (1 + 1e-6) + 1e-12
        ):
            return False
    return all(tuple(cut.features) in cuts for cut in model.cuts)


def _least(cuts: set[tuple[int, ...]], at: tuple[float, float, float, float, float]) -> float:
    """Seconds of the fastest cut."""
    uplink, downlink, rtt, device, server = at
    return min(
        device * cut[0] * 1e-9 + server * cut[1] * 1e-9 + 8 * cut[2] / uplink + 8 * cut[3] / downlink + rtt * cut[4]
        for cut in cuts
    )


def against_highs(name: str) -> list[dict[str, Any]]:
    """A network whose device holds a share of what device-only needs: compiled, verified, and compared with HiGHS."""
    zoo = load(name)
    weights = op_weights(zoo.traced)
    whole = {"memory": _peak_of_all(zoo.traced.graph), "weights": sum(weights)}
    rows = []
    for limit, share in ((limit, share) for limit, shares in SHARES.items() for share in shares):
        most = int(whole[limit] * share)
        started = perf_counter()
        try:
            model = compile(zoo.traced, device=DEVICE, server=SERVER, limits=Limits(**{limit: most}))
        except CompileError:
            # What a camera gives may be more than the device may hold.
            continue
        compiled_s = perf_counter() - started
        verify(model)
        verified_s = perf_counter() - started - compiled_s
        apart, started = 0.0, perf_counter()
        for uplink in UPLINKS:
            expected = least_latency(model.graph(), uplink, weights, **{f"most_{limit}": most})
            apart = max(apart, abs(model.decide(uplink).latency_s - expected) / expected)
        rows.append(
            {
                "network": name,
                "limit": f"{limit} {share:.0%} of {whole[limit] / 1e6:.1f} MB",
                "cuts": len(model.cuts),
                "compile_s": compiled_s,
                "verify_s": verified_s,
                "highs_s": (perf_counter() - started) / len(UPLINKS),
                "apart": apart,
            }
        )
    return rows


def _peak_of_all(graph: Any) -> int:
    """The most bytes that device-only holds at once: each tensor from its maker to its last reader, outputs to the end."""
    place = {op.name: index for index, op in enumerate(graph.ops)}
    most = 0
    for moment in range(len(graph.ops)):
        held = 0
        for tensor in graph.tensors:
            made = -1 if tensor.producer is None else place[tensor.producer]
            last = max((place[reader] for reader in tensor.consumers), default=made)
            held += tensor.bytes if made <= moment and (last >= moment or tensor.is_output) else 0
        most = max(most, held)
    return most


if __name__ == "__main__":
    main()
