"""What the link is like now: both bandwidths and the round trip, from exchanges that were timed. Standard library only.

The model of an exchange is that of the decision: round trip + bytes up / uplink + server + bytes down / downlink. The server
tells its own time, which is taken off. What is left of a large upload is nearly all bandwidth, and of a small one nearly all
round trip; so each exchange teaches that one of the two of which it says something.

A bandwidth is the smaller one of two averages that forget with different half-lives, as in video players (hls.js, Shaka):
after a drop the fast one is right at once, after a rise the slow one must agree first. Both add up bits and seconds apart, so
a transfer weighs by the time it took: a second of slow link is not outvoted by ten milliseconds of a fast one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

from cic.session.averages import Average, LowestOf

FAST_S, SLOW_S = 0.3, 1.2
RTT_S, RTT_WINDOW_S = 2.0, 20.0
SAYING_BYTES = 16_000
"""A transfer of so many bytes says something of the bandwidth; one of a quarter of them if it takes long enough."""

# Which reach the other side in the first packets, before it can see how fast they come.
_FIRST_BYTES = 5_000
_PACKET_BYTES = 1_448
_FLOOR_S = 20.0
_SMALL_PARTS = 4.0
_LONG_FOR_RTT = 4.0
_SHORTEST_S = 2e-3
_FASTEST_BPS = 1e11
# Of an estimate from one transfer; and by how much a second without news makes it worse.
_FIRST_SPREAD, _SPREAD_A_SECOND, _LEAST_SPREAD, _LARGEST_SPREAD = 0.3, 0.15, 0.02, 2.0
_SPREAD_S = 3.0
_REMEMBERED_S, _NEWS_S = 60.0, 0.5
_CHANGE_SPREADS, _LEAST_CHANGE, _LARGEST_MISS, _OLD_S = 3.0, 0.25, 1.0, 1.0


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One request and its reply, as the device timed them.

    first_byte_s: from the beginning of the upload to the first byte of the reply; last_byte_s: to its last. server_s: how long
    the server had the whole request before it began to reply, receive_s: from the first byte of the request to its last there.
    """

    bytes_up: int
    bytes_down: int
    first_byte_s: float
    last_byte_s: float
    server_s: float = 0.0
    receive_s: float = 0.0


class Bandwidth:
    """One direction: bit/s by two averages, and how far transfers are from them.

    A transfer that is off by more than three standard deviations, and by more than a quarter, is a change of the link and no
    noise: both averages begin anew. A fall is believed at once, a rise when a second transfer shows it, too, or if the last one
    was a second ago.
    """

    def __init__(self) -> None:
        self._averages = Average(FAST_S), Average(SLOW_S)
        self._squares = Average(_SPREAD_S)
        self._least_s_a_bit = LowestOf(_REMEMBERED_S)
        self._floor = LowestOf(_FLOOR_S)
        self._rose = False
        self._seen_s = float("-inf")

    def at_least(self, bps: float, now_s: float) -> None:
        """See that it cannot be less; it counts until a transfer says how much it is."""
        self._floor.add(1 / bps, now_s)

    def assumed_bps(self, usual_bps: float) -> float:
        """The estimate, where there is one; else `usual_bps`, unless small exchanges show that it is more.

        They took longer than their bytes did, so these took a part of it, and a quarter is as good a guess as any.
        """
        least_s = self._floor.lowest
        floor_bps = 1 / least_s if least_s else 0.0
        known = self.bps
        return max(usual_bps, _SMALL_PARTS * floor_bps) if known is None else max(known, floor_bps)

    def add(self, size_bytes: float, seconds: float, now_s: float) -> None:
        """See a transfer that took so long."""
        seconds = max(seconds, size_bytes * 8 / _FASTEST_BPS, 1e-9)
        rate, known = size_bytes * 8 / seconds, self.bps
        if known is not None:
            missed = log(rate / known)
            changed = abs(missed) > max(_CHANGE_SPREADS * self._own_spread, _LEAST_CHANGE)
            if changed and (missed < 0 or self._rose or self.age_s(now_s) > _OLD_S):
                self._averages = Average(FAST_S), Average(SLOW_S)
            self._rose = changed and missed > 0
            self._squares.add(min(abs(missed), _LARGEST_MISS) ** 2, 1.0, now_s)
        for average in self._averages:
            average.add(rate, seconds, now_s)
        self._floor = LowestOf(_FLOOR_S)
        self._seen_s = max(now_s, self._seen_s)
        self._least_s_a_bit.add(1 / min(filter(None, (average.mean for average in self._averages))), now_s)

    @property
    def bps(self) -> float | None:
        """None if no transfer has said anything yet."""
        means = [mean for average in self._averages if (mean := average.mean) is not None]
        return min(means, default=None)

    def age_s(self, now_s: float) -> float:
        """Since the last transfer that said something; infinite if there was none."""
        return max(0.0, now_s - self._seen_s)

    def spread(self, now_s: float) -> float:
        """The standard deviation of the bandwidth's logarithm; it grows while there is no news."""
        return min(_LARGEST_SPREAD, sqrt(self._own_spread**2 + (_SPREAD_A_SECOND * self.age_s(now_s)) ** 2))

    def hoped_bps(self, now_s: float) -> float:
        """As good as it may be now: two standard deviations better than it was, or as good as in the last minute.

        Without limit before the first news.
        """
        known, least_s = self.bps, self._least_s_a_bit.lowest
        if known is None or least_s is None:
            return _FASTEST_BPS
        return max(known * exp(2 * self.spread(now_s)), 1 / least_s if self.age_s(now_s) > _NEWS_S else 0.0)

    @property
    def _own_spread(self) -> float:
        mean = self._squares.mean
        return _FIRST_SPREAD if mean is None else max(sqrt(mean), _LEAST_SPREAD)


class LinkEstimate:
    """Both directions and the round trip.

    usual_uplink_bps, usual_rtt_s: assumed until something is known. usual_ratio: downlink / uplink, assumed until a reply was
    large enough to tell.
    """

    def __init__(self, usual_uplink_bps: float, usual_ratio: float, usual_rtt_s: float) -> None:
        self._usual_uplink_bps, self._usual_ratio, self._usual_rtt_s = usual_uplink_bps, usual_ratio, usual_rtt_s
        self.up, self.down = Bandwidth(), Bandwidth()
        self.way_seen_s = float("-inf")
        """When an exchange last told the round trip."""
        self._rtt, self._rtt_off, self._rtt_lowest = Average(RTT_S), Average(RTT_S), LowestOf(RTT_WINDOW_S)

    def observe(self, seen: Exchanged, now_s: float) -> None:
        """Learn from one exchange."""
        spent_s = seen.first_byte_s - seen.server_s
        up_s = self._upload_s(seen, spent_s - self.rtt_s)
        if self.says_something(seen.bytes_up, up_s):
            self.up.add(seen.bytes_up, up_s, now_s)
            # What the server saw of the upload leaves at most so much for the way.
            if seen.receive_s and spent_s - seen.receive_s < self.rtt_s:
                self._saw_round_trip(spent_s - seen.receive_s, now_s)
        else:
            self.way_seen_s = now_s
            self.up.at_least(seen.bytes_up * 8 / max(spent_s, 1e-9), now_s)
            self._saw_round_trip(spent_s - seen.bytes_up * 8 / self.uplink_bps, now_s)
        self._saw_reply(seen, now_s)

    def _saw_reply(self, seen: Exchanged, now_s: float) -> None:
        # The first byte came with all others of its packet.
        later_bytes, down_s = seen.bytes_down - _PACKET_BYTES, seen.last_byte_s - seen.first_byte_s
        if seen.bytes_down >= SAYING_BYTES or (later_bytes > _PACKET_BYTES and down_s > _SHORTEST_S):
            self.down.add(later_bytes, down_s, now_s)
        elif later_bytes > _PACKET_BYTES:
            self.down.at_least(later_bytes * 8 / max(down_s, 1e-9), now_s)
        else:
            self.down.at_least(seen.bytes_down * 8 / max(seen.last_byte_s - seen.server_s, 1e-9), now_s)

    def observe_unfinished(self, sent_bytes: int, seconds: float, now_s: float) -> None:
        """Learn from an upload that was given up when so many of its bytes had arrived, and others had not."""
        if sent_bytes and self.says_something(sent_bytes, seconds):
            self.up.add(sent_bytes, seconds, now_s)

    @property
    def known(self) -> bool:
        """Has any transfer said something of the uplink?"""
        return self.up.bps is not None

    @property
    def uplink_bps(self) -> float:
        return self.up.assumed_bps(self._usual_uplink_bps)

    @property
    def downlink_bps(self) -> float:
        return self.down.assumed_bps(self.uplink_bps * self._usual_ratio)

    @property
    def rtt_s(self) -> float:
        """Of late on average; never below the lowest of the last 20 s."""
        mean, lowest = self._rtt.mean, self._rtt_lowest.lowest
        return self._usual_rtt_s if mean is None or lowest is None else max(mean, lowest)

    @property
    def rtt_noise_s(self) -> float:
        """By how much round trips differ from their average, on average."""
        off = self._rtt_off.mean
        return self.rtt_s / 4 if off is None else off

    def spread(self, now_s: float) -> float:
        """See `Bandwidth.spread`, of the uplink."""
        return self.up.spread(now_s)

    def says_something(self, size_bytes: int, seconds: float) -> bool:
        """Does an upload of so many bytes, in that time, tell the bandwidth?"""
        if size_bytes >= SAYING_BYTES:
            return True
        return size_bytes >= SAYING_BYTES / 4 and seconds > max(_SHORTEST_S, _LONG_FOR_RTT * self.rtt_noise_s)

    def _upload_s(self, seen: Exchanged, left_s: float) -> float:
        """How long an upload took, if `left_s` is what neither server nor round trip took; what the server saw bounds it."""
        if not seen.receive_s:
            return left_s
        whole_s = seen.receive_s * seen.bytes_up / (seen.bytes_up - min(_FIRST_BYTES, seen.bytes_up / 2))
        return max(seen.receive_s, min(left_s, whole_s + self.rtt_noise_s))

    def _saw_round_trip(self, seconds: float, now_s: float) -> None:
        seconds = max(seconds, 0.0)
        # One late packet is no longer way: a single value counts at most as twice what is usual.
        known = self._rtt.mean
        if known is not None:
            self._rtt_off.add(min(abs(seconds - known), known), 1.0, now_s)
            seconds = min(seconds, 2 * known + 1e-3)
        self._rtt.add(seconds, 1.0, now_s)
        self._rtt_lowest.add(seconds, now_s)
