"""run, for a tiered model: rehearse a cut in a process for each machine, over paced links."""

from __future__ import annotations

import json
import sys

from cic.commands.arguments import read_inputs
from cic.commands.table import print_table
from cic.decision.tiered_loading import load_tiers
from cic.decision.units import seconds, show_bandwidth, show_bytes, show_seconds
from cic.errors import InputError, LinkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from cic.decision.tiered_cut import TieredConditions, TieredCut
    from cic.decision.tiered_model import TieredModel
    from cic.runtime.rehearsal import Timing

TOLERANCE = 1e-4


def run_tiers(arguments: Namespace) -> int:
    """Rehearse; the bandwidths and round trips of the links have commas between them."""
    model = load_tiers(arguments.file)
    conditions = model.conditions(
        arguments.bandwidth.split(","),
        rtt=None if arguments.rtt is None else arguments.rtt.split(","),
        downlink=None if arguments.downlink is None else arguments.downlink.split(","),
    )
    best = min(model.cuts, key=lambda cut: cut.latency_s(conditions))
    cut = best if arguments.cut is None else model.cut(arguments.cut)
    if arguments.repeat < 1 or arguments.threads < 1:
        raise InputError(f"--repeat {arguments.repeat} and --threads {arguments.threads} must be at least 1")
    # Only now, as it imports torch, which takes seconds.
    from cic.inputs.example_inputs import make_inputs
    from cic.runtime.tiered_rehearsal import tiered_rehearsal

    args, kwargs = read_inputs(arguments.inputs) if arguments.inputs else make_inputs(model.inputs)
    print(f"starting {cut.links + 1} processes for {cut.id}", file=sys.stderr)
    with tiered_rehearsal(
        arguments.directory,
        cut,
        conditions,
        threads=arguments.threads,
        patience_s=seconds(arguments.timeout, "--timeout"),
        format_name=arguments.format,
    ) as session:
        inputs = session.flatten(args, kwargs)
        session.warm_up(inputs)
        runs = [session.infer(inputs) for _ in range(arguments.repeat)]
        error = session.error_against_one_process(inputs, runs[-1][0]) if arguments.check else None
    _report(arguments, model, cut, conditions, [timing for _, timing in runs], error)
    if error is not None and not error <= TOLERANCE:
        raise LinkError(
            f"{cut.id}: the answer over the links differs from tail(head(x)) by {error:.2e}, allowed is {TOLERANCE:g}"
        )
    return 0


def _report(
    arguments: Namespace,
    model: TieredModel,
    cut: TieredCut,
    conditions: TieredConditions,
    timings: Sequence[Timing],
    error: float | None,
) -> None:
    from statistics import median

    terms = cut.terms(conditions)
    predicted = {"first machine": terms[0], "first link": terms[1], "all that follows": sum(terms[2:]), "latency": sum(terms)}
    links = [timing.uplink_s + timing.downlink_s + timing.rtt_s for timing in timings]
    measured = {
        "first machine": median(timing.device_s for timing in timings),
        "first link": median(links),
        "all that follows": median(timing.server_s for timing in timings),
        "latency": median(timing.latency_s for timing in timings),
    }
    if arguments.json:
        document = {
            "cut": cut.id,
            "machines": model.machines,
            "ops": [len(cut.ops(tier)) for tier in range(len(model.machines))],
            "conditions": conditions.fields(),
            "upload_bytes": cut.upload_bytes,
            "predicted": predicted,
            "measured": measured,
            "latencies_s": [timing.latency_s for timing in timings],
            "relative_error": error,
        }
        print(json.dumps(document, indent=1))
        return
    over = " and ".join(show_bandwidth(bps) for bps in conditions.uplink_bps)
    rows = [[name, show_seconds(predicted[name]), show_seconds(measured[name])] for name in predicted]
    title = f"{cut.id} at {over}, sends {show_bytes(cut.upload_bytes[0])} first; median of {len(timings)}"
    print_table(("", "predicted", "measured"), rows, title=title, left=("",))
    print(f"{cut.share(model.machines)}; predicted for these, measured on this machine")
    if error is not None:
        print(f"the answer equals tail(head(x)) in one process; relative error {error:.1e}")
