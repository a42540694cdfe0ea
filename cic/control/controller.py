"""The controller: drift plus penalty. For each frame the cut, clock level and transmit rate of the least weighted sum.

The problem is CutEdge's (Lim, Lee, Kwak and Kim, IEEE Transactions on Services Computing, 2024): partition point, clock and
transmit rate for each slot, by virtual queues. Its formulas are not public. These are ours, after Neely, Stochastic Network
Optimization with Application to Communication and Queueing Systems (2010), chapter 4. A slot is a frame.

Rule. Let p(a) be the penalty of action a (joules above idle, or seconds), and y_i(a) = used_i(a) / budget_i - 1 what it adds to
the virtual queue X_i (`cic.control.queues`). Choose the a with the least V p(a) + sum_i X_i y_i(a).

Look-up. An action is a cut under a setting of clock and radio. Under one setting, seconds are the sum of the parts of a cut,
and joules are that sum with the watts of each part. So the rule's sum is a constant, -sum_i X_i, and the sum of the seconds of
each part k times its price

    (V per_joule + X_power / joules) watts_k + V per_second + X_backlog / frame_s + X_latency / latency_s.

Each price is above 0, since per_second is. So this is latency under equivalent conditions (`cic.decision.equivalent`), at which
the table has the least among all closed sets if they lie in its box. The least over all actions is the least of these over the
finitely many settings: one look-up for each. QED

Guarantee. Whatever the conditions are, let each frame's |y_i| be at most M_i >= 1. Since max(x, 0)^2 <= x^2,

    X_i(t + 1)^2 / 2 - X_i(t)^2 / 2  <=  y_i^2 / 2 + X_i(t) y_i.

Compare over T frames from t0 with any other choices, also such as know the future and draw lots, whose y_i* sum to at most 0.
The rule makes V p + sum_i X_i(t) y_i least, so at most what those pay there, and X_i(t) differs from X_i(t0) by at most
(t - t0) M_i. Hence, from empty queues, over any number of such spans, with B the average of sum_i y_i^2 / 2 (section 4.9):

    average p  <=  average of the spans' least p*  +  (B + (T - 1) / 2 sum_i M_i^2) / V.

Where the conditions of frames are independent and alike, T = 1 does, in expectation, with the stationary randomised optimum p*
(section 4.5): (average p) - p* <= B / V, while queues grow as V does. Where targets cannot be kept, they grow to their limit.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cic.control.controlled_device import ControlledDevice, Setting
from cic.control.queues import Queues
from cic.control.targets import Targets
from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.decision.equivalent import equivalent, weighed
from cic.decision.splitting_model import SplittingModel
from cic.decision.units import positive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cic.decision.equivalent import Prices


class Penalty(NamedTuple):
    """What is to be least on average: so much for each joule above idle, and, above 0, for each second of an inference."""

    per_joule: float
    per_second: float


LEAST_ENERGY = Penalty(1.0, 1e-3)
"""Of equal energies the sooner answer: a second is worth a millijoule."""
LEAST_LATENCY = Penalty(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with a frame. conditions: with the setting. weight: the rule's sum, but for its constant.

    proved: no cut and no setting has a smaller one, up to `cic.decision.proof.NEGLIGIBLE_GAP`.
    """

    cut: Cut
    setting: Setting
    conditions: Conditions
    weight: float
    proved: bool


class Controller:
    """The rule with its queues. Not thread-safe.

    v: how many frames of backlog saving a joule, or with `LEAST_LATENCY` a second, is worth. least: the penalty.
    frames, seconds, joules: what was seen so far, in all; joules above idle.

    Raises:
        UnitError: v or a price of the penalty is not above 0 (that of a joule may be 0). DecisionError: see `Targets.budget`.
    """

    def __init__(self, device: ControlledDevice, targets: Targets, v: float, least: Penalty = LEAST_ENERGY) -> None:
        self.device, self.targets, self.v = device, targets, positive(v, "v")
        self.least = Penalty(positive(least[0], "per_joule", or_zero=True), positive(least[1], "per_second"))
        self.budget = targets.budget(device.idle_w)
        self.queues = Queues()
        self.frames, self.seconds, self.joules = 0, 0.0, 0.0

    def prices(self, setting: Setting, uplink_bps: float, downlink_bps: float) -> Prices:
        """What a second of each part weighs now; the bandwidths are those that bits pass at under this setting."""
        per_joule = self.v * self.least.per_joule + self.queues.per_joule(self.budget)
        per_second = self.v * self.least.per_second + self.queues.per_second(self.budget)
        compute_w, send_w, wait_w, receive_w, _ = self.device.watts(setting, uplink_bps, downlink_bps)
        wait = per_joule * wait_w + per_second
        device, uplink, downlink = (per_joule * watts + per_second for watts in (compute_w, send_w, receive_w))
        return device, uplink, wait, downlink, wait

    def choose(self, model: SplittingModel, now: Conditions) -> Action:
        """The action for the next frame, of all cuts and all settings; a look-up each, or outside the box what `decide` does.

        Args:
            now: at the profiled clock, over the link itself.
        """
        actions = [self._of_setting(model, setting, setting.under(now)) for setting in self.device.settings]
        best = min(actions, key=lambda action: action.weight)
        if best.proved and not all(action.proved for action in actions):
            return Action(best.cut, best.setting, best.conditions, best.weight, proved=False)
        return best

    def _of_setting(self, model: SplittingModel, setting: Setting, under: Conditions) -> Action:
        prices = self.prices(setting, under.uplink_bps, under.downlink_bps)
        same = equivalent(prices, under, model.box)
        decision = model.decide(same.uplink_bps, same.rtt_s, same.downlink_bps, same.device_slowdown, same.server_slowdown)
        return Action(decision.cut, setting, under, weighed(prices, decision.cut, under), decision.optimal)

    def weight(self, setting: Setting, parts: Sequence[float], uplink_bps: float, downlink_bps: float) -> float:
        """The rule's sum, but for its constant. parts: seconds of an inference: device, uplink, server, downlink, rtt."""
        prices = self.prices(setting, uplink_bps, downlink_bps)
        return sum(price * part for price, part in zip(prices, parts, strict=True))

    def saw(self, setting: Setting, parts: Sequence[float], uplink_bps: float, downlink_bps: float) -> None:
        """An inference under this setting took these seconds: device, uplink, server, downlink, rtt."""
        watts = self.device.watts(setting, uplink_bps, downlink_bps)
        seconds = sum(parts)
        joules = sum(power * part for power, part in zip(watts, parts, strict=True))
        self.queues = self.queues.after(seconds, joules, self.budget)
        self.frames, self.seconds, self.joules = self.frames + 1, self.seconds + seconds, self.joules + joules

    @property
    def average_power_w(self) -> float:
        """Watts so far, if frames came as often as the targets say; those of the idle device before the first."""
        if not self.frames:
            return self.device.idle_w
        return self.device.idle_w + self.joules / self.frames * self.targets.frames_per_s
