"""Energy as the objective: what a device draws in each part of an inference. Alone, or with a limit on time or energy.

An inference takes the energy sum of power[part] * seconds[part] over its parts: device, uplink, server, downlink, rtt. That
is a weighted sum of its parts, so the table holds a cut of least energy wherever equivalent conditions lie in its box
(`cic.decision.equivalent` has the proof). Elsewhere a minimum cut is computed.

Standard library only.
"""

from __future__ import annotations

from cic.decision.equivalent import SECONDS, weighed
from cic.decision.units import joules, positive, seconds, show_joules, show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cic.decision.conditions import Conditions
    from cic.decision.cut import Cut
    from cic.decision.equivalent import Prices


class Energy:
    """Energy of the device, in joules: `Energy(compute_w=4.2, send_w=3.1, receive_w=2.9, wait_w=2.4)`.

    compute_w, send_w, receive_w: watts that the whole device draws while it computes, sends and receives.
    wait_w: while the server computes, and during the round trip.
    second_w: joules that a second of latency is worth besides, for a weighted sum of energy and latency.
    send_j_per_bit, receive_j_per_bit: joules for each bit besides, for radios that draw more the faster they are.

    A device that stays on draws some watts without inferences, too: take these off all four for what inferences add.

    Raises:
        UnitError: one of the powers is not a finite number above 0, or one of the others is below 0.
    """

    __slots__ = ("compute_w", "receive_j_per_bit", "receive_w", "second_w", "send_j_per_bit", "send_w", "wait_w")

    def __init__(
        self,
        compute_w: float,
        send_w: float,
        receive_w: float,
        wait_w: float,
        second_w: float = 0.0,
        send_j_per_bit: float = 0.0,
        receive_j_per_bit: float = 0.0,
    ) -> None:
        self.compute_w = positive(compute_w, "compute_w")
        self.send_w = positive(send_w, "send_w")
        self.receive_w = positive(receive_w, "receive_w")
        self.wait_w = positive(wait_w, "wait_w")
        self.second_w = positive(second_w, "second_w", or_zero=True)
        self.send_j_per_bit = positive(send_j_per_bit, "send_j_per_bit", or_zero=True)
        self.receive_j_per_bit = positive(receive_j_per_bit, "receive_j_per_bit", or_zero=True)

    def powers(self, conditions: Conditions) -> Prices:
        """Watts of each part: device, uplink, server, downlink, rtt."""
        send_w = self.send_w + self.send_j_per_bit * conditions.uplink_bps
        receive_w = self.receive_w + self.receive_j_per_bit * conditions.downlink_bps
        return self.compute_w, send_w, self.wait_w, receive_w, self.wait_w

    def prices(self, conditions: Conditions) -> Prices:
        """Watts of each part, and what a second is worth besides."""
        device, uplink, server, downlink, rtt = self.powers(conditions)
        worth = self.second_w
        return device + worth, uplink + worth, server + worth, downlink + worth, rtt + worth

    def joules(self, cut: Cut, conditions: Conditions) -> float:
        """What an inference takes with this cut, without what its latency is worth."""
        return weighed(self.powers(conditions), cut, conditions)

    def cost(self, cut: Cut, conditions: Conditions) -> float:
        """What is least for the decided cut: joules, and what latency is worth."""
        return weighed(self.prices(conditions), cut, conditions)

    def per_batch(self, ratio: float) -> Energy:
        """This objective at the compiled batch, for a batch that is so many times as large (see `cic.decision.batch`)."""
        return self

    def with_deadline(self, deadline: float | str) -> Limited:
        """As an objective: the least energy of all cuts whose latency is at most this, in seconds or a text such as "80ms".

        Raises:
            UnitError: it is no time.
        """
        return Limited(self, deadline_s=seconds(deadline, "deadline"))

    def with_budget(self, budget: float | str) -> Limited:
        """As an objective: the least latency of all cuts that take at most this energy, in joules or a text such as "500mJ".

        Raises:
            UnitError: it is no energy.
        """
        return Limited(self, budget_j=joules(budget, "budget"))

    def __repr__(self) -> str:
        return (
            f"Energy(compute_w={self.compute_w:g}, send_w={self.send_w:g}, receive_w={self.receive_w:g}, "
            f"wait_w={self.wait_w:g}, second_w={self.second_w:g}, send_j_per_bit={self.send_j_per_bit:g}, "
            f"receive_j_per_bit={self.receive_j_per_bit:g})"
        )


class Limited:
    """What `Energy.with_deadline` and `Energy.with_budget` make: an objective for `SplittingModel.decide`.

    energy: what the device draws. deadline_s: seconds, for the least energy; None with a budget.
    budget_j: joules, for the least latency; None with a deadline.
    """

    __slots__ = ("budget_j", "deadline_s", "energy")

    def __init__(self, energy: Energy, *, deadline_s: float | None = None, budget_j: float | None = None) -> None:
        self.energy, self.deadline_s, self.budget_j = energy, deadline_s, budget_j

    def least(self, conditions: Conditions) -> Prices:
        """Prices of the sum that is to be least."""
        return self.energy.prices(conditions) if self.budget_j is None else SECONDS

    def used(self, conditions: Conditions) -> Prices:
        """Prices of the sum that has a limit."""
        return SECONDS if self.budget_j is None else self.energy.powers(conditions)

    @property
    def limit(self) -> float:
        """In seconds with a deadline, in joules with a budget."""
        return (self.deadline_s or 0.0) if self.budget_j is None else self.budget_j

    def per_batch(self, ratio: float) -> Limited:
        """This objective at the compiled batch, for a batch that is so many times as large: each has its share of the limit."""
        deadline_s, budget_j = self.deadline_s, self.budget_j
        if budget_j is None:
            return Limited(self.energy, deadline_s=(deadline_s or 0.0) / ratio)
        return Limited(self.energy, budget_j=budget_j / ratio)

    @property
    def shown(self) -> str:
        """The limit for people: "80 ms"."""
        return show_seconds(self.limit) if self.budget_j is None else show_joules(self.limit)

    def cost(self, cut: Cut, conditions: Conditions) -> float:
        """What is to be least: with a deadline joules and what latency is worth, with a budget seconds."""
        return weighed(self.least(conditions), cut, conditions)

    def __repr__(self) -> str:
        limit = f"deadline_s={self.deadline_s:g}" if self.budget_j is None else f"budget_j={self.budget_j:g}"
        return f"Limited({self.energy!r}, {limit})"
