"""export: write the decision as a C header or a Python file without dependencies; needs nothing but Python."""

from __future__ import annotations

from cic.artifact import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a splitting model, such as model.cic")
    parser.add_argument("--format", required=True, metavar="NAME", help="c (a C99 header) or python")
    parser.add_argument("-o", "--output", required=True, metavar="SOURCE", help="file to write, such as resnet50_cut.h")
    parser.add_argument("--prefix", metavar="NAME", help="of all names in C; default: the model's name, made an identifier")


def run(arguments: Namespace) -> int:
    from cic.export import export_decision

    export_decision(load(arguments.file), arguments.output, arguments.format, prefix=arguments.prefix)
    print(f"wrote {arguments.output}")
    return 0
