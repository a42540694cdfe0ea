"""decide: name the best cut for a bandwidth; needs nothing but Python."""

from __future__ import annotations

import json
import sys

from cic.commands.arguments import add_link, optional_number, read_pairs
from cic.commands.terminal import print_text
from cic.decision.answer import BatchDecision
from cic.decision.cut import short_name
from cic.decision.energy import Energy, Limited
from cic.decision.limited import LimitedDecision
from cic.decision.provenance import NOTHING_KNOWN
from cic.decision.quantile import QuantileDecision
from cic.decision.splitting_model import load
from cic.decision.throughput import ThroughputDecision
from cic.decision.units import show_bytes, show_seconds, watts
from cic.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from cic.decision.answer import Decision
    from cic.decision.splitting_model import SplittingModel

CONDITIONS = ("uplink_bps", "downlink_bps", "rtt_s", "device_slowdown", "server_slowdown")

PARTS = ("compute", "send", "receive", "wait")

SUMMARY = "name the best cut for a bandwidth; needs nothing but Python"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a splitting model, such as model.cic")
    parser.add_argument("bandwidth", metavar="BANDWIDTH", help="of the uplink, such as 18.88Mbps or 2.5MB/s")
    add_link(parser)
    parser.add_argument("--device-slowdown", metavar="F", help="factor on the device's op times, such as 1.3")
    parser.add_argument("--server-slowdown", metavar="F", help="factor on the server's op times, such as 4")
    parser.add_argument(
        "--power",
        metavar="POWERS",
        help="decide for the least energy: what the device draws, compute=4.2W,send=3W,receive=3W,wait=800mW, or a board and a "
        "radio that `cic machines` lists, such as raspberry-pi-4b/wifi",
    )
    parser.add_argument(
        "--objective",
        choices=("latency", "throughput"),
        help="throughput: the cut that gives a stream most answers a second; default: latency, or with --power energy",
    )
    parser.add_argument("--batch", type=int, metavar="N", help="answered together, by a model compiled with an open batch")
    parser.add_argument("--records", metavar="FILE", help="of a session: decide for the time that most calls keep, --quantile")
    parser.add_argument("--quantile", metavar="Q", help="with --records: the share of calls, between 0 and 1; default: 0.95")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--deadline", metavar="TIME", help="with --power: the least energy within a latency such as 80ms")
    limit.add_argument("--budget", metavar="ENERGY", help="with --power: the least latency for an energy such as 500mJ")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> int:
    model = load(arguments.file)
    decision = model.decide(
        arguments.bandwidth,
        rtt=arguments.rtt,
        downlink=arguments.downlink,
        device_slowdown=optional_number(arguments.device_slowdown, "--device-slowdown"),
        server_slowdown=optional_number(arguments.server_slowdown, "--server-slowdown"),
        objective=read_objective(arguments),
        batch=arguments.batch,
        **read_intervals(arguments, model),
    )
    for side in model.information.unknown_sides:
        print(f"cic: {side}: {NOTHING_KNOWN}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(decision_document(decision), indent=1))
        return 0
    terms = ", ".join(f"{name[:-2]} {show_seconds(value)}" for name, value in decision.terms.items() if value)
    print_text(f"{decision.cut.label}: {show_seconds(decision.latency_s)} ({terms})")
    print_text(decision.why)
    print(f"{len(decision.device_ops)} ops on the device")
    if decision.cut.offloads:
        short = {name: short_name(codec, decision.cut.shown_digits) for name, codec in decision.codecs.items()}
        sent = ", ".join(name if codec == "raw" else f"{name} as {codec}" for name, codec in short.items()) or "nothing"
        print_text(f"sends {show_bytes(decision.upload_bytes)} ({sent}), gets back {show_bytes(decision.download_bytes)}")
    if decision.outside or not decision.optimal:
        print(f"cic: {_doubt(decision, model)}", file=sys.stderr)
    return 0


def read_objective(arguments: Namespace) -> Energy | Limited | str | None:
    """What --objective, --power, --deadline and --budget ask for.

    Raises:
        InputError, UnitError: naming the one that is wrong.
    """
    if arguments.objective is not None and arguments.power is not None:
        raise InputError(f"--objective {arguments.objective} and --power are both given; --power asks for the least energy")
    if arguments.power is None:
        if arguments.deadline is not None or arguments.budget is not None:
            raise InputError("--deadline and --budget are limits of a decision by energy, which needs --power, too")
        return "throughput" if arguments.objective == "throughput" else None
    energy = read_power(arguments.power)
    if arguments.deadline is not None:
        return energy.with_deadline(arguments.deadline)
    return energy if arguments.budget is None else energy.with_budget(arguments.budget)


def read_intervals(arguments: Namespace, model: SplittingModel) -> dict[str, Any]:
    """What --records and --quantile ask for, as arguments of `SplittingModel.decide`.

    Raises:
        InputError: naming the one that is wrong.
    """
    quantile = optional_number(arguments.quantile, "--quantile")
    if arguments.records is None:
        if quantile is not None:
            raise InputError("--quantile is a share of recorded latencies, which needs --records, too")
        return {}
    from cic.session.recorded_intervals import LatencyIntervals

    intervals = LatencyIntervals.from_records(arguments.records, model)
    return {"quantile": 0.95 if quantile is None else quantile, "intervals": intervals}


def _doubt(decision: Decision, model: SplittingModel) -> str:
    """Outside which range of the box a decision lies, and how far it is to be believed."""
    if isinstance(getattr(decision, "decided", decision), LimitedDecision) and not decision.optimal:
        return "this is the best cut known that keeps the limit, not proved optimal"
    if isinstance(decision, QuantileDecision) and not decision.optimal:
        return "this is the cut known with the least time that so many calls keep, not proved optimal"
    if isinstance(getattr(decision, "decided", decision), ThroughputDecision) and not decision.optimal:
        return (
            "this is the cut known with most answers a second, not proved optimal (with cic-compiler[solve] installed the best "
            "would be computed; compile with --throughput to have it in the table)"
        )
    if not decision.outside and model.table.few is not None:
        return f"this is the best cut known, not proved optimal, since {model.table.few.in_words(model.proof.gap or 0.0)}"
    if not decision.outside:
        return "this is the best cut known, not proved optimal, since the search for cuts was left unfinished"
    where = f"outside what was compiled for: {'; '.join(decision.outside)}"
    if decision.optimal:
        return f"{where}. The best cut was computed for these conditions, so it is optimal all the same"
    if decision.source == "solver":
        return f"{where}. This is the best cut known; costs span too many digits to prove it optimal"
    return (
        f"{where}. This is the best cut known, not proved optimal (with cic-compiler[solve] installed a minimum cut would "
        "be computed)"
    )


def read_power(text: str) -> Energy:
    """The energy that a text of --power stands for.

    Raises:
        InputError, UnitError: a part is missing or wrong; names it. CostError: there is no such board or radio.
    """
    board, slash, radio = text.partition("/")
    if slash and "=" not in text:
        from cic.cost.powers import energy_of

        return energy_of(board, radio)
    pairs = read_pairs(text.split(","), "--power")
    if pairs.keys() != set(PARTS):
        raise InputError(f"--power {text!r} names {', '.join(pairs)}; write {', '.join(f'{part}=…' for part in PARTS)}")
    return Energy(*(watts(pairs[part], f"--power {part}") for part in PARTS))


def decision_document(decision: Decision) -> dict[str, Any]:
    """A decision as JSON values."""
    conditions = decision.conditions
    return {
        "cut": decision.cut_id,
        "latency_s": decision.latency_s,
        "terms": decision.terms,
        "upload_bytes": decision.upload_bytes,
        "download_bytes": decision.download_bytes,
        "device_ops": list(decision.device_ops),
        "crossing": list(decision.crossing),
        "codecs": decision.codecs,
        "accuracy": decision.cut.accuracy,
        "conditions": {name: getattr(conditions, name) for name in CONDITIONS},
        "source": decision.source,
        "optimal": decision.optimal,
        "outside": list(decision.outside),
        "why": decision.why,
        **({"energy_j": energy_j} if (energy_j := getattr(decision, "energy_j", None)) is not None else {}),
        **({"interval_s": interval_s} if (interval_s := getattr(decision, "interval_s", None)) is not None else {}),
        **({"batch": decision.batch} if isinstance(decision, BatchDecision) else {}),
        **({"gap": gap} if (gap := getattr(decision, "gap", None)) is not None else {}),
        **({"quantile": decision.quantile, "upper_s": decision.upper_s} if isinstance(decision, QuantileDecision) else {}),
    }
