"""profile: measure a model's ops on this machine and save the times."""

from __future__ import annotations

import sys

from cic.commands.arguments import add_model, model_files, model_name, number, read_model_and_call
from cic.commands.output import check_not_read, check_output_file
from cic.commands.progress_bar import shown_progress
from cic.decision.units import show_seconds
from cic.engine.engine_name import engine_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "measure a model's ops on this machine and save the times"


def add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the profile to write, such as rpi4.profile.json")
    parser.add_argument("--threads", default=1, type=int, metavar="N", help="threads to measure with; default: 1")
    parser.add_argument(
        "--input-form",
        metavar="FORM",
        help="form in which the device has pictures, as for compile: measure their normalisation, too",
    )
    parser.add_argument(
        "--engine",
        metavar="NAME",
        help="that will run the halves here: torchscript, pt2, onnxruntime or openvino, with a colon and a place if that is a "
        "card; default: torchscript, for an ONNX file onnxruntime",
    )
    parser.add_argument("--seconds-per-op", default="0.1", metavar="S", help="time budget of one op; default: 0.1")


def run(arguments: Namespace) -> int:
    from cic.compilation.pipeline import profile
    from cic.trace.any_model import trace_model

    check_output_file(arguments.output)
    check_not_read(arguments.output, *model_files(arguments))
    if arguments.engine is not None:
        engine_name(arguments.engine)
    seconds_per_op = number(arguments.seconds_per_op, "--seconds-per-op")
    print(f"tracing {arguments.model}", file=sys.stderr)
    model, (args, kwargs) = read_model_and_call(arguments)
    traced = trace_model(model, args, kwargs, name=model_name(arguments.model))
    options = {"threads": arguments.threads, "input": arguments.input_form, "engine": arguments.engine}
    with shown_progress() as tell:
        measured = profile(traced, seconds_per_op=seconds_per_op, progress=tell, **options)
    measured.save(arguments.output)
    how = measured.measured
    print(f"{measured.model} on {measured.name}: {show_seconds(measured.whole_s)} as a whole, {len(measured.ops)} distinct ops")
    print(
        f"{how.clock} time in {measured.engine}, {how.statistic} of {how.repetitions} runs of the whole "
        f"(spread {how.spread:.0%}); op times add up to measured halves within {measured.halves_error:.1%} (median)"
    )
    if how.warning:
        print(f"warning: {how.warning}", file=sys.stderr)
    print(f"wrote {arguments.output}")
    return 0
