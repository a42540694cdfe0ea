"""compile: work out every cut of a model that can be optimal between two machines."""

from __future__ import annotations

import sys
from time import perf_counter

from cic.commands.arguments import add_model, model_files, model_name, number, read_box, read_model_and_call, read_pairs
from cic.commands.output import check_not_read, check_output_file
from cic.commands.progress_bar import shown_progress
from cic.commands.show import few_described, machine_warnings, print_break_points, print_cuts
from cic.commands.terminal import print_text
from cic.decision.conditions import Conditions
from cic.decision.units import seconds
from cic.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from cic.compilation.limits import Limits
    from cic.decision.splitting_model import SplittingModel

SUMMARY = "work out every cut of a model that can be optimal between two machines"


def add_arguments(parser: ArgumentParser) -> None:
    machine = 'a profile file, a name that `cic machines` lists, or "unknown"'
    add_model(parser)
    parser.add_argument("--device", required=True, metavar="MACHINE", help=machine)
    parser.add_argument("--server", required=True, metavar="MACHINE", help=machine)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the splitting model to write, such as model.cic")
    parser.add_argument("--uplink", default="50kbps..10Gbps", metavar="LOW..HIGH", help="default: 50kbps..10Gbps")
    parser.add_argument("--rtt", default="0ms", metavar="TIME", help="what `decide` assumes when not told; default: 0ms")
    parser.add_argument("--downlink-ratio", default="1", metavar="R", help="downlink / uplink, assumed likewise; default: 1")
    parser.add_argument(
        "--box",
        action="append",
        default=[],
        metavar="NAME=LOW..HIGH",
        help="range within which decisions are proved optimal, of rtt, downlink_ratio, device_slowdown or server_slowdown",
    )
    _add_constraints(parser)
    parser.add_argument(
        "--uncertainty", default="0", metavar="E", help="relative error of op times that compression allows for; default: 0"
    )
    parser.add_argument(
        "--dynamic",
        action="append",
        default=[],
        metavar="INPUT=AXIS",
        help="the axis of an input along which the batch lies, such as x=0; it stays open, and one table serves every batch",
    )
    parser.add_argument(
        "--throughput",
        action="store_true",
        help="add the cuts that give a stream most answers a second, on machines as fast as profiled",
    )
    parser.add_argument(
        "--most-cuts",
        type=int,
        metavar="N",
        help="keep so many cuts, those that lose least anywhere in the box, with the proof of what they lose; default: all",
    )
    _add_precision(parser)


def _add_precision(parser: ArgumentParser) -> None:
    """What may be lost where tensors cross, and how that is found out."""
    parser.add_argument(
        "--precision",
        metavar="P",
        help="coarsest form in which tensors may cross: fp32, fp16, int8, int4, transform, or codecs, comma-separated",
    )
    parser.add_argument(
        "--calibration",
        action="append",
        metavar="FILE",
        help="real inputs for models of one input: a .npy, .npz or .pt file of inputs, or of inputs and labels; repeatable",
    )
    parser.add_argument(
        "--input-form",
        metavar="FORM",
        help="form in which the device has pictures, such as 'uint8, mean=0.5 0.5 0.5, std=0.25' or 'jpeg90, …'",
    )
    parser.add_argument("--accuracy", metavar="TARGET", help="what every cut must keep, such as 'top1>=0.99' or 'rel<=0.01'")
    parser.add_argument(
        "--train", metavar="TIME", help="how long to train transforms that cuts use, such as '5min'; torch models"
    )


def _add_constraints(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--pin",
        action="append",
        default=[],
        metavar="OP=SIDE",
        help="keep ops on the device or the server: a name, or a pattern such as 'layer1.*' or 'kind:*lstm*'",
    )
    parser.add_argument(
        "--private", action="append", default=[], metavar="TENSOR", help="tensors that must stay on the device, likewise"
    )
    parser.add_argument(
        "--private-until", action="append", default=[], metavar="OP", help="nothing leaves the device before one of these ops"
    )
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=SIZE",
        help="most bytes of upload, memory (of activations on the device) or weights (there), such as memory=64MB",
    )


def run(arguments: Namespace) -> int:
    from cic.compilation.pipeline import assumed, compile, trace_for
    from cic.cost.pricing import resolve
    from cic.cost.unknown_machine import usual_box
    from cic.precision.precision import Precision

    # Whatever can be wrong on the command line is found before the model is built, which may take long.
    check_output_file(arguments.output)
    read = arguments.device, arguments.server, *(arguments.calibration or ())
    check_not_read(arguments.output, *model_files(arguments), *read)
    device, server = resolve(arguments.device, "the device"), resolve(arguments.server, "the server")
    box = read_box(arguments.uplink, arguments.box, usual_box(device, server))
    pins, limits, dynamic = read_pairs(arguments.pin, "--pin"), _read_limits(arguments.limit), _read_dynamic(arguments.dynamic)
    uncertainty = number(arguments.uncertainty, "--uncertainty")
    defaults = Conditions(1.0, number(arguments.downlink_ratio, "--downlink-ratio"), seconds(arguments.rtt, "--rtt"))
    assumed(defaults, box)
    codecs, calibration = _codecs(arguments.precision), _read_calibration(arguments.calibration)
    precision = Precision(codecs, calibration, arguments.accuracy, arguments.input_form, arguments.train)
    _tell(f"building {arguments.model}")
    model, (args, kwargs) = read_model_and_call(arguments)
    with shown_progress() as tell:
        _tell("tracing")
        started = perf_counter()
        traced = trace_for(precision.pictures, model, args, kwargs, name=model_name(arguments.model), dynamic=dynamic)
        traced_s = perf_counter() - started
        compiled = compile(
            traced,
            device=device,
            server=server,
            box=box,
            defaults=defaults,
            precision=precision,
            pins=pins,
            private=arguments.private,
            private_until=arguments.private_until,
            limits=limits,
            uncertainty=uncertainty,
            throughput=arguments.throughput,
            most_cuts=arguments.most_cuts,
            progress=tell,
        )
    compiled.save(arguments.output)
    _show(compiled, traced_s)
    print(f"\nwrote {arguments.output}")
    return 0


def _show(compiled: SplittingModel, traced_s: float) -> None:
    """What was found, and how long it took."""
    for warning in machine_warnings(compiled):
        _tell(f"warning: {warning}")
    information = compiled.information
    _tell(
        f"{information.ops} ops compressed to {information.compressed_ops}, {compiled.proof.solves} minimum cuts, "
        f"{traced_s:.3g} s tracing, {information.solve_s} s solving"
    )
    print_cuts(compiled)
    print()
    print_break_points(compiled)
    if compiled.table.few is not None:
        print()
        print_text(few_described(compiled))


def _read_dynamic(texts: list[str]) -> dict[str, dict[int, str]] | None:
    """The open batch that --dynamic texts stand for."""
    axes = read_pairs(texts, "--dynamic")
    if wrong := [axis for axis in axes.values() if not axis.isdecimal()]:
        raise InputError(f"--dynamic names the axis {wrong[0]!r}; write INPUT=AXIS with a number, such as x=0")
    return {name: {int(axis): "batch"} for name, axis in axes.items()} or None


def _read_limits(texts: list[str]) -> Limits | None:
    """The limits that --limit texts stand for."""
    from cic.compilation.limits import Limits

    sizes = read_pairs(texts, "--limit")
    if wrong := [name for name in sizes if name not in ("upload", "memory", "weights")]:
        raise InputError(f"--limit names {wrong[0]!r}; the limits are upload, memory and weights")
    return Limits(**sizes) if sizes else None


def _codecs(text: str | None) -> str | list[str] | None:
    """One word is a precision unless it is written as a list."""
    from cic.precision.wire_form import PRECISIONS

    if text is None or text in PRECISIONS:
        return text
    return text.split(",")


def _read_calibration(files: list[str] | None) -> list[Any] | None:
    """Each file as one batch: inputs alone, or inputs and labels."""
    if files is None:
        return None
    from cic.inputs.input_text import parse_input

    batches: list[Any] = []
    for file in files:
        if not file.endswith((".npy", ".npz", ".pt")):
            raise InputError(
                f"--calibration {file!r} is no .npy, .npz or .pt file; real inputs are needed, a shape does not do"
            )
        tensors = parse_input(file)
        if len(tensors) > 2:
            raise InputError(f"--calibration {file} holds {len(tensors)} tensors; inputs, or inputs and labels, are expected")
        batches.append(tensors if len(tensors) == 2 else tensors[0])
    return batches


def _tell(what: str) -> None:
    print(what, file=sys.stderr)
