"""What each cut would take now: its five parts under the conditions that were measured, with what was seen of the cut itself.

Standard library only. Bytes are those of HTTP: payload, JSON and headers. Until a cut has run, they are its bytes by the
splitting model and `OVERHEAD_UP_BYTES` and `OVERHEAD_DOWN_BYTES`; afterwards the average of what was sent, since the payload of
an entropy coder differs from picture to picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.session.averages import Average
from cic.session.link_estimate import Exchanged, LinkEstimate
from cic.session.load_estimate import LoadEstimate
from cic.session.machine_estimate import MachineEstimate
from cic.session.record import Terms

OVERHEAD_UP_BYTES, OVERHEAD_DOWN_BYTES = 420, 330
"""Of HTTP and JSON around the payloads of a request, and of a reply, with one tensor each."""

_BYTES_S = 10.0
_CALMS_S = 10.0


class Parts(NamedTuple):
    """Seconds of one inference by part; device_s has packing and unpacking, server_s waiting, too.

    One is made for each cut before each inference, and this kind of object takes a third of a dataclass's time to make.
    """

    device_s: float
    uplink_s: float = 0.0
    server_s: float = 0.0
    downlink_s: float = 0.0
    rtt_s: float = 0.0

    @property
    def latency_s(self) -> float:
        return sum(self)

    @property
    def interval_s(self) -> float:
        """Between two answers of a stream, in which all four stages work at once: what the slowest one takes."""
        return max(self[:4])

    @property
    def exchange_s(self) -> float:
        """All that is not spent on the device."""
        return self.uplink_s + self.server_s + self.downlink_s + self.rtt_s

    @property
    def terms(self) -> Terms:
        """The same as a record has it."""
        return Terms(*self, self.latency_s)


class Forecast:
    """All that a session knows of link and machines. Not thread-safe.

    link: see `LinkEstimate`. device_s, server_s: what all of the network takes on either side, by the profile.
    device, server: what is known of the machines; another estimate may take their places.
    Times are those of one monotonic clock, in seconds.
    """

    def __init__(self, link: LinkEstimate, device_s: float = 0.0, server_s: float = 0.0) -> None:
        self.link = link
        self.device: MachineEstimate = LoadEstimate(device_s)
        self.server: MachineEstimate = LoadEstimate(server_s, _CALMS_S)
        self._sizes: dict[str, tuple[Average, Average]] = {}
        self._seen_bytes: dict[str, tuple[float, float]] = {}

    def conditions(self, now_s: float) -> Conditions:
        """The conditions now."""
        link = self.link
        slowdowns = self.device.slowdown(now_s), self.server.slowdown(now_s)
        return Conditions(link.uplink_bps, link.downlink_bps, link.rtt_s, *slowdowns)

    def parts(self, label: str, cut: Cut, conditions: Conditions) -> Parts:
        """The predicted seconds of the cut with this label."""
        device_s, server_s = cut.row[:2]
        device_s = self.device.seconds(label, device_s, conditions.device_slowdown)
        if not cut.offloads:
            return Parts(device_s)
        bytes_up, bytes_down = self._seen_bytes.get(label) or _expected_bytes(cut)
        return Parts(
            device_s,
            bytes_up * 8 / conditions.uplink_bps,
            self.server.seconds(label, server_s, conditions.server_slowdown),
            bytes_down * 8 / conditions.downlink_bps,
            conditions.rtt_s,
        )

    def all_parts(self, cuts: Mapping[str, Cut], conditions: Conditions) -> dict[str, Parts]:
        """The predicted seconds of cuts by their labels."""
        return {label: self.parts(label, cut, conditions) for label, cut in cuts.items()}

    def saw_device(self, label: str, cut: Cut, measured_s: float, now_s: float) -> None:
        """See how long the device took with a cut."""
        self.device.observe(label, cut.row[0], measured_s, now_s)

    def saw_exchange(
        self, label: str, cut: Cut, seen: Exchanged, now_s: float, *, real: bool = True, served_s: float | None = None
    ) -> None:
        """See a request for a cut's tail and its reply.

        real: not of made-up values, whose coded size says nothing. served_s: what the server took, if that is less than it
        said: without the time in which it answered this device's request before.
        """
        self.link.observe(seen, now_s)
        if seen.server_s:  # another server than ours does not tell
            self.server.observe(label, cut.row[1], seen.server_s if served_s is None else served_s, now_s)
        if not real:
            return
        sizes = self._sizes.get(label)
        if sizes is None:
            sizes = self._sizes[label] = Average(_BYTES_S), Average(_BYTES_S)
        for average, size in zip(sizes, (seen.bytes_up, seen.bytes_down), strict=True):
            average.add(size, 1.0, now_s)
        up, down = _expected_bytes(cut)
        self._seen_bytes[label] = sizes[0].mean or up, sizes[1].mean or down


def _expected_bytes(cut: Cut) -> tuple[float, float]:
    return cut.upload_bytes + OVERHEAD_UP_BYTES, cut.download_bytes + OVERHEAD_DOWN_BYTES
