"""The splitting model: all cuts that can be optimal, and the look-up among them. Runs on the device, standard library only."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import inf, nextafter

from cic.decision.answer import BestKnownDecision, Decision
from cic.decision.conditions import Box, Conditions
from cic.decision.units import bits_per_second, factor, positive, seconds, shown
from cic.errors import ArtifactError, DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from typing import Any

    from cic.decision.break_points import Row

DEVICE_ONLY, SERVER_ONLY = "device-only", "server-only"
# Relative; op times are never known nearly as well. What rounding of prices hides is about 1e-9 for real networks.
NEGLIGIBLE_GAP = 1e-6
# Sums of ns or bytes below this are exact in int64, and far from overflowing a float.
LARGEST_FEATURE = 2**62


class Cut:
    """One way to split the model.

    id: short and fit for a file name; "device-only" and "server-only" where those are allowed. Cuts that differ only in their
        codecs share it, as they share head and tail; `label` tells them apart.
    codecs: by name, one for each crossing tensor in the order of `crossing`; empty if all cross as they are.
    accuracy: what the answer kept on the calibration inputs (`top1`, `error`), or None if that was not measured.
    device_ns, server_ns: profiled op times on either side, summed. upload_bytes, download_bytes: sent up and down.
    offloads: 1 if anything runs on the server.
    row: the same in seconds and bits.

    Raises:
        ArtifactError: the id is no text, or the features are not five whole numbers.
    """

    __slots__ = (
        "_details",
        "accuracy",
        "codecs",
        "device_ns",
        "download_bytes",
        "id",
        "offloads",
        "row",
        "server_ns",
        "upload_bytes",
    )

    def __init__(
        self,
        cut_id: str,
        features: Sequence[int],
        details: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]],
        codecs: Sequence[str] = (),
        accuracy: Mapping[str, float | None] | None = None,
    ) -> None:
        amounts: tuple[int, ...] = tuple(features) if isinstance(features, list | tuple) else ()
        if len(amounts) != 5 or any(type(amount) is not int or not 0 <= amount < LARGEST_FEATURE for amount in amounts):
            raise ArtifactError(
                f"the features of cut {shown(cut_id)} are {shown(features)}; five whole numbers from 0 to 2^62 are expected"
            )
        if type(cut_id) is not str or not cut_id:
            raise ArtifactError(f"the id of a cut is {shown(cut_id)}; a text that is not empty is expected")
        self.id = cut_id
        self.codecs = tuple(codecs) if isinstance(codecs, list | tuple) else (None,)
        if any(type(codec) is not str for codec in self.codecs):
            raise ArtifactError(f"the codecs of cut {cut_id} are {shown(codecs)}; a list of names is expected")
        self.accuracy = accuracy
        self.device_ns, self.server_ns, self.upload_bytes, self.download_bytes, self.offloads = amounts
        self.row: Row = (
            self.device_ns * 1e-9,
            self.server_ns * 1e-9,
            self.upload_bytes * 8.0,
            self.download_bytes * 8.0,
            float(self.offloads),
        )
        self._details = details

    @property
    def features(self) -> tuple[int, int, int, int, int]:
        """(device_ns, server_ns, upload_bytes, download_bytes, offloads); latency is linear in them."""
        return self.device_ns, self.server_ns, self.upload_bytes, self.download_bytes, self.offloads

    @property
    def device_ops(self) -> tuple[str, ...]:
        """Names of the ops on the device, in order."""
        return self._details()[0]

    @property
    def crossing(self) -> tuple[str, ...]:
        """Names of the tensors sent to the server."""
        return self._details()[1]

    @property
    def label(self) -> str:
        """The id, and which codecs are used where tensors do not cross as they are; unique in a splitting model."""
        # Without the normalisation of a declared input, which stands behind a comma.
        names = [name.partition(",")[0] for name in self.codecs]
        return f"{self.id} {','.join(names)}" if names else self.id

    @property
    def codec_of(self) -> dict[str, str]:
        """The codec of each crossing tensor by name."""
        return dict(zip(self.crossing, self.codecs or ["raw"] * len(self.crossing), strict=True))

    def terms(self, conditions: Conditions) -> tuple[float, float, float, float, float]:
        """Predicted seconds: device, uplink, server, downlink, rtt."""
        device_s, server_s, upload_bits, download_bits, offloads = self.row
        return (
            conditions.device_slowdown * device_s,
            upload_bits / conditions.uplink_bps,
            conditions.server_slowdown * server_s,
            download_bits / conditions.downlink_bps,
            offloads * conditions.rtt_s,
        )

    def latency_s(self, conditions: Conditions) -> float:
        """Predicted end-to-end seconds."""
        return sum(self.terms(conditions))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled with its names in full, so that it can do without the splitting model it came from."""
        return _cut_again, (self.id, self.features, self._details(), self.codecs, self.accuracy)

    def __repr__(self) -> str:
        return f"Cut({self.label!r}, features={self.features})"


class SplittingModel:
    """What `compile` makes and a device loads.

    name: of the model. cuts: every cut that is optimal somewhere in `box`, from all-server to all-device.
    break_points: ascending uplink bit/s; between two of them one cut is best under the default conditions.
    best_between: indices into `cuts`, one more than break points.
    box: conditions for which decisions are proved optimal.
    default_rtt_s, default_downlink_ratio: what `decide` assumes when not told.
    information: provenance for people (digests, machines, versions, counts); proof: prices at which minimum cuts were checked.
    graph: a function that gives the ops, tensors and cuts in full; called only when they are asked for.

    Raises:
        ArtifactError: the cuts, break points and their order do not make a table.
    """

    def __init__(
        self,
        *,
        name: str,
        cuts: Sequence[Cut],
        break_points: Sequence[float],
        best_between: Sequence[int],
        box: Box,
        default_rtt_s: float,
        default_downlink_ratio: float,
        information: Mapping[str, Any],
        proof: Mapping[str, Any],
        graph: Callable[[], Mapping[str, Any]],
    ) -> None:
        if not all(isinstance(each, list | tuple) for each in (cuts, break_points, best_between)) or not hasattr(proof, "get"):
            raise ArtifactError(
                f"cuts, break_points and best_between are lists and proof a dict, not {shown((cuts, best_between, proof))}"
            )
        self.name = name
        self.cuts = tuple(cuts)
        self.break_points = tuple(break_points)
        self.best_between = tuple(best_between)
        _check_table(self.cuts, self.break_points, self.best_between, box)
        self.box = box
        self.default_rtt_s = positive(default_rtt_s, "the default rtt", or_zero=True)
        self.default_downlink_ratio = positive(default_downlink_ratio, "the default downlink ratio")
        self.information = information
        self.proof = proof
        self.graph = graph
        # Of cuts that differ only in their codecs the first: head and tail are the same.
        self.cut_by_id: dict[str, Cut] = {}
        for cut in self.cuts:
            self.cut_by_id.setdefault(cut.id, cut)
        # The edges of the range are break points too, with no cut beyond them; NaN ends up beyond the last one.
        slowest, fastest = box.uplink_bps
        self._best = [None, *(self.cuts[index] for index in self.best_between), None]
        self._points = [slowest, *self.break_points, nextafter(fastest, inf)]
        self._rows = _rows(self.cuts)

    def decide(
        self,
        bandwidth: float | str,
        rtt: float | str | None = None,
        downlink: float | str | None = None,
        device_slowdown: float | None = None,
        server_slowdown: float | None = None,
        op_times: Mapping[str, tuple[float, float]] | None = None,
    ) -> Decision:
        """The best cut right now.

        Args:
            bandwidth: uplink, a number of bit/s or a text such as "18.88Mbps".
            rtt: round trip, seconds or text; default: as compiled.
            downlink: like `bandwidth`; default: the uplink times the compiled ratio.
            device_slowdown, server_slowdown: factors on the profiled op times.
            op_times: seconds (device, server) of ops by name, where they differ from the profile.

        Raises:
            UnitError: a value cannot be understood (zero, negative, NaN, unknown unit).
            DecisionError: an op in `op_times` does not exist.
        """
        if rtt is None and downlink is None and device_slowdown is None and server_slowdown is None and op_times is None:
            if type(bandwidth) is float:
                cut = self._best[bisect_right(self._points, bandwidth)]
                if cut is not None:
                    return Decision(cut, bandwidth, self)
        elif op_times is None and (
            type(bandwidth) is type(rtt) is type(downlink) is type(device_slowdown) is type(server_slowdown) is float
        ):
            # Plain numbers need no parsing; NaN fails every comparison of `covers`.
            numbers = (bandwidth, downlink, rtt, device_slowdown, server_slowdown)
            if self.box.covers(*numbers):
                return Decision(self.best_of_table(*numbers), numbers, self)
        conditions = self._conditions(bandwidth, rtt, downlink, device_slowdown, server_slowdown)
        if op_times is None and self.box.contains(conditions):
            return Decision(self.best_of_table(*conditions.numbers), conditions.numbers, self)
        return self._decide_off_table(conditions, op_times)

    @property
    def proved(self) -> bool:
        """Is every look-up inside the box optimal, up to `NEGLIGIBLE_GAP`? Not if the search for cuts was left unfinished."""
        gap = self.proof.get("gap")
        return bool(self.proof.get("complete")) and gap is not None and gap <= NEGLIGIBLE_GAP

    def default_conditions(self, uplink_bps: float) -> Conditions:
        """The conditions assumed when only the uplink is known."""
        return Conditions(uplink_bps, uplink_bps * self.default_downlink_ratio, self.default_rtt_s)

    def best_of_table(
        self, uplink_bps: float, downlink_bps: float, rtt_s: float, device_slowdown: float, server_slowdown: float
    ) -> Cut:
        """The fastest of the known cuts; of equally fast ones the one with less on the device."""
        rows, device_only, download_bits = self._rows
        # What every cut that offloads pays alike is weighed once, against the cut that does not.
        shared_s = rtt_s + download_bits / downlink_bps
        if device_only is None:
            best, lowest = self.cuts[0], float("inf")
        else:
            best, lowest = device_only, device_slowdown * device_only.row[0] - shared_s
        up = 1 / uplink_bps
        if rows and len(rows[0]) == 5:
            down = 1 / downlink_bps
            for device_s, server_s, upload_bits, extra_bits, cut in rows:
                latency = device_slowdown * device_s + server_slowdown * server_s + up * upload_bits + down * extra_bits
                if latency <= lowest:
                    lowest = latency
                    best = cut
            return best
        for device_s, server_s, upload_bits, cut in rows:
            latency = device_slowdown * device_s + server_slowdown * server_s + up * upload_bits
            if latency <= lowest:
                lowest = latency
                best = cut
        return best

    def save(self, path: str | PathLike[str]) -> None:
        """Write a `.cic` file, all or nothing.

        Raises:
            ArtifactError: the file cannot be written.
        """
        from cic.decision.cic_file import save

        save(self, path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the content of its `.cic` file, which is checked again when it comes back."""
        from cic.decision.cic_file import dumps, loads

        return loads, (dumps(self), f"the pickled splitting model {self.name}")

    def _conditions(
        self,
        bandwidth: float | str,
        rtt: float | str | None,
        downlink: float | str | None,
        device_slowdown: float | None,
        server_slowdown: float | None,
    ) -> Conditions:
        uplink_bps = bits_per_second(bandwidth)
        return Conditions(
            uplink_bps,
            uplink_bps * self.default_downlink_ratio if downlink is None else bits_per_second(downlink, "downlink"),
            self.default_rtt_s if rtt is None else seconds(rtt, "rtt"),
            1.0 if device_slowdown is None else factor(device_slowdown, "device_slowdown"),
            1.0 if server_slowdown is None else factor(server_slowdown, "server_slowdown"),
        )

    def _decide_off_table(self, conditions: Conditions, op_times: Mapping[str, tuple[float, float]] | None) -> Decision:
        try:
            from cic.decision.off_table.solving import decide_off_table
        except ImportError:
            # A device without numpy and numba still gets the best known cut, and is told that it is only that.
            if op_times is not None:
                raise DecisionError(
                    "op_times needs the solver: install cic-compiler[solve] on this device, or use device_slowdown"
                ) from None
            return BestKnownDecision(self.best_of_table(*conditions.numbers), conditions.numbers, self)
        return decide_off_table(self, conditions, op_times)

    def __repr__(self) -> str:
        return f"SplittingModel({self.name!r}, {len(self.cuts)} cuts, {len(self.break_points)} break points)"


def _cut_again(
    cut_id: str,
    features: Sequence[int],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    codecs: Sequence[str],
    accuracy: Mapping[str, float | None] | None,
) -> Cut:
    """A cut that was pickled."""
    return Cut(cut_id, features, lambda: names, codecs, accuracy)


def _check_table(cuts: Sequence[Any], points: Sequence[Any], best: Sequence[Any], box: Any) -> None:
    """Raise ArtifactError unless a look-up in this table always finds a cut."""
    if not cuts or any(not isinstance(cut, Cut) for cut in cuts):
        raise ArtifactError(f"cuts are {shown(cuts)}; one at least is expected")
    if not isinstance(box, Box):
        raise ArtifactError(f"the box is {shown(box)}; a cic.Box is expected")
    low, high = box.uplink_bps
    if any(type(point) is not float or not low <= point <= high for point in points):
        raise ArtifactError(f"break points are {shown(points)}; bandwidths from {low:g} to {high:g} bit/s are expected")
    if any(not before < after for before, after in pairwise(points)):
        raise ArtifactError(f"break points are {shown(points)}; they must ascend")
    if len(best) != len(points) + 1 or any(type(index) is not int or not 0 <= index < len(cuts) for index in best):
        raise ArtifactError(
            f"best_between is {shown(best)}; for {len(points)} break points one more is expected, each below {len(cuts)}"
        )


def _rows(cuts: Sequence[Cut]) -> tuple[list[tuple[Any, ...]], Cut | None, float]:
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
