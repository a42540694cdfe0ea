"""emit: write head and tail of every cut that can be optimal, verified."""

from __future__ import annotations

import sys
from contextlib import contextmanager

from cic.commands.arguments import add_model, number, read_model
from cic.commands.output import check_output_directory
from cic.commands.table import print_table
from cic.decision.splitting_model import load
from cic.decision.units import show_bytes
from cic.errors import EmitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator

    from codegen.manifest import CutRecord

STEPS_PER_CUT = 3

SUMMARY = "write head and tail of every cut that can be optimal, verified"


def add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("file", metavar="FILE", help="the splitting model compiled from MODEL")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="directory to write or add to, such as model.split"
    )
    parser.add_argument("--cut", action="append", dest="cuts", metavar="ID", help="only this cut; may be repeated")
    parser.add_argument(
        "--format", action="append", dest="formats", metavar="NAME", help="default: torchscript, for an .onnx file onnx"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="what was emitted to DIR before goes; default: cuts and formats of the same model and weights stay beside the new",
    )
    parser.add_argument(
        "--weights",
        choices=("auto", "shared", "inline"),
        default="auto",
        help="shared: each weight on disk once; inline: every half one plain file; auto (default): shared if that saves space",
    )
    parser.add_argument(
        "--tolerance", metavar="E", help="greatest relative error of an output; default by type, 1e-4 for float32"
    )


def run(arguments: Namespace) -> int:
    splitting_model = load(arguments.file)
    # A misspelt cut must not cost the time it takes to build the model.
    for cut_id in arguments.cuts or ():
        if cut_id not in splitting_model.cut_by_id:
            raise EmitError(f"{arguments.file} has no cut {cut_id!r}; it has {', '.join(splitting_model.cut_by_id)}")
    cuts = list(dict.fromkeys(arguments.cuts)) if arguments.cuts else None
    usual = "onnx" if arguments.model.endswith(".onnx") else "torchscript"
    formats = tuple(dict.fromkeys(arguments.formats or (usual,)))
    _check_formats(formats)
    check_output_directory(arguments.output)
    tolerance = None if arguments.tolerance is None else number(arguments.tolerance, "--tolerance")
    from cic.emission.emission import emit

    print(f"building {arguments.model}", file=sys.stderr)
    model, call = read_model(arguments)
    args, kwargs = call if call is not None else (None, None)
    steps = STEPS_PER_CUT * len(formats) * len(cuts or splitting_model.cut_by_id)
    with _progress_bar(steps) as advance:
        manifest = emit(
            model,
            splitting_model,
            arguments.output,
            args=args,
            kwargs=kwargs,
            cuts=cuts,
            formats=formats,
            weights=arguments.weights,
            tolerance=tolerance,
            progress=advance,
            replace=arguments.replace,
        )
    rows = [_row(cut, format_name) for cut in manifest.cuts for format_name in cut.files]
    columns = ("cut", "format", "head", "tail", "relative error", "crossing")
    print_table(columns, rows, left=("cut", "format", "crossing"))
    print(f"\nwrote {arguments.output}")
    return 0


def _check_formats(formats: tuple[str, ...]) -> None:
    from codegen.formats.emitter import formats as known_formats

    for name in formats:
        if name not in known_formats():
            raise EmitError(f"--format {name!r} is not known; known are {', '.join(known_formats())}")


def _row(cut: CutRecord, format_name: str) -> tuple[str, ...]:
    check = next(check for check in cut.verification if check.format == format_name)
    error = f"{check.max_relative_error:.1e}" if check.informative else f"{check.max_relative_error:.1e} (output is constant)"
    files = cut.files[format_name]
    crossing = ", ".join(f"{wire.name} {wire.dtype} {'x'.join(map(str, wire.shape))}" for wire in cut.crossing) or "-"
    return cut.id, format_name, show_bytes(files.head.bytes), show_bytes(files.tail.bytes), error, crossing


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[str], None]]:
    """A function to be told each finished step; draws on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("tracing", total=total)
        yield lambda step: bar.update(task, advance=1, description=step)
