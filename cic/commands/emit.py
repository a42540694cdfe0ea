"""emit: write head and tail of every cut that can be optimal, verified."""

from __future__ import annotations

import sys

from cic.commands.arguments import add_model, number, read_model
from cic.commands.output import check_output_directory
from cic.commands.progress_bar import shown_progress
from cic.commands.table import print_table
from cic.decision.splitting_model import load
from cic.decision.units import show_bytes
from cic.errors import EmitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from codegen.manifest import CutRecord
    from codegen.split import WireTensor

SUMMARY = "write head and tail of every cut that can be optimal, verified"


def add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("file", metavar="FILE", help="the splitting model compiled from MODEL")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="directory to write or add to, such as model.split"
    )
    parser.add_argument("--cut", action="append", dest="cuts", metavar="ID", help="only this cut; may be repeated")
    parser.add_argument(
        "--format",
        action="append",
        dest="formats",
        metavar="NAME",
        help="torchscript, pt2 or onnx; default: torchscript, for an .onnx file onnx",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="what was emitted to DIR before goes; default: cuts and formats of the same model and weights stay beside the new",
    )
    parser.add_argument(
        "--storage",
        choices=("auto", "shared", "inline"),
        default="auto",
        help="of weights; shared: each on disk once; inline: every half one plain file; default: shared if that saves much",
    )
    parser.add_argument(
        "--greatest-batch",
        type=int,
        default=64,
        metavar="N",
        help="of halves with an open batch; no message is larger than for it; default: 64",
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
    formats = _formats(arguments.formats or (usual,))
    check_output_directory(arguments.output)
    tolerance = None if arguments.tolerance is None else number(arguments.tolerance, "--tolerance")
    from cic.emission.emission import emit

    print(f"building {arguments.model}", file=sys.stderr)
    model, call = read_model(arguments)
    with shown_progress() as tell:
        manifest = emit(
            model,
            splitting_model,
            arguments.output,
            verify_on=[] if call is None else [call],
            cuts=cuts,
            formats=formats,
            storage=arguments.storage,
            tolerance=tolerance,
            replace=arguments.replace,
            greatest_batch=arguments.greatest_batch,
            progress=tell,
        )
    if manifest.weights_digest != splitting_model.information.weights_digest:
        print(f"note: the halves have other weights than {arguments.file} was compiled with", file=sys.stderr)
    rows = [_row(cut, format_name) for cut in manifest.cuts for format_name in cut.files]
    columns = ("cut", "format", "head", "tail", "relative error", "crossing")
    left = ("cut", "format", "crossing")
    print_table(columns, rows, left=left, words=("crossing", "relative error"), drop=("crossing", "relative error"))
    print(f"\nwrote {arguments.output}")
    return 0


def _formats(names: Sequence[str]) -> tuple[str, ...]:
    """Each format once; EmitError for one that is not known."""
    from codegen.formats.emitter import format_called
    from codegen.formats.emitter import formats as known_formats

    for name in names:
        if format_called(name) not in known_formats():
            raise EmitError(f"--format {name!r} is not known; known are {', '.join(known_formats())}")
    return tuple(dict.fromkeys(map(format_called, names)))


def _row(cut: CutRecord, format_name: str) -> tuple[str, ...]:
    check = next(check for check in cut.verification if check.format == format_name)
    error = f"{check.max_relative_error:.1e}" if check.informative else f"{check.max_relative_error:.1e} (output is constant)"
    files = cut.files[format_name]
    crossing = ", ".join(f"{wire.name} {wire.dtype} {_sizes(wire)}" for wire in cut.crossing) or "-"
    return cut.id, format_name, show_bytes(files.head.bytes), show_bytes(files.tail.bytes), error, crossing


def _sizes(wire: WireTensor) -> str:
    """Such as 1x3x224x224, or Nx3x224x224 where N is the batch."""
    if wire.batch is None:
        return "x".join(map(str, wire.shape))
    each = wire.shape[wire.open_axes[0]] // wire.batch
    length = "N" if each == 1 else f"{each}N"
    return "x".join(length if axis in wire.open_axes else str(size) for axis, size in enumerate(wire.shape))
