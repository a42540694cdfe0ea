"""The state of the world a decision is for, and the box of states a model is compiled for."""

from __future__ import annotations

from cic.decision.units import bits_per_second, factor, positive, seconds, show_bandwidth, show_seconds, shown
from cic.errors import CompileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Conditions:
    """Links and machines right now: `Conditions("20Mbps", downlink="50Mbps", rtt="10ms")`.

    uplink, downlink: bandwidths, as texts or in bit/s; kept as uplink_bps, downlink_bps. The downlink is by default the uplink.
    rtt: the round trip, a text or in seconds, kept as rtt_s; paid once by every cut that uses the server.
    device_slowdown, server_slowdown: op times are multiplied by these (2 = half as fast as profiled).

    Raises:
        UnitError: a text cannot be understood, or one of them is no finite number, or not positive (the rtt may be 0).
    """

    __slots__ = ("device_slowdown", "downlink_bps", "rtt_s", "server_slowdown", "uplink_bps")

    def __init__(
        self,
        uplink: float | str,
        downlink: float | str | None = None,
        rtt: float | str = 0.0,
        device_slowdown: float = 1.0,
        server_slowdown: float = 1.0,
    ) -> None:
        self.uplink_bps = positive(bits_per_second(uplink, "uplink") if type(uplink) is str else uplink, "uplink")
        if downlink is None:
            self.downlink_bps = self.uplink_bps
        else:
            self.downlink_bps = positive(
                bits_per_second(downlink, "downlink") if type(downlink) is str else downlink, "downlink"
            )
        self.rtt_s = positive(seconds(rtt, "rtt") if type(rtt) is str else rtt, "rtt", or_zero=True)
        self.device_slowdown = positive(device_slowdown, "device_slowdown")
        self.server_slowdown = positive(server_slowdown, "server_slowdown")

    @property
    def numbers(self) -> tuple[float, float, float, float, float]:
        """uplink_bps, downlink_bps, rtt_s, device_slowdown, server_slowdown."""
        return self.uplink_bps, self.downlink_bps, self.rtt_s, self.device_slowdown, self.server_slowdown

    def __eq__(self, other: object) -> bool:
        return self.numbers == other.numbers if isinstance(other, Conditions) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.numbers)

    def __repr__(self) -> str:
        return (
            f"Conditions(uplink={self.uplink_bps:g}, downlink={self.downlink_bps:g}, rtt={self.rtt_s:g}, "
            f"device_slowdown={self.device_slowdown:g}, server_slowdown={self.server_slowdown:g})"
        )


class Box:
    """Ranges of conditions within which every decision is proved optimal; each a pair (low, high), a text or a number.

    uplink: bandwidth. downlink_ratio: downlink / uplink, as both links usually rise and fall together. rtt: time.
    device_slowdown, server_slowdown: factors on the profiled op times.
    edges: low and high of each in this order, as `covers` compares them.

    Raises:
        UnitError: a bound cannot be understood. CompileError: a range is upside down.
    """

    FIELDS = ("uplink_bps", "downlink_ratio", "rtt_s", "device_slowdown", "server_slowdown")
    __slots__ = (*FIELDS, "edges")

    def __init__(
        self,
        uplink: Sequence[float | str] = ("50kbps", "10Gbps"),
        downlink_ratio: Sequence[float] = (1, 10),
        rtt: Sequence[float | str] = (0, "500ms"),
        device_slowdown: Sequence[float] = (0.5, 10),
        server_slowdown: Sequence[float] = (0.25, 50),
    ) -> None:
        self.uplink_bps = _range(uplink, "uplink", bits_per_second)
        self.downlink_ratio = _range(downlink_ratio, "downlink_ratio", factor)
        self.rtt_s = _range(rtt, "rtt", seconds)
        self.device_slowdown = _range(device_slowdown, "device_slowdown", factor)
        self.server_slowdown = _range(server_slowdown, "server_slowdown", factor)
        low_ratio, high_ratio = self.downlink_ratio
        self.edges: tuple[float, float, float, float, float, float, float, float, float, float] = (
            *self.uplink_bps,
            # A bandwidth computed from a ratio may miss the edge by rounding; that is not outside.
            low_ratio * (1 - 1e-9),
            high_ratio * (1 + 1e-9),
            *self.rtt_s,
            *self.device_slowdown,
            *self.server_slowdown,
        )

    def covers(
        self, uplink_bps: float, downlink_bps: float, rtt_s: float, device_slowdown: float, server_slowdown: float
    ) -> bool:
        """Is a decision under these conditions covered by the proof?"""
        slowest, fastest, low_ratio, high_ratio, low_rtt, high_rtt, low_device, high_device, low_server, high_server = (
            self.edges
        )
        return (
            slowest <= uplink_bps <= fastest
            and low_ratio * uplink_bps <= downlink_bps <= high_ratio * uplink_bps
            and low_rtt <= rtt_s <= high_rtt
            and low_device <= device_slowdown <= high_device
            and low_server <= server_slowdown <= high_server
        )

    def contains(self, conditions: Conditions) -> bool:
        """Is a decision under these conditions covered by the proof?"""
        return self.covers(*conditions.numbers)

    def outside(self, conditions: Conditions) -> tuple[str, ...]:
        """Which of these conditions lie outside, each as a text for people, such as "round trip 2 s, not 0 s to 500 ms"."""
        uplink_bps, downlink_bps, rtt_s, device, server = conditions.numbers
        low_ratio, high_ratio = self.edges[2:4]
        given = (
            ("uplink", uplink_bps, self.uplink_bps, show_bandwidth),
            ("downlink", downlink_bps, (low_ratio * uplink_bps, high_ratio * uplink_bps), show_bandwidth),
            ("round trip", rtt_s, self.rtt_s, show_seconds),
            ("device slowdown", device, self.device_slowdown, "{:g}".format),
            ("server slowdown", server, self.server_slowdown, "{:g}".format),
        )
        return tuple(
            f"{name} {show(value)}, not {show(low)} to {show(high)}"
            for name, value, (low, high), show in given
            if not low <= value <= high
        )

    def __repr__(self) -> str:
        return f"Box({', '.join(f'{name}={getattr(self, name)}' for name in self.FIELDS)})"


def _range(bounds: Sequence[float | str], what: str, parse: Callable[[float | str, str], float]) -> tuple[float, float]:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise CompileError(f"{what} must be a pair (low, high), got {shown(bounds)}")
    low, high = parse(bounds[0], f"{what} low"), parse(bounds[1], f"{what} high")
    if low > high:
        raise CompileError(f"{what} runs from {low:g} down to {high:g}; give (low, high)")
    return low, high
