"""The `.cic` file.

Three lines of JSON: a header (format, version, length and CRC-32 of the other two), the table (all that `decide` needs) and
the graph (ops, tensors, cuts in full; parsed only when asked for). Text, no code, nothing is ever unpickled. The checksum
finds damage, not malice.
"""

from __future__ import annotations

import json
from binascii import crc32
from itertools import pairwise

from cic.conditions import Box
from cic.errors import ArtifactError, CicError
from cic.splitting_model import Cut, SplittingModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from typing import Any

FORMAT = "cic splitting model"
VERSION = 2
READABLE = (1, 2)
LARGEST_FILE_BYTES = 512 * 2**20
LARGEST_HEADER_BYTES = 4096


def save(model: SplittingModel, path: str | PathLike[str]) -> None:
    """Write atomically: a temporary file beside it, then a rename.

    Raises:
        ArtifactError: the file cannot be written.
    """
    from codegen.atomic import write_whole

    try:
        write_whole(path, dumps(model))
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror or error}") from error


def load(path: str | PathLike[str]) -> SplittingModel:
    """Read a `.cic` file.

    Raises:
        ArtifactError: missing, damaged, foreign or from a newer version; says which.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    return loads(content, str(path))


def dumps(model: SplittingModel) -> bytes:
    """A splitting model as the bytes of a `.cic` file."""
    table = {
        "name": model.name,
        "cuts": [[cut.id, *cut.features] for cut in model.cuts],
        "codecs": [cut.codecs for cut in model.cuts],
        "accuracy": [cut.accuracy for cut in model.cuts],
        "break_points": model.break_points,
        "best_between": model.best_between,
        "box": {field: getattr(model.box, field) for field in Box.FIELDS},
        "default_rtt_s": model.default_rtt_s,
        "default_downlink_ratio": model.default_downlink_ratio,
        "information": model.information,
        "proof": model.proof,
    }
    lines = [_dump(table), _dump(model.graph())]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "bytes": [len(line) for line in lines],
        "crc32": [crc32(line) for line in lines],
    }
    return b"\n".join([_dump(header), *lines, b""])


def loads(content: bytes, where: str = "splitting model") -> SplittingModel:
    """A splitting model from the bytes of a `.cic` file; `where` names it in errors.

    Raises:
        ArtifactError: as in `load`.
    """
    if len(content) > LARGEST_FILE_BYTES:
        raise ArtifactError(f"{where} is larger than {LARGEST_FILE_BYTES} bytes; this is no splitting model")
    table_line, graph_line = _checked_lines(content, where)
    table = _parse(table_line, where, "table")
    try:
        return _model(table, graph_line, where)
    except CicError as error:
        raise ArtifactError(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ArtifactError(f"{where}: the table is not as version {VERSION} writes it ({error!r}); compile again") from error


def _checked_lines(content: bytes, where: str) -> tuple[bytes, bytes]:
    end = content.find(b"\n", 0, LARGEST_HEADER_BYTES)
    header = _parse(content[:end], where, "header") if end > 0 and content[:1] == b"{" else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ArtifactError(f"{where} is not a splitting model: it does not start with a {FORMAT!r} header")
    version = header.get("version")
    if type(version) is not int or version not in READABLE:
        raise ArtifactError(
            f"{where} has format version {version!r}, this CIC reads {' and '.join(map(str, READABLE))}; use a matching CIC"
        )
    sizes, sums = _two_counts(header.get("bytes"), where), _two_counts(header.get("crc32"), where)
    expected = end + 1 + sizes[0] + 1 + sizes[1] + 1
    if len(content) != expected:
        raise ArtifactError(f"{where} is damaged: {len(content)} bytes, its header says {expected}; copy it again")
    start = end + 1
    lines = (content[start : start + sizes[0]], content[start + sizes[0] + 1 : expected - 1])
    for part, line, expected_sum in zip(("table", "graph"), lines, sums, strict=True):
        if crc32(line) != expected_sum:
            raise ArtifactError(
                f"{where} is damaged: the {part} has checksum {crc32(line)}, its header says {expected_sum}; copy it again"
            )
    return lines


def _two_counts(value: Any, where: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or any(type(count) is not int or count < 0 for count in value):
        raise ArtifactError(f"{where} is damaged: its header gives {value!r} where two counts belong; copy it again")
    return value[0], value[1]


def _model(table: Mapping[str, Any], graph_line: bytes, where: str) -> SplittingModel:
    graph = _lazy_graph(graph_line, where)
    cuts = []
    # Version 1 knew no codecs.
    count = len(table["cuts"])
    codecs, accuracy = (_list_of(table.get(field, [None] * count), count, field) for field in ("codecs", "accuracy"))
    for index, (cut_id, *features) in enumerate(table["cuts"]):
        if type(cut_id) is not str or len(features) != 5 or any(type(value) is not int or value < 0 for value in features):
            raise ValueError(f"cut {index} is {[cut_id, *features]!r}")
        cuts.append(Cut(cut_id, features, details_of(graph, index), _names(codecs[index]), _numbers(accuracy[index])))
    points, best = table["break_points"], table["best_between"]
    if len(best) != len(points) + 1 or any(not 0 <= index < len(cuts) for index in best):
        raise ValueError(f"{len(points)} break points but best_between is {best!r}")
    if any(low >= high for low, high in pairwise(points)):
        raise ValueError("break points do not ascend")
    box = table["box"]
    return SplittingModel(
        name=table["name"],
        cuts=cuts,
        break_points=[float(point) for point in points],
        best_between=best,
        box=Box(
            uplink=box["uplink_bps"],
            downlink_ratio=box["downlink_ratio"],
            rtt=box["rtt_s"],
            device_slowdown=box["device_slowdown"],
            server_slowdown=box["server_slowdown"],
        ),
        default_rtt_s=float(table["default_rtt_s"]),
        default_downlink_ratio=float(table["default_downlink_ratio"]),
        information=table["information"],
        proof=table["proof"],
        graph=graph,
    )


def _list_of(value: Any, length: int, field: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        raise ValueError(f"{field} is {value!r} for {length} cuts")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if value is not None and (not isinstance(value, list) or any(type(name) is not str for name in value)):
        raise ValueError(f"the codecs of a cut are {value!r}")
    return tuple(value or ())


def _numbers(value: Any) -> dict[str, float | None] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or any(type(number) not in (float, int, type(None)) for number in value.values()):
        raise ValueError(f"the accuracy of a cut is {value!r}")
    return value


def details_of(graph: Callable[[], Mapping[str, Any]], index: int) -> Callable[[], tuple[tuple[str, ...], tuple[str, ...]]]:
    """A function that gives the device ops and crossing tensors of cut number `index` by name."""

    def details() -> tuple[tuple[str, ...], tuple[str, ...]]:
        whole = graph()
        on_device = set(whole["cuts"][index])
        crossing = [
            tensor["name"]
            for tensor in whole["tensors"]
            if (tensor["producer"] < 0 or tensor["producer"] in on_device)
            and any(op not in on_device for op in tensor["consumers"])
        ]
        return tuple(op["name"] for op_index, op in enumerate(whole["ops"]) if op_index in on_device), tuple(crossing)

    return details


def _lazy_graph(line: bytes, where: str) -> Callable[[], Mapping[str, Any]]:
    parsed: list[Mapping[str, Any]] = []

    def graph() -> Mapping[str, Any]:
        if not parsed:
            parsed.append(_parse(line, where, "graph"))
        return parsed[0]

    return graph


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _parse(line: bytes, where: str, part: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not allowed")

    try:
        return json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where}: the {part} is not valid JSON ({error}); copy the file again or compile again") from error
