"""The `cic` command. Light to import: `cic decide` and `cic show` work where only the standard library is installed."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence

from cic import __version__
from cic.commands import (
    calibrate,
    compile,
    decide,
    emit,
    export,
    machines,
    profile,
    report,
    run,
    sensitivity,
    serve,
    show,
    verify,
)
from cic.commands.ending import ending_tidily
from cic.errors import CicError, CicWarning
from cic.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

COMMANDS = (machines, profile, compile, verify, decide, emit, calibrate, export, show, sensitivity, run, serve, report)
BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 141
# Which of our extras brings a package that a command may miss.
_EXTRAS = {
    "torch": "compile",
    "safetensors": "compile",
    "scipy": "compile",
    "numpy": "compile",
    "numba": "compile",
    "onnx": "onnx",
    "onnx_ir": "onnx",
    "onnxruntime": "onnx",
    "matplotlib": "show",
    "openvino": "openvino",
    "zstandard": "codec",
    "aiohttp": "serve",
}
# Of commands that need no torch the extra that brings all that they need, and packages that are in each of these extras.
_WITHOUT_TORCH = {"run": "device", "calibrate": "device", "export": "device", "serve": "serve"}
_OF_DEVICES = ("numpy", "onnxruntime", "zstandard")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, or 2 after one line on stderr that says what was wrong."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, io.StringIO())
    arguments = make_parser().parse_args(argv)
    try:
        with ending_tidily(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code: int = arguments.run(arguments)
            sys.stdout.flush()
            return code
    except CicError as error:
        print(f"cic: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return BAD_INPUT
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        command = arguments.run.__module__.rpartition(".")[2]
        extra = _WITHOUT_TORCH.get(command) if package in _OF_DEVICES else None
        print(f"cic: {command} needs {package}: pip install 'cic-compiler[{extra or _EXTRAS[package]}]'", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough.
        _say_no_more()
        return BROKEN_PIPE
    except OSError as error:
        about = f"{error.filename}: " if error.filename is not None else ""
        print(f"cic: {about}{error.strerror or error}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # the disk is full that the output goes to
            _say_no_more()
        return BAD_INPUT


def _say_no_more() -> None:
    """Let stdout lead nowhere: Python would complain when it flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """One line, for people; of others' warnings their place, too."""
    text = str(message) if issubclass(category, CicWarning) else f"{filename}:{lineno}: {category.__name__}: {message}"
    print(f"cic: warning: {printable(' '.join(text.split()))}", file=sys.stderr)


def make_parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    parser = argparse.ArgumentParser(
        prog="cic",
        description="Split a neural network between a device and a server: compile once, decide at once, emit both halves.",
    )
    parser.add_argument("--version", action="version", version=f"cic {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        # Not the docstring, which `python -OO` leaves out.
        summary = command.SUMMARY
        sub = commands.add_parser(name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}.")
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
