"""The table that a decision is looked up in: every cut that can be optimal, where each is best, and what that assumes."""

from __future__ import annotations

from cic.decision.conditions import Box, Conditions
from cic.decision.cut import DEVICE_ONLY, Cut, details_of, tell_apart
from cic.decision.frozen import Frozen
from cic.decision.proof import StoredProof, read_proof
from cic.decision.provenance import Provenance, read_provenance
from cic.decision.units import positive, shown
from cic.errors import ArtifactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from cic.decision.few_cuts import FewCuts
    from cic.decision.stored_graph import Names, StoredGraph
    from cic.decision.stream_proof import StreamProof
    from codegen.checked_json import Fields


LARGEST_ID = 100
LARGEST_BATCH = 2**20


class CutTable(Frozen):
    """All that `decide` needs.

    name: of the model. cuts: every cut that is optimal somewhere in `box`, from all-server to all-device.
    break_points: ascending uplink bit/s; between two of them one cut is best under the default conditions.
    best_between: indices into `cuts`, one more than break points.
    box: conditions for which decisions are proved optimal.
    default_rtt_s, default_downlink_ratio: what `decide` assumes when not told.
    batch: of the example, if the batch is open (`cic.decision.batch`); None if all shapes are fixed.
    information: where it comes from, for people. proof: prices at which minimum cuts were checked.
    stream: where it holds the cuts that are best for streams, too; None if these were not asked for.
    few: how a few cuts were chosen of those that can be optimal; None if all of them are there.

    Raises:
        ArtifactError: the cuts, break points and their order do not make a table. UnitError: a default is no such number.
    """

    __slots__ = (
        "batch",
        "best_between",
        "box",
        "break_points",
        "cuts",
        "default_downlink_ratio",
        "default_rtt_s",
        "few",
        "information",
        "name",
        "proof",
        "stream",
    )
    name: str
    cuts: tuple[Cut, ...]
    break_points: tuple[float, ...]
    best_between: tuple[int, ...]
    box: Box
    default_rtt_s: float
    default_downlink_ratio: float
    batch: int | None
    information: Provenance
    proof: StoredProof
    stream: StreamProof | None
    few: FewCuts | None

    def check(self) -> None:
        """Raise unless a look-up in this table always finds a cut."""
        _check_cuts(self.cuts)
        tell_apart(self.cuts)
        if not isinstance(self.box, Box):
            raise ArtifactError(f"the box is {shown(self.box)}; a cic.Box is expected")
        _check_break_points(self.break_points, self.best_between, self.box.uplink_bps, len(self.cuts))
        positive(self.default_rtt_s, "the default rtt", or_zero=True)
        positive(self.default_downlink_ratio, "the default downlink ratio")
        if self.batch is not None and (type(self.batch) is not int or not 0 < self.batch <= LARGEST_BATCH):
            raise ArtifactError(f"the batch is {shown(self.batch)}; a whole number from 1 to {LARGEST_BATCH} is expected")
        if not isinstance(self.information, Provenance) or not isinstance(self.proof, StoredProof):
            raise ArtifactError(
                f"information and proof are {shown((self.information, self.proof))}; Provenance and StoredProof are expected"
            )
        if self.stream is not None:
            _check_stream(self.stream, len(self.cuts))
        if self.few is not None:
            _check_few(self.few, self.proof)

    @property
    def proved(self) -> bool:
        """Is every look-up inside the box optimal, up to `NEGLIGIBLE_GAP`? Not if it may lack a cut."""
        return self.proof.holds

    @property
    def searched(self) -> tuple[Cut, ...]:
        """The cuts that a look-up by latency is among: all but those that are there for streams alone."""
        if self.stream is None:
            return self.cuts
        return tuple(cut for place, cut in enumerate(self.cuts) if place not in self.stream.extra)

    def default_conditions(self, uplink_bps: float) -> Conditions:
        """The conditions assumed when only the uplink is known."""
        return Conditions(uplink_bps, uplink_bps * self.default_downlink_ratio, self.default_rtt_s)


def _check_stream(stream: Any, cuts: int) -> None:
    from cic.decision.stream_proof import StreamProof

    if not isinstance(stream, StreamProof) or len(stream.extra) >= cuts:
        raise ArtifactError(f"stream is {shown(stream)}; a StreamProof that leaves a cut for latency is expected, or None")


def _check_few(few: Any, proof: StoredProof) -> None:
    from cic.decision.few_cuts import FewCuts

    if not isinstance(few, FewCuts) or proof.complete or proof.gap is None:
        raise ArtifactError(
            f"few is {shown(few)}, and the proof says complete={proof.complete}, gap={proof.gap}; FewCuts beside a proof that "
            "is not complete and has a gap are expected, or None"
        )


def _check_cuts(cuts: Any) -> None:
    if not isinstance(cuts, tuple) or not cuts or any(not isinstance(cut, Cut) for cut in cuts):
        raise ArtifactError(f"cuts are {shown(cuts)}; a tuple of one at least is expected")


def _check_break_points(points: Any, best: Any, uplink_bps: tuple[float, float], cuts: int) -> None:
    low, high = uplink_bps
    if not isinstance(points, tuple) or any(type(point) is not float or not low <= point <= high for point in points):
        raise ArtifactError(f"break points are {shown(points)}; bandwidths from {low:g} to {high:g} bit/s are expected")
    if points != tuple(sorted(set(points))):
        raise ArtifactError(f"break points are {shown(points)}; they must ascend")
    fits = isinstance(best, tuple) and len(best) == len(points) + 1
    if not fits or any(type(index) is not int or not 0 <= index < cuts for index in best):
        raise ArtifactError(
            f"best_between is {shown(best)}; for {len(points)} break points one more is expected, each below {cuts}"
        )


def rows_to_search(cuts: Sequence[Cut]) -> tuple[list[tuple[Any, ...]], Cut | None, float]:
    """The table in the form that is quickest to search.

    Returns:
        (rows, device_only, download_bits): rows of the cuts that offload, from most to least on the device, as
        (device s, server s, upload bits, cut) when all of them download the same `download_bits`, else as
        (device s, server s, upload bits, download bits beyond `download_bits`, cut); and the cut that does not offload.
    """
    offloading = [cut for cut in reversed(cuts) if cut.offloads]
    device_only = next((cut for cut in cuts if not cut.offloads), None)
    download_bits = min((cut.row[3] for cut in offloading), default=0.0)
    if all(cut.row[3] == download_bits for cut in offloading):
        return [(*cut.row[:3], cut) for cut in offloading], device_only, download_bits
    return [(*cut.row[:3], cut.row[3] - download_bits, cut) for cut in offloading], device_only, download_bits


def table_document(table: CutTable) -> dict[str, Any]:
    """A table as JSON values."""
    return {
        "name": table.name,
        "cuts": [[cut.id, *cut.features] for cut in table.cuts],
        "codecs": [cut.codecs for cut in table.cuts],
        "accuracy": [cut.accuracy for cut in table.cuts],
        "break_points": table.break_points,
        "best_between": table.best_between,
        "box": {field: getattr(table.box, field) for field in Box.FIELDS},
        "default_rtt_s": table.default_rtt_s,
        "default_downlink_ratio": table.default_downlink_ratio,
        **({} if table.batch is None else {"batch": table.batch}),
        "information": table.information,
        "proof": table.proof,
        **({} if table.stream is None else {"stream": table.stream}),
        **({} if table.few is None else {"few": table.few}),
    }


def read_table(document: Any, graph: Callable[[], StoredGraph], made: str) -> CutTable:
    """The table of such a document.

    Args:
        graph: gives the graph that stands beside it; called when the names of a cut are asked for.
        made: date and timings, which stand apart.

    Raises:
        ValueError, CicError: names the field that is not as it is written.
    """
    from codegen.checked_json import Fields  # `import cic` loads nothing of codegen

    fields = Fields(document)
    rows = fields.items("cuts")
    accuracy = [_kept(each, fields) for each in fields.items("accuracy", len(rows))]
    codecs = [fields.texts_of(each, "codecs") for each in fields.items("codecs", len(rows))]
    cuts = [_cut(row, details_of(graph, at), codecs[at], accuracy[at], fields) for at, row in enumerate(rows)]
    _check_ids(cuts)
    table = CutTable(
        name=fields.text("name"),
        cuts=tuple(cuts),
        break_points=fields.numbers("break_points"),
        best_between=fields.counts("best_between"),
        box=_box(fields.object("box")),
        default_rtt_s=fields.number("default_rtt_s"),
        default_downlink_ratio=fields.number("default_downlink_ratio"),
        batch=fields.count("batch") if "batch" in fields else None,
        information=read_provenance(fields.object("information"), made),
        proof=read_proof(fields.object("proof")),
        stream=_stream(fields, len(cuts)) if "stream" in fields else None,
        few=_few(fields) if "few" in fields else None,
    )
    # A look-up by the bandwidth alone assumes them, and says that it is proved.
    if not all(table.box.contains(table.default_conditions(uplink_bps)) for uplink_bps in table.box.uplink_bps):
        raise ValueError(
            f"the default rtt {table.default_rtt_s} and downlink ratio {table.default_downlink_ratio} lie outside {table.box!r}"
        )
    return table


def _box(fields: Fields) -> Box:
    uplink, ratio, rtt, device, server = (fields.numbers(name, 2) for name in Box.FIELDS)
    return Box(uplink, ratio, rtt, device, server)


def _stream(fields: Fields, cuts: int) -> StreamProof:
    from cic.decision.stream_proof import read_stream_proof  # most files have none

    return read_stream_proof(fields.object("stream"), cuts)


def _few(fields: Fields) -> FewCuts:
    from cic.decision.few_cuts import read_few_cuts  # most files have none

    return read_few_cuts(fields.object("few"))


def _cut(row: Any, details: Callable[[], Names], codecs: Sequence[str], accuracy: Any, fields: Fields) -> Cut:
    if not isinstance(row, list) or not row:
        raise fields.unfit("cuts", row, "an id and five whole numbers")
    cut_id, *features = row
    _check_id(cut_id)
    return Cut(cut_id, features, details, codecs, accuracy)


def _check_id(cut_id: Any) -> None:
    """The id of a cut names a directory."""
    fit = type(cut_id) is str and 0 < len(cut_id) <= LARGEST_ID and cut_id.isascii() and cut_id[0] != "."
    if not fit or not all(letter.isalnum() or letter in "-_." for letter in cut_id):
        raise ValueError(f"the id of a cut is {shown(cut_id)}: letters, digits, '.', '_' and '-' are expected")


def _check_ids(cuts: Sequence[Cut]) -> None:
    if len({(cut.id, cut.codecs) for cut in cuts}) != len(cuts):
        raise ValueError("a cut is there twice")
    for cut in cuts:
        if cut.offloads != (cut.id != DEVICE_ONLY):
            raise ValueError(f"cut {cut.id} has {cut.offloads} where 1 says that it uses the server, 0 that it does not")


def _kept(value: Any, fields: Fields) -> dict[str, float | None] | None:
    if value is None:
        return None
    kept = fields.object_of(value, "accuracy")
    return {name: kept.maybe(lambda name: kept.number(name, 0), name) for name in kept.names(("top1", "error"))}


def just_above(number: float) -> float:
    """The next larger float, of a positive one. The module `math` knows it, too, but takes longer to load than a table."""
    above = number * (1 + 2**-52)  # by one unit in the last place, or by two
    between = (number + above) / 2
    return between if between > number else above
