"""Energy as the objective: what a device draws in each part of an inference. It orders cuts as latency does elsewhere.

An inference takes the energy sum of power[part] * seconds[part] over its parts: device, uplink, server, downlink, rtt. Each
part's seconds are linear in the same five features of a cut, with the conditions as weights (`cic.decision.objective`). So
a power multiplies a condition: computing at 4 W is as computing on a device 4 times slower, sending at 2 W is as sending
over half the bandwidth. Under these *equivalent conditions* latency in seconds is energy in joules. To multiply all weights
by one positive number changes no order of cuts. So this number is chosen such that the equivalent conditions lie in the
box, if they can: there the table holds a cut that is optimal among all closed sets, and so one of least energy. Elsewhere a
minimum cut is computed. QED

Standard library only.
"""

from __future__ import annotations

from math import sqrt

from cic.decision.conditions import Box, Conditions
from cic.decision.units import positive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cic.decision.cut import Cut


class Energy:
    """Energy of the device, in joules: `Energy(compute_w=4.2, send_w=3.1, receive_w=2.9, wait_w=2.4)`.

    compute_w, send_w, receive_w: watts that the whole device draws while it computes, sends and receives.
    wait_w: while the server computes, and during the round trip.
    second_w: joules that a second of latency is worth besides, for a weighted sum of energy and latency.

    A device that stays on draws some watts without inferences, too: take these off all four for what inferences add.

    Raises:
        UnitError: one of the powers is not a finite number above 0, or second_w one below 0.
    """

    __slots__ = ("compute_w", "receive_w", "second_w", "send_w", "wait_w")

    def __init__(self, compute_w: float, send_w: float, receive_w: float, wait_w: float, second_w: float = 0.0) -> None:
        self.compute_w = positive(compute_w, "compute_w")
        self.send_w = positive(send_w, "send_w")
        self.receive_w = positive(receive_w, "receive_w")
        self.wait_w = positive(wait_w, "wait_w")
        self.second_w = positive(second_w, "second_w", or_zero=True)

    @property
    def powers(self) -> tuple[float, float, float, float, float]:
        """Watts of each part: device, uplink, server, downlink, rtt."""
        return self.compute_w, self.send_w, self.wait_w, self.receive_w, self.wait_w

    def joules(self, cut: Cut, conditions: Conditions) -> float:
        """What an inference takes with this cut, without what its latency is worth."""
        return sum(power * part for power, part in zip(self.powers, cut.terms(conditions), strict=True))

    def cost(self, cut: Cut, conditions: Conditions) -> float:
        """What is least for the decided cut: joules, and what latency is worth."""
        return self.joules(cut, conditions) + self.second_w * cut.latency_s(conditions)

    def equivalent(self, conditions: Conditions, box: Box) -> Conditions:
        """Conditions under which latency orders all cuts as this does under the given ones; in the box if any such are."""
        device, uplink, server, downlink, wait = (power + self.second_w for power in self.powers)
        weights = (
            (conditions.device_slowdown * device, *box.device_slowdown),
            (conditions.server_slowdown * server, *box.server_slowdown),
            (conditions.rtt_s * wait, *box.rtt_s),
            (uplink / conditions.uplink_bps, 1 / box.uplink_bps[1], 1 / box.uplink_bps[0]),
        )
        scale = _scale_into([weight for weight in weights if weight[0]])
        return Conditions(
            conditions.uplink_bps / uplink / scale,
            conditions.downlink_bps / downlink / scale,
            conditions.rtt_s * wait * scale,
            conditions.device_slowdown * device * scale,
            conditions.server_slowdown * server * scale,
        )

    def __repr__(self) -> str:
        return (
            f"Energy(compute_w={self.compute_w:g}, send_w={self.send_w:g}, receive_w={self.receive_w:g}, "
            f"wait_w={self.wait_w:g}, second_w={self.second_w:g})"
        )


def _scale_into(ranges: list[tuple[float, float, float]]) -> float:
    """A factor that takes each value between its low and high; if there is none, one with which the device keeps its place."""
    low = max(least / value for value, least, _ in ranges)
    high = min(most / value for value, _, most in ranges)
    if low > high:
        value, least, most = ranges[0]
        return sqrt(least * most) / value
    # The middle, so that no rounding matters.
    return sqrt(low * high)
