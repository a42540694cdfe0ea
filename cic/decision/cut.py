"""One way to split a model: what it costs in five numbers, and the names of what it has on the device."""

from __future__ import annotations

from cic.decision.units import shown
from cic.errors import ArtifactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from cic.decision.break_points import Row
    from cic.decision.conditions import Conditions
    from cic.decision.stored_graph import Names, StoredGraph

DEVICE_ONLY, SERVER_ONLY = "device-only", "server-only"
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
    shown_digits: how many of a codec's digest its label shows, where a splitting model would have two labels alike.

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
        "shown_digits",
        "upload_bytes",
    )

    def __init__(
        self,
        cut_id: str,
        features: Sequence[int],
        details: Callable[[], Names],
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
        self.shown_digits = 0

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
        names = [short_name(name, self.shown_digits) for name in self.codecs]
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

    def at_batch(self, batch: int, compiled: int) -> Cut:
        """The cut with the amounts of another batch than the compiled one, which all grow in proportion; see
        `cic.decision.batch`."""
        *growing, offloads = self.features
        amounts = [amount * batch // compiled for amount in growing]
        cut = Cut(self.id, (*amounts, offloads), self._details, self.codecs, self.accuracy)
        cut.shown_digits = self.shown_digits
        return cut

    def latency_s(self, conditions: Conditions) -> float:
        """Predicted end-to-end seconds."""
        return sum(self.terms(conditions))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled with its names in full, so that it can do without the splitting model it came from."""
        return _cut_again, (self.id, self.features, self._details(), self.codecs, self.accuracy)

    def __repr__(self) -> str:
        return f"Cut({self.label!r}, features={self.features})"


def short_name(codec: str, digits: int = 0) -> str:
    """The name of a codec for people: without the normalisation of a declared input, which stands behind a comma, and of the
    digest of stored content, which stands behind an @, so many digits."""
    name, _, digest = codec.partition(",")[0].partition("@")
    return f"{name}@{digest[:digits]}" if digest and digits else name


def tell_apart(cuts: Sequence[Cut]) -> None:
    """Let labels show more, where two of these cuts differ in the digest of a codec alone."""
    if not any("@" in name for cut in cuts for name in cut.codecs):
        return
    for digits in (8, 64):
        seen: dict[str, Cut] = {}
        for cut in cuts:
            if (other := seen.setdefault(cut.label, cut)) is not cut:
                cut.shown_digits = other.shown_digits = digits


def details_of(graph: Callable[[], StoredGraph], index: int) -> Callable[[], Names]:
    """A function that gives the device ops and crossing tensors of cut number `index` by name."""

    def details() -> Names:
        whole = graph()
        return whole.names(whole.cuts[index])

    return details


def _cut_again(
    cut_id: str,
    features: Sequence[int],
    names: Names,
    codecs: Sequence[str],
    accuracy: Mapping[str, float | None] | None,
) -> Cut:
    """A cut that was pickled."""
    return Cut(cut_id, features, lambda: names, codecs, accuracy)
