"""`export_decision`: the decision alone as source code, for devices without Python or without CIC. Standard library only."""

from __future__ import annotations

from pathlib import Path

from cic.decision.arguments import check_model, check_path, check_text
from cic.decision.splitting_model import SplittingModel
from cic.decision.units import FACTORS, FASTEST_BPS, LONGEST_S, SLOWEST_BPS, show_bandwidth, show_seconds
from cic.errors import EmitError
from codegen.decision.c_header import c_header
from codegen.decision.decision_table import DecisionTable, Range
from codegen.decision.python_module import python_module
from codegen.errors import codegen_error_as
from codegen.files.atomic import write_whole

FORMATS = ("c", "python")

# Outside these `cic.decision.units` refuses a bandwidth, a time or a factor.
BANDWIDTHS: Range = (SLOWEST_BPS, FASTEST_BPS)
TIMES: Range = (0.0, LONGEST_S)


def export_decision(model: SplittingModel, path: str | Path, format: str, *, prefix: str | None = None) -> None:
    """Write the decision of a splitting model as a source file without dependencies, all or nothing.

    The same model always gives the same file. Its cuts are the very ones of `model.decide`; outside the box it has the best
    known cut, as `decide` has where the solver is not installed.

    Args:
        path: of the file to write, such as "resnet50_cut.h".
        format: "c" (a C99 header) or "python" (a module that imports nothing).
        prefix: of the C names; default: the model's name, made an identifier.

    Raises:
        EmitError: the format is unknown, the prefix is no identifier, or the file cannot be written.
    """
    check_model(model)
    check_path(path, "the file to write")
    check_text(format, "the format")
    check_text(prefix, "the prefix", or_none=True)
    if format not in FORMATS:
        raise EmitError(f"the format {format!r} is not known; known are {', '.join(FORMATS)}")
    if prefix is not None and format != "c":
        raise EmitError(f"the prefix {prefix!r} is for C names; names in a Python module have none")
    with codegen_error_as(EmitError, model.name):
        table = decision_table(model)
        source = c_header(table, prefix) if format == "c" else python_module(table)
    try:
        write_whole(path, source.encode("ascii"))
    except OSError as error:
        raise EmitError(f"cannot write {path}: {error.strerror or error}") from error


def decision_table(model: SplittingModel) -> DecisionTable:
    """What a look-up needs of a splitting model, in plain numbers. Raises CodegenError if they do not fit together."""
    uplink_low, uplink_high, *others = model.box.edges
    ratio, rtt, device, server = zip(others[::2], others[1::2], strict=True)
    return DecisionTable(
        name=model.name,
        cut_ids=tuple(cut.id for cut in model.cuts),
        sent=tuple(tuple(cut.codec_of.items()) for cut in model.cuts),
        rows=tuple(cut.row for cut in model.cuts),
        break_points=model.break_points,
        best_between=model.best_between,
        box=((uplink_low, uplink_high), ratio, rtt, device, server),
        limits=(BANDWIDTHS, BANDWIDTHS, TIMES, FACTORS, FACTORS),
        default_rtt_s=model.default_rtt_s,
        default_downlink_ratio=model.default_downlink_ratio,
        proved=model.proved,
        facts=_facts(model),
    )


def _facts(model: SplittingModel) -> tuple[tuple[str, str], ...]:
    """Where the table comes from, for people. No date of today, so that the same model gives the same file."""
    information, box = model.information, model.box
    uplinks, rtts = map(show_bandwidth, box.uplink_bps), map(show_seconds, box.rtt_s)
    ratios = (f"{name} {_span(getattr(box, name))}" for name in ("downlink_ratio", "device_slowdown", "server_slowdown"))
    return (
        ("model", model.name),
        ("digest of its graph", information.graph_digest),
        ("digest of its weights", information.weights_digest),
        ("device", information.device.name),
        ("server", information.server.name),
        ("compiled by", f"cic {information.cic}"),
        ("box", ", ".join((f"uplink {' to '.join(uplinks)}", f"rtt {' to '.join(rtts)}", *ratios))),
        ("proof", _proof(model)),
    )


def _proof(model: SplittingModel) -> str:
    if model.table.few is not None:
        return model.table.few.in_words(model.proof.gap or 0.0)
    if not model.proved:
        return "unfinished: the cuts are the best that were found, not proved optimal"
    count, gap = len(model.proof.rays), model.proof.gap
    return (
        f"minimum cuts at {count} prices, one at each corner of the envelope; by them no allowed cut is faster anywhere in "
        f"the box by more than {'nothing' if not gap else f'{gap:.1e}'}, relative"
    )


def _span(bounds: Range) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"
