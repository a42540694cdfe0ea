"""export: write the decision as a C header or a Python file without dependencies, or emitted tails for a Triton server."""

from __future__ import annotations

import sys

from cic.commands.output import check_not_read, check_output_directory, check_output_file
from cic.decision.splitting_model import load
from cic.errors import EmitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

TRITON = "triton"

SUMMARY = "write the decision as a C header or a Python file without dependencies, or emitted tails for a Triton server"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a splitting model, such as model.cic; for triton an emitted directory",
    )
    parser.add_argument(
        "--format",
        required=True,
        metavar="NAME",
        help="c (a C99 header), python, or triton (the tails as a model repository of the Triton Inference Server)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="PATH", help="to write, such as resnet50_cut.h or repository")
    parser.add_argument("--prefix", metavar="NAME", help="of all names in C, or of Triton's models; default: the model's name")
    parser.add_argument("--cut", action="append", dest="cuts", metavar="ID", help="triton: only this cut; may be repeated")
    parser.add_argument(
        "--tail-format", metavar="NAME", help="triton: torchscript or onnx; default: the first of them that was emitted"
    )


def run(arguments: Namespace) -> int:
    if arguments.format == TRITON:
        check_output_directory(arguments.output, within=True)
        return _triton(arguments)
    from cic.emission.decision_source import FORMATS, export_decision

    if arguments.format not in FORMATS:
        raise EmitError(f"the format {arguments.format!r} is not known; known are {', '.join((*FORMATS, TRITON))}")
    check_output_file(arguments.output)
    check_not_read(arguments.output, arguments.file)
    for option, value in (("--cut", arguments.cuts), ("--tail-format", arguments.tail_format)):
        if value is not None:
            raise EmitError(f"{option} is for the format {TRITON!r}; the decision is exported with all cuts")
    export_decision(load(arguments.file), arguments.output, arguments.format, prefix=arguments.prefix)
    print(f"wrote {arguments.output}")
    return 0


def _triton(arguments: Namespace) -> int:
    from cic.emission.emitted_halves import export_triton

    print("writing tails", file=sys.stderr)
    options = {"cuts": arguments.cuts, "model": arguments.prefix, "format_name": arguments.tail_format}
    for model in export_triton(arguments.file, arguments.output, **options):
        print(model.name)
    print(f"wrote {arguments.output}")
    return 0
