"""export: write the decision as a C header or a Python file, a half as a plain file, or tails for Triton or Ray Serve."""

from __future__ import annotations

import sys

from cic.commands.output import check_not_read, check_output_directory, check_output_file
from cic.decision.splitting_model import load
from cic.errors import EmitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

TRITON, RAY_SERVE, HALVES = "triton", "ray-serve", ("head", "tail")

SUMMARY = "write the decision as a C header or a Python file, a half as a plain file, or tails for Triton or Ray Serve"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a splitting model, such as model.cic; for head, tail, triton and ray-serve an emitted directory",
    )
    parser.add_argument(
        "--format",
        required=True,
        metavar="NAME",
        help="c (a C99 header), python, head or tail (one file that its runtime opens without CIC), triton (the tails as a "
        "model repository of the Triton Inference Server), or ray-serve (the tails as an application of Ray Serve)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="PATH", help="to write, such as resnet50_cut.h or repository")
    parser.add_argument("--prefix", metavar="NAME", help="c: of names in it; default: the model's name")
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="triton and ray-serve: that the names of the server's models begin with, which a session has to be told then; "
        "default: the model's name",
    )
    parser.add_argument(
        "--cut",
        action="append",
        dest="cuts",
        metavar="ID",
        help="head and tail: of this cut; triton: only this cut, may be repeated",
    )
    parser.add_argument(
        "--tail-format", metavar="NAME", help="of tails, such as torchscript or onnx; default: the first that was emitted"
    )
    parser.add_argument("--engine", metavar="NAME", help="ray-serve: that runs the tails; default: the first that suits them")
    parser.add_argument(
        "--kserve",
        metavar="ADDRESS",
        help="triton: write a manifest for KServe beside the repository, too, which is to be found at this address, such as "
        "pvc://models/repository",
    )


def run(arguments: Namespace) -> int:
    if arguments.format == TRITON:
        check_output_directory(arguments.output, within=True)
        return _triton(arguments)
    if arguments.format == RAY_SERVE:
        return _ray_serve(arguments)
    if arguments.format in HALVES:
        return _half(arguments)
    from cic.emission.decision_source import FORMATS, export_decision

    if arguments.format not in FORMATS:
        raise EmitError(
            f"the format {arguments.format!r} is not known; known are {', '.join((*FORMATS, *HALVES, TRITON, RAY_SERVE))}"
        )
    check_output_file(arguments.output)
    check_not_read(arguments.output, arguments.file)
    _refuse(arguments, ("cuts", "name", "tail_format", "engine", "kserve"), "tails; the decision is exported with all cuts")
    export_decision(load(arguments.file), arguments.output, arguments.format, prefix=arguments.prefix)
    print(f"wrote {arguments.output}")
    return 0


def _refuse(arguments: Namespace, options: Sequence[str], other: str) -> None:
    """Raise EmitError if an option was given that means nothing for this format."""
    for option in options:
        if getattr(arguments, option) is not None:
            raise EmitError(f"--{option.removesuffix('s').replace('_', '-')} is for {other}")


def _half(arguments: Namespace) -> int:
    """The half in the format that the output's suffix says, else in the first that was emitted."""
    from pathlib import PurePath

    from cic.emission.emitted_halves import export_half
    from codegen.formats.emitter import format_called, formats

    check_output_file(arguments.output)
    _refuse(arguments, ("name", "tail_format", "engine", "kserve"), "tails on servers; a half is written as -o ends")
    _refuse(arguments, ("prefix",), "names in C")
    if arguments.cuts is None or len(arguments.cuts) != 1:
        raise EmitError(f"--format {arguments.format} writes one file; say of which cut with one --cut ID")
    called = format_called(PurePath(arguments.output).suffix)
    wanted = called if called in formats() else None
    export_half(arguments.file, arguments.cuts[0], arguments.format, arguments.output, format_name=wanted)
    print(f"wrote {arguments.output}")
    return 0


def _ray_serve(arguments: Namespace) -> int:
    from cic.emission.emitted_halves import export_ray_serve

    check_output_directory(arguments.output)
    _refuse(arguments, ("cuts", "kserve"), f"the format {TRITON!r}")
    _refuse(arguments, ("prefix",), "names in C; models on servers have a --name")
    options = {"name": arguments.name, "engine": arguments.engine, "format_name": arguments.tail_format}
    for model in export_ray_serve(arguments.file, arguments.output, **options).models:
        print(model)
    print(f"wrote {arguments.output}; there, `serve run serve.yaml` serves it")
    return 0


def _triton(arguments: Namespace) -> int:
    from cic.emission.emitted_halves import export_inference_service, export_triton

    _refuse(arguments, ("engine",), f"the format {RAY_SERVE!r}")
    _refuse(arguments, ("prefix",), "names in C; models on servers have a --name")
    print("writing tails", file=sys.stderr)
    options = {"cuts": arguments.cuts, "name": arguments.name, "format_name": arguments.tail_format}
    models = export_triton(arguments.file, arguments.output, **options)
    for model in models:
        print(model.name)
    print(f"wrote {arguments.output}")
    if arguments.kserve is not None:
        path = f"{arguments.output.rstrip('/')}.kserve.yaml"
        common = models[0].name.removesuffix(f"_{models[0].cut_id}")
        export_inference_service(path, arguments.kserve, model=common)
        print(f"wrote {path}")
    return 0
