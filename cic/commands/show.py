"""show: print a splitting model's cuts and break points, or draw them; needs nothing but Python."""

from __future__ import annotations

import json
import sys

from cic.commands.document import SIDES, solver_document
from cic.commands.pareto import show_pareto
from cic.commands.table import print_table
from cic.commands.terminal import print_text
from cic.commands.where_best import where_best
from cic.decision.cut import SERVER_ONLY, short_name
from cic.decision.few_cuts import rounded_down
from cic.decision.payoff import payoff_of, splits_of
from cic.decision.provenance import NOTHING_KNOWN
from cic.decision.splitting_model import load
from cic.decision.units import seconds, show_bandwidth, show_bytes, show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from cic.decision.cut import Cut
    from cic.decision.payoff import Payoff
    from cic.decision.provenance import CodecProvenance
    from cic.decision.splitting_model import SplittingModel

SUMMARY = "print a splitting model's cuts and break points, or draw them; needs nothing but Python"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a splitting model, such as model.cic")
    parser.add_argument("--json", action="store_true", help="print all that a solver needs to recompute the optimum, as JSON")
    parser.add_argument("--ops", action="store_true", help="list ops and tensors, too")
    parser.add_argument("--emitted", metavar="DIR", help="say which cuts this emitted directory holds, and how large heads are")
    parser.add_argument("--rtt", metavar="TIME", help="for tables and picture a round trip such as 40ms; default: as compiled")
    parser.add_argument("--pareto", metavar="BANDWIDTH", help="list the Pareto-optimal cuts at an uplink instead; see --power")
    parser.add_argument(
        "--power", metavar="POWERS", help="with --pareto: as of `cic decide`; without it, latency and upload are compared"
    )
    parser.add_argument("--picture", metavar="IMAGE", help="draw latency against bandwidth to a .png, .svg or .pdf file")


def run(arguments: Namespace) -> int:
    model = load(arguments.file)
    if arguments.rtt is not None:
        model = _at_round_trip(model, seconds(arguments.rtt, "--rtt"))
    if arguments.pareto is not None:
        return show_pareto(model, arguments.pareto, arguments.power, arguments.picture, as_json=arguments.json)
    emitted = _emitted_heads(model, arguments.emitted) if arguments.emitted else None
    if arguments.picture:
        from cic.pictures.latency import latency_picture

        latency_picture(model, arguments.picture)
    if arguments.json:
        document = solver_document(model)
        if emitted is not None:
            document["emitted"] = sorted(emitted)
            document["head_bytes"] = emitted
        print(json.dumps(document, indent=1))
        return 0
    print_cuts(model, emitted)
    print()
    print_break_points(model)
    print()
    print_payoff(model)
    print()
    _print_provenance(model)
    if model.graph().calibration is not None:
        print()
        print_calibration(model)
    if arguments.ops:
        print()
        _print_ops(model)
        print()
        _print_tensors(model)
    if arguments.picture:
        print(f"\ndrew {arguments.picture}")
    return 0


def print_cuts(model: SplittingModel, emitted: dict[str, int] | None = None) -> None:
    """One line a cut: what it costs and where it is best. emitted: bytes of the heads there are, by the cut."""
    columns = ["cut", "ops on device", "device", "server", "up", "down", "best at"]
    total = len(model.graph().ops)
    best_at = where_best(model)
    rows = [
        [
            cut.id,
            f"{len(cut.device_ops)} of {total}",
            _milliseconds(cut.device_ns),
            _milliseconds(cut.server_ns),
            show_bytes(cut.upload_bytes),
            show_bytes(cut.download_bytes),
            best_at[index],
        ]
        for index, cut in enumerate(model.cuts)
    ]
    if any(cut.codecs for cut in model.cuts):
        columns.insert(1, "codec")
        rows = [[row[0], _codecs_of(cut), *row[1:]] for row, cut in zip(rows, model.cuts, strict=True)]
    if any(cut.accuracy for cut in model.cuts):
        columns += ["top1 kept", "error"]
        rows = [[*row, *_accuracy(cut)] for row, cut in zip(rows, model.cuts, strict=True)]
    if emitted is not None:
        # Its weights above all: what a device must have room for.
        columns += ["head", "emitted"]
        rows = [[*row, *((show_bytes(emitted[row[0]]), "yes") if row[0] in emitted else ("", "no"))] for row in rows]
    print_table(
        columns,
        rows,
        title=f"{model.name}: {_kept_said(model)}{_batch_said(model)}",
        left=("cut", "codec", "best at", "emitted"),
        words=("best at",),
        drop=("error", "down", "ops on device", "top1 kept", "server", "device", "up", "head", "emitted"),
    )


def _kept_said(model: SplittingModel) -> str:
    if model.table.few is None:
        return "every cut that can be optimal"
    return f"{len(model.cut_by_id)} of the {model.table.few.of} cuts that can be optimal"


def _batch_said(model: SplittingModel) -> str:
    batch = model.table.batch
    return "" if batch is None else f", at batch {batch}; others by cic decide --batch"


def print_break_points(model: SplittingModel) -> None:
    """One line a break point under the default conditions."""
    given = f"round trip {show_seconds(model.default_rtt_s)}, downlink {model.default_downlink_ratio:g} x uplink"
    if not model.break_points:
        print_text(f"No break point: {model.cuts[model.best_between[0]].label} is best at every uplink ({given})")
        return
    rows = [
        [show_bandwidth(point), model.cuts[below].label, model.cuts[above].label]
        for point, below, above in zip(model.break_points, model.best_between, model.best_between[1:], strict=False)
    ]
    print_table(
        ("uplink", "best below", "best above"), rows, title=f"Break points ({given})", left=("best below", "best above")
    )


def print_payoff(model: SplittingModel) -> None:
    """Does a split pay under the default conditions, where, by how much, and what payload would make it pay?"""
    found, splits = payoff_of(model), splits_of(model)
    if found is None or not splits:
        why = (
            "no cut uses both sides"
            if found
            else "constraints forbid device-only and server-only, so a split needs no comparison"
        )
        print_text(f"Does a split pay? {why[0].upper()}{why[1:]}")
        return
    rows = [
        [
            cut.id,
            _codecs_of(cut),
            f"{gain.factor:.2f} x",
            show_bandwidth(gain.uplink_bps),
            show_bytes(cut.upload_bytes),
            show_bytes(int(budget)) if budget > 0 else "none",
        ]
        for cut, gain, budget in zip(splits, found.gains, found.budgets, strict=True)
    ]
    columns = ["split", "codec", "gain", "at", "up", "pays below"]
    if not any(cut.codecs for cut in splits):
        columns.remove("codec")
        rows = [[row[0], *row[2:]] for row in rows]
    title = "Gain over the better of device-only and server-only"
    print_table(columns, rows, title=title, left=("split", "codec"), drop=("pays below", "up"))
    print_text(_payoff_said(found, splits))
    print_text(_box_said(model, splits))
    if model.table.few is not None:
        print_text("These are the cuts that were kept; of those left out nothing is said here")
    whole = model.cut_by_id.get(SERVER_ONLY)
    if whole is not None and not any(whole.codecs):
        print_text(
            f"Server-only is counted as sending the input as the model takes it, {show_bytes(whole.upload_bytes)}; where the "
            "device has pixels or files, compile with cic.Precision(input=…)"
        )


def print_calibration(model: SplittingModel) -> None:
    """What was predicted of each cut that was run, what was measured, and what the table says now."""
    calibration = model.graph().calibration
    if calibration is None:
        return
    now = {(cut.id, cut.codecs): cut for cut in model.cuts}
    rows = []
    for each in calibration.cuts:
        cut = now[each.id, each.codecs]
        device = each.predicted_device_ns, each.measured_device_ns, cut.device_ns
        server = each.predicted_server_ns, each.measured_server_ns, cut.server_ns
        rows.append([cut.label, *map(_milliseconds, (*device, *server))])
    columns = ("cut", "device: predicted", "measured", "now", "server: predicted", "measured", "now")
    title = "Calibrated by real heads and tails"
    print_table(columns, rows, title=title, left=("cut",), drop=("now",))
    new = [cut.label for cut in model.cuts if (cut.id, cut.codecs) not in {(each.id, each.codecs) for each in calibration.cuts}]
    print_text(
        f"Measured {calibration.date}, {calibration.repetitions} runs of each cut: heads on {calibration.device} with "
        f"{calibration.device_engine}, tails on {calibration.server} with {calibration.server_engine}"
    )
    if new:
        print_text(f"Not run, so their times are sums of corrected ops: {', '.join(new)}; only cuts that were emitted can run")


def _payoff_said(found: Payoff, splits: Sequence[Cut]) -> str:
    ties = ", ".join(map(show_bandwidth, found.tie_bps))
    tie = f"; both extremes take equally long at {ties}" if ties else ""
    if found.best is None:
        nearest = max(range(len(splits)), key=lambda index: found.gains[index].factor)
        return f"No split beats both extremes at any uplink; {splits[nearest].label} comes nearest{tie}"
    gain = found.gains[found.best]
    windows = ", ".join(f"{show_bandwidth(low)} to {show_bandwidth(high)}" for low, high in found.windows)
    return (
        f"A split pays at uplinks of {windows}: at best {splits[found.best].label} is {gain.factor:.2f} x as fast, at "
        f"{show_bandwidth(gain.uplink_bps)}{tie}"
    )


def _box_said(model: SplittingModel, splits: Sequence[Cut]) -> str:
    """The largest gain under any conditions of the box."""
    try:
        from cic.compilation.box_gain import box_gain
    except ImportError:
        return "The largest gain under all conditions of the box takes scipy to compute: pip install 'cic-compiler[compile]'"
    largest = box_gain([cut.row for cut in model.cuts if cut not in splits], [cut.row for cut in splits], model.box)
    if largest is None:
        return "There is nothing to compare a split with"
    uplink_bps, downlink_bps, rtt_s, device, server = largest.conditions
    where = (
        f"uplink {show_bandwidth(uplink_bps)}, downlink {show_bandwidth(downlink_bps)}, round trip {show_seconds(rtt_s)}, "
        f"device x {device:g}, server x {server:g}"
    )
    if largest.factor <= 1:
        return f"No split pays anywhere in the box; {splits[largest.split].label} comes nearest, at {where}"
    best = splits[largest.split].label
    return f"Under all conditions of the box the largest gain is {largest.factor:.2f} x, of {best} at {where}"


def _codecs_of(cut: Cut) -> str:
    return ", ".join(dict.fromkeys(short_name(name, cut.shown_digits) for name in cut.codecs))


def machine_warnings(model: SplittingModel) -> list[str]:
    """What the profiles that a model was compiled from warn of, and what the figures of machines say little about, by side."""
    sides = (("device", model.information.device), ("server", model.information.server))
    measured = [f"{side} profile: {machine.warning}" for side, machine in sides if machine.warning]
    unknown = [f"{side}: {NOTHING_KNOWN}" for side in model.information.unknown_sides]
    return unknown + measured + [f"{side}: {doubt}" for side, machine in sides for doubt in machine.doubts]


def _accuracy(cut: Cut) -> tuple[str, str]:
    """What a cut kept on the calibration inputs."""
    kept = cut.accuracy or {}
    top1, error = kept.get("top1"), kept.get("error")
    return "" if top1 is None else f"{top1:.2%}", "" if error is None else f"{error:.1e}"


def _print_provenance(model: SplittingModel) -> None:
    information, proof, box = model.information, model.proof, model.box
    print_text(f"Compiled {information.date} by CIC {information.cic} with torch {information.torch}")
    for side, machine in (("Device", information.device), ("Server", information.server)):
        measured = f"; measured with {machine.engine}" if machine.engine else ""
        print_text(f"{side}: {machine.name} ({machine.kind}; {machine.source or machine.date or 'own figures'}{measured})")
    for warning in machine_warnings(model):
        print_text(f"Warning: {warning}")
    print_text(
        f"Graph {information.graph_digest[:12]}: {information.traced_nodes} nodes in {information.ops} ops, "
        f"compressed to {information.compressed_ops} (exact for op times within {information.uncertainty:.0%})"
    )
    print_text(
        f"Box: uplink {' to '.join(map(show_bandwidth, box.uplink_bps))}, "
        f"round trip {' to '.join(map(show_seconds, box.rtt_s))}, "
        f"downlink {box.downlink_ratio[0]:g} to {box.downlink_ratio[1]:g} x uplink, "
        f"device x {box.device_slowdown[0]:g} to {box.device_slowdown[1]:g}, "
        f"server x {box.server_slowdown[0]:g} to {box.server_slowdown[1]:g}"
    )
    if information.constraints:
        print_text(f"Asked for: {'; '.join(information.constraints)}")
    if information.codecs is not None:
        print_text(_codecs_described(information.codecs))
    if stored := model.stored_codecs:
        print_text(f"Stored for codecs: {len(stored)} transforms of tensors, {show_bytes(sum(map(len, stored.values())))}")
    if model.table.few is not None:
        print_text(few_described(model))
    elif proof.complete:
        print_text(
            f"Proof: at each of the {len(proof.rays)} corners of the lower envelope a minimum cut was compared with it "
            f"({proof.solves} solved, largest gap {proof.gap:g}): no other cut is faster anywhere in the box"
        )
    else:
        print_text(f"Proof: not complete; {proof.solves} minimum cuts were solved before the search was stopped")


def few_described(model: SplittingModel) -> str:
    """Of a table that keeps a few cuts: what they lose, and whether others would lose less."""
    few, proof = model.table.few, model.proof
    assert few is not None and proof.gap is not None
    kept = len(model.cut_by_id)
    text = (
        f"Proof: at each of the {len(proof.rays)} corners of the lower envelope a minimum cut was compared with it "
        f"({proof.solves} solved): {few.in_words(proof.gap)}"
    )
    if few.at_least is None:
        return text
    return f"{text}. No other {kept} lose less than {rounded_down(few.at_least)}, by the word of the solver that chose them"


def _codecs_described(asked: CodecProvenance) -> str:
    allowed = asked.precision or ("transform" if asked.accuracy_target else "fp32")
    names = allowed if isinstance(allowed, str) else ", ".join(allowed)
    if asked.input:
        names += f" (inputs are {asked.input})"
    if not asked.calibration_samples:
        return f"Codecs down to {names}; payloads measured on the example inputs, accuracy not measured"
    samples = f"{asked.calibration_samples} calibration samples"
    if asked.whole_top1 is not None:
        samples += f", of which the whole model gets {asked.whole_top1:.2%} right"
    # See `cic.precision.target_search` for what is forbidden, and why nothing else has to be.
    beyond = "" if asked.accuracy_exact else ", some combinations that might have met it were left out"
    return f"Codecs down to {names}; {_accuracy_asked(asked)}; measured on {samples} ({asked.cuts_run} cuts run{beyond})"


def _accuracy_asked(asked: CodecProvenance) -> str:
    target, needed = asked.accuracy_target, asked.samples_needed
    if target is None:
        return "no accuracy was asked for"
    if asked.enough_samples is None:
        return f"every cut kept {target} on the samples, which says nothing certain about others"
    if not asked.enough_samples:
        wanted = "no number of samples does" if needed is None else f"at least {needed} do"
        return f"too few samples to show {target} of a lossy codec ({wanted}), so no cut has one"
    return f"every cut keeps {target} beyond the samples, too, with 95 % confidence for all cuts together"


def _print_ops(model: SplittingModel) -> None:
    rows = [
        [
            op.name,
            "+".join(op.kinds),
            _milliseconds(op.device_ns),
            _milliseconds(op.server_ns),
            SIDES[op.pinned] or "",
        ]
        for op in model.graph().ops
    ]
    left, drop = ("op", "kinds", "pinned"), ("pinned", "kinds")
    print_table(("op", "kinds", "device", "server", "pinned"), rows, title="Ops", left=left, drop=drop)


def _print_tensors(model: SplittingModel) -> None:
    graph = model.graph()
    rows = [
        [
            tensor.name,
            "model input" if tensor.producer < 0 else graph.ops[tensor.producer].name,
            f"{tensor.dtype} {'x'.join(map(str, tensor.shape))}",
            show_bytes(tensor.wire_bytes),
            "" if tensor.may_cross else "stays on the device",
        ]
        for tensor in graph.tensors
    ]
    columns = ("tensor", "made by", "type", "on the wire", "may it cross?")
    left = ("tensor", "made by", "type", "may it cross?")
    print_table(columns, rows, title="Tensors", left=left, words=left[3:], drop=("made by", "type"))


def _milliseconds(time_ns: int) -> str:
    return f"{time_ns / 1e6:.3g} ms" if time_ns < 100_000_000 else f"{time_ns / 1e6:.0f} ms"


def _at_round_trip(model: SplittingModel, rtt_s: float) -> SplittingModel:
    from cic.decision.other_round_trip import with_round_trip

    changed = with_round_trip(model, rtt_s)
    if outside := model.box.outside(changed.default_conditions(model.box.uplink_bps[0])):
        print(f"cic: outside what was compiled for: {'; '.join(outside)}. Other cuts may be faster there", file=sys.stderr)
    return changed


def _emitted_heads(model: SplittingModel, directory: str) -> dict[str, int]:
    from cic.emission.bundle_check import head_bytes

    return head_bytes(model, directory)
