"""Arguments that several commands share, and how their texts become values."""

from __future__ import annotations

import re
import sys
from pathlib import PurePath

from cic.decision.conditions import Box
from cic.errors import InputError, UnitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from torch import nn
    from torch.export import ExportedProgram

    Call = tuple[tuple[Any, ...], dict[str, Any]]

_BY_NAME = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.+)")
_RATIOS = ("downlink_ratio", "device_slowdown", "server_slowdown")


def add_model(parser: ArgumentParser) -> None:
    """MODEL, --weights and --input."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="package.module:callable (found from the working directory, too), torchvision:resnet50, timm:NAME, a .pt2 or an"
        " .onnx file",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="trained weights for a MODEL that is no file: safetensors, or a state dict that torch saved; default: as built, "
        "for torchvision and timm at random",
    )
    add_inputs(parser)


def add_inputs(parser: ArgumentParser, more: str = "") -> None:
    """--input, repeatable."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        dest="inputs",
        metavar="INPUT",
        help="an example input: a shape such as 1x3x224x224 or 1x128:int64, or a .npy, .npz or .pt file"
        f"{more}; once per argument, name=… for a keyword argument",
    )


def add_link(parser: ArgumentParser) -> None:
    """--rtt and --downlink."""
    parser.add_argument("--rtt", metavar="TIME", help="round trip, such as 40ms; default: as compiled")
    parser.add_argument("--downlink", metavar="BANDWIDTH", help="default: the uplink times the compiled ratio")


def read_model(arguments: Namespace) -> tuple[nn.Module | ExportedProgram | Path, Call | None]:
    """The model of a command line and its example call, None if there is neither --input nor one the model brings.

    Raises TraceError as `load_model`, and InputError if --weights do not fit the model.
    """
    model, brought = _weighted_model(arguments.model, arguments.weights)
    if arguments.inputs:
        return model, read_inputs(arguments.inputs)
    return model, None if brought is None else (brought, {})


def _weighted_model(text: str, weights: str | None) -> tuple[nn.Module | ExportedProgram | Path, tuple[Any, ...] | None]:
    from cic.inputs.model_source import has_random_weights, load_model

    if weights is None:
        if has_random_weights(text):
            print(f"note: {text} has random weights; --weights FILE gives it trained ones", file=sys.stderr)
        return load_model(text)
    if text.endswith((".pt2", ".onnx")):
        raise InputError(f"--weights {weights} is for a model that is built by name; {text} brings its own")
    from torch import nn

    from cic.inputs.weights_file import put_weights, read_weights

    # The file first, as building may take long.
    tensors = read_weights(weights)
    model, brought = load_model(text)
    assert isinstance(model, nn.Module)
    put_weights(model, tensors, weights, text)
    return model, brought


def read_model_and_call(arguments: Namespace) -> tuple[nn.Module | ExportedProgram | Path, Call]:
    """The same where the call cannot be done without; InputError if there is none."""
    from torch import nn

    model, call = read_model(arguments)
    if call is None and isinstance(model, nn.Module):
        raise InputError(f"{arguments.model} needs an example input to be traced; give its shape: --input 1x3x224x224")
    return model, call or ((), {})


def read_inputs(texts: Sequence[str]) -> Call:
    """The call that --input texts stand for. Raises TraceError as `parse_input`, InputError for a name given twice."""
    from cic.inputs.input_text import parse_input

    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        match = _BY_NAME.fullmatch(text)
        if match is None:
            args += parse_input(text)
            continue
        name, values = match["name"], parse_input(match["value"])
        if name in kwargs:
            raise InputError(f"--input names the argument {name!r} twice")
        kwargs[name] = values[0] if len(values) == 1 else values
    return tuple(args), kwargs


def model_files(arguments: Namespace) -> tuple[str, ...]:
    """What the model, its weights and its inputs may be read from."""
    return arguments.model, *arguments.inputs, *(() if arguments.weights is None else (arguments.weights,))


def model_name(text: str) -> str:
    """What to call a model given as `text`: "resnet50" for "torchvision:resnet50"."""
    return PurePath(text).stem if text.endswith((".pt2", ".onnx")) else text.rpartition(":")[2]


def number(text: str, what: str) -> float:
    """A plain number; UnitError naming `what` otherwise."""
    try:
        return float(text)
    except ValueError:
        raise UnitError(f"{what} {text!r} is not a number") from None


def optional_number(text: str | None, what: str) -> float | None:
    """The same, None staying None."""
    return None if text is None else number(text, what)


def read_box(uplink: str, ranges: Sequence[str], usual: Box) -> Box:
    """A box from --uplink LOW..HIGH and --box NAME=LOW..HIGH; slowdowns that are not named are those of `usual`.

    Raises InputError naming the range that is wrong.
    """
    chosen: dict[str, Any] = {"uplink": _bounds(uplink, "--uplink")}
    chosen |= {"device_slowdown": usual.device_slowdown, "server_slowdown": usual.server_slowdown}
    for text in ranges:
        name, separator, value = text.partition("=")
        if not separator or name not in ("rtt", *_RATIOS):
            raise InputError(f"--box {text!r}: write NAME=LOW..HIGH with one of the names rtt, {', '.join(_RATIOS)}")
        low, high = _bounds(value, f"--box {name}")
        chosen[name] = (low, high) if name == "rtt" else (number(low, name), number(high, name))
    return Box(**chosen)


def read_pairs(texts: Sequence[str], what: str) -> dict[str, str]:
    """NAME=VALUE texts as a dict; InputError naming `what` for any other text or a name given twice."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.rpartition("=")
        if not separator or not name or not value:
            raise InputError(f"{what} {text!r}: write it as NAME=VALUE")
        if name in pairs:
            raise InputError(f"{what} names {name!r} twice")
        pairs[name] = value
    return pairs


def _bounds(text: str, what: str) -> tuple[str, str]:
    low, separator, high = text.partition("..")
    if not separator or not low or not high:
        raise InputError(f"{what} {text!r} is no range; write LOW..HIGH, such as 50kbps..10Gbps")
    return low, high
