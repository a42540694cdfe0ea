"""The `.cic` file.

Three lines of JSON: a header (format, version, length and CRC-32 of the other two), the table (all that `decide` needs) and
the graph (ops, tensors, cuts in full; parsed only when asked for). Text, no code, nothing is ever unpickled. The checksum
finds damage, not malice.
"""

from __future__ import annotations

from binascii import crc32

from cic.decision.conditions import Box
from cic.decision.quick_json import parse
from cic.decision.splitting_model import DEVICE_ONLY, Cut, SplittingModel
from cic.decision.units import shown
from cic.errors import ArtifactError, CicError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from typing import Any

FORMAT = "cic splitting model"
VERSION = 2
READABLE = (1, 2)
# A network of 100,000 ops takes about 40 MB.
LARGEST_FILE_BYTES = 256 * 2**20
LARGEST_HEADER_BYTES = 4096
LARGEST_ID = 100


def save(model: SplittingModel, path: str | PathLike[str]) -> None:
    """Write atomically: a temporary file beside it, then a rename.

    Raises:
        ArtifactError: the file cannot be written, or could not be loaded again.
    """
    from codegen.files.atomic import write_whole

    if not _is_path(path):
        raise ArtifactError(f"cannot write {shown(path)}: give a path, as a text or a pathlib.Path")
    content = dumps(model)
    try:
        loads(content, "it")
    except ArtifactError as error:
        raise ArtifactError(f"{model.name!a} is not saved, since it could not be loaded again: {error}") from error
    try:
        write_whole(path, content)
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror or error}") from error


def load(path: str | PathLike[str]) -> SplittingModel:
    """Read a `.cic` file.

    Raises:
        ArtifactError: missing, damaged, foreign or from a newer version; says which.
    """
    from codegen.files.regular_file import open_regular

    where = str(path) if _is_path(path) else shown(path)
    try:
        file, size = open_regular(path, LARGEST_FILE_BYTES)
        with file:
            content = file.read(min(size, LARGEST_HEADER_BYTES))
            # Nothing is read, and no memory taken, for bytes that the header does not announce.
            _check_size(_header(content, where), size, where)
            content += file.read(size - len(content))
    except OSError as error:
        raise ArtifactError(f"cannot read {where}: {error.strerror or error}") from error
    return loads(content, where)


def _is_path(path: object) -> bool:
    # A zero ends a path; a lone surrogate cannot be written.
    is_named = isinstance(path, str) or hasattr(path, "__fspath__")
    return is_named and not any(letter == "\0" or "\ud800" <= letter <= "\udbff" for letter in str(path))


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
    try:
        lines = [_dump(table), _dump(model.graph())]
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{model.name} cannot be written as JSON: {error}") from error
    header = {
        "format": FORMAT,
        "version": VERSION,
        "bytes": [len(line) for line in lines],
        "crc32": [crc32(line) for line in lines],
    }
    content = b"\n".join([_dump(header), *lines, b""])
    if len(content) > LARGEST_FILE_BYTES:
        raise ArtifactError(f"{model.name} takes {len(content)} bytes, a splitting model has at most {LARGEST_FILE_BYTES}")
    return content


def loads(content: bytes, where: str = "splitting model") -> SplittingModel:
    """A splitting model from the bytes of a `.cic` file; `where` names it in errors.

    The graph is parsed and checked when it is asked for, which deciding does not.

    Raises:
        ArtifactError: as in `load`.
    """
    if not isinstance(content, bytes):
        raise ArtifactError(f"{where} is a {type(content).__name__}; the bytes of a file are expected")
    header = _header(content, where)
    _check_size(header, len(content), where)
    table_line, graph_line = _checked_lines(header, content, where)
    table = _parse(table_line, where, "table")
    try:
        return _model(table, graph_line, where)
    except CicError as error:
        raise ArtifactError(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ArtifactError(f"{where}: the table is not as version {VERSION} writes it ({error!r}); compile again") from error


class _Header:
    """What the first line says: where the two others are in the file, and their sums."""

    __slots__ = ("end", "sizes", "sums")

    def __init__(self, end: int, sizes: tuple[int, int], sums: tuple[int, int]) -> None:
        self.end, self.sizes, self.sums = end, sizes, sums


def _header(content: bytes, where: str) -> _Header:
    end = content.find(b"\n", 0, LARGEST_HEADER_BYTES)
    header = _parse(content[:end], where, "header") if end > 0 and content[:1] == b"{" else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ArtifactError(f"{where} is not a splitting model: it does not start with a {FORMAT!r} header")
    version = header.get("version")
    if type(version) is not int or version not in READABLE:
        raise ArtifactError(
            f"{where} has format version {shown(version)}, this CIC reads {' and '.join(map(str, READABLE))}; "
            "use a matching CIC"
        )
    return _Header(end, _two_counts(header.get("bytes"), where), _two_counts(header.get("crc32"), where))


def _check_size(header: _Header, found: int, where: str) -> None:
    expected = header.end + 1 + header.sizes[0] + 1 + header.sizes[1] + 1
    if found != expected:
        raise ArtifactError(f"{where} is damaged: {found} bytes, its header says {expected}; copy it again")


def _checked_lines(header: _Header, content: bytes, where: str) -> tuple[bytes, bytes]:
    start, middle = header.end + 1, header.end + 1 + header.sizes[0]
    lines = content[start:middle], content[middle + 1 : -1]
    for part, line, expected_sum in zip(("table", "graph"), lines, header.sums, strict=True):
        if crc32(line) != expected_sum:
            raise ArtifactError(
                f"{where} is damaged: the {part} has checksum {crc32(line)}, its header says {expected_sum}; copy it again"
            )
    return lines


def _two_counts(value: Any, where: str) -> tuple[int, int]:
    if (
        not isinstance(value, list)
        or len(value) != 2
        or any(type(count) is not int or not 0 <= count < 2**40 for count in value)
    ):
        raise ArtifactError(f"{where} is damaged: its header gives {shown(value)} where two counts belong; copy it again")
    return value[0], value[1]


def _model(table: Mapping[str, Any], graph_line: bytes, where: str) -> SplittingModel:
    # Version 1 knew no codecs.
    count = len(table["cuts"])
    codecs, accuracy = (_list_of(table.get(field, [None] * count), count, field) for field in ("codecs", "accuracy"))
    information, box = table["information"], _box(table["box"])
    names = [_names(each) for each in codecs]
    graph = _lazy_graph(graph_line, where, names, information)
    cuts = []
    for index, (cut_id, *features) in enumerate(table["cuts"]):
        _check_id(cut_id)
        cuts.append(Cut(cut_id, features, details_of(graph, index), names[index], _kept(accuracy[index])))
    _check_cuts(cuts)
    _check_information(information)
    _check_proof(table["proof"])
    model = SplittingModel(
        name=_text(table["name"], "name"),
        cuts=cuts,
        break_points=[_number(point, "break_points") for point in table["break_points"]],
        best_between=table["best_between"],
        box=box,
        default_rtt_s=_number(table["default_rtt_s"], "default_rtt_s"),
        default_downlink_ratio=_number(table["default_downlink_ratio"], "default_downlink_ratio"),
        information=information,
        proof=table["proof"],
        graph=graph,
    )
    # A look-up by the bandwidth alone assumes them, and says that it is proved.
    if not all(box.contains(model.default_conditions(uplink_bps)) for uplink_bps in box.uplink_bps):
        raise ValueError(
            f"the default rtt {model.default_rtt_s} and downlink ratio {model.default_downlink_ratio} lie outside {box!r}"
        )
    return model


def _box(ranges: Any) -> Box:
    for field in Box.FIELDS:
        low, high = ranges[field]
        _number(low, field), _number(high, field)
    return Box(*(ranges[field] for field in Box.FIELDS))


def _check_id(cut_id: Any) -> None:
    """The id of a cut names a directory."""
    fit = type(cut_id) is str and 0 < len(cut_id) <= LARGEST_ID and cut_id.isascii() and cut_id[0] != "."
    if not fit or not all(letter.isalnum() or letter in "-_." for letter in cut_id):
        raise ValueError(f"the id of a cut is {shown(cut_id)}: letters, digits, '.', '_' and '-' are expected")


def _check_cuts(cuts: list[Cut]) -> None:
    if len({(cut.id, cut.codecs) for cut in cuts}) != len(cuts):
        raise ValueError("a cut is there twice")
    for cut in cuts:
        if cut.offloads != (cut.id != DEVICE_ONLY):
            raise ValueError(f"cut {cut.id} has {cut.offloads} where 1 says that it uses the server, 0 that it does not")


def _check_information(information: Any) -> None:
    for field in ("cic", "torch", "date", "graph_digest", "weights_digest"):
        _text(information[field], f"information.{field}")
    for field in ("ops", "traced_nodes", "compressed_ops"):
        _count(information[field], f"information.{field}")
    for side in ("device", "server"):
        for field in ("kind", "name"):
            _text(information[side][field], f"information.{side}.{field}")
    if not 0 <= _number(information["uncertainty"], "information.uncertainty") < 1:
        raise ValueError(f"information.uncertainty is {information['uncertainty']}")
    for rule, merged in information["merged_by_rule"].items():
        _count(merged, f"information.merged_by_rule.{rule}")
    _check_printable(information, "information")


def _check_printable(value: Any, field: str, depth: int = 0) -> None:
    """Whatever else is said of where a model comes from is for people: texts, numbers, and not many levels of them."""
    if isinstance(value, dict | list) and depth < 8:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_printable(item, f"{field}.{key}", depth + 1)
            if isinstance(value, dict):
                _text(key, field)
    elif isinstance(value, str):
        _text(value or "-", field)
    elif value is not None and type(value) is not bool:
        _number(value, field)


def _check_proof(proof: Any) -> None:
    if type(proof["complete"]) is not bool:
        raise ValueError(f"proof.complete is {shown(proof['complete'])}")
    if proof["gap"] is not None and not _number(proof["gap"], "proof.gap") >= 0:
        raise ValueError(f"proof.gap is {proof['gap']}")
    _count(proof["solves"], "proof.solves")
    for ray in proof["rays"]:
        if not isinstance(ray, list) or len(ray) != 5 or any(type(price) is not int or price < 0 for price in ray):
            raise ValueError(f"proof.rays holds {shown(ray)}")


def _text(value: Any, field: str) -> str:
    # A lone surrogate is a text that cannot be printed or written.
    if type(value) is not str or not value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{field} is {shown(value)} where a text belongs")
    return value


def _count(value: Any, field: str) -> int:
    if type(value) is not int or not 0 <= value < 2**48:
        raise ValueError(f"{field} is {shown(value)} where a count belongs")
    return value


def _number(value: Any, field: str) -> float:
    if type(value) not in (int, float) or not -1e30 <= value <= 1e30:
        raise ValueError(f"{field} is {shown(value)} where a finite number belongs")
    return float(value)


def _list_of(value: Any, length: int, field: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        raise ValueError(f"{field} is {shown(value)} for {length} cuts")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if value is not None and not isinstance(value, list):
        raise ValueError(f"the codecs of a cut are {shown(value)}")
    return tuple(_text(name, "the codec of a cut") for name in value or ())


def _kept(value: Any) -> dict[str, float | None] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or any(
        number is not None and not _number(number, kept) >= 0 for kept, number in value.items()
    ):
        raise ValueError(f"the accuracy of a cut is {shown(value)}")
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


def _lazy_graph(
    line: bytes, where: str, codecs: Sequence[Sequence[str]], information: Mapping[str, Any]
) -> Callable[[], Mapping[str, Any]]:
    parsed: list[Mapping[str, Any]] = []

    def graph() -> Mapping[str, Any]:
        if not parsed:
            from cic.decision.stored_graph import check_graph

            document = _parse(line, where, "graph")
            check_graph(document, codecs, information, where)
            parsed.append(document)
        return parsed[0]

    return graph


def _dump(value: object) -> bytes:
    import json  # not at the start: see `cic.decision.quick_json`

    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _parse(line: bytes, where: str, part: str) -> Any:
    try:
        return parse(line)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where}: the {part} is not valid JSON ({error}); copy the file again or compile again") from error
