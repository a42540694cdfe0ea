"""Control as the policy of a session: the cut of each call and the clock that it runs at, so that averages keep their targets.

    levels = cubic_levels(frequencies_here(), idle_w=2.7, busy_w=6.4)
    device = ControlledDevice(cic.energy_of("raspberry-pi-4b", "wifi"), idle_w=2.7, clocks=levels)
    policy = ControlPolicy(model, Targets(frames_per_s=5, power_w=4.5), device, v=10, clock=open_clock(levels))
    with cic.Session("model.split", model, server="https://10.0.0.2:8000", policy=policy) as session:
        ...

Calls are frames (`cic.control.controller`). Of the cuts that can be run, and of all levels, those with the least weighted sum
are chosen, so the choice is among emitted cuts. What the device takes is estimated at the profiled clock: what was measured
at a level is divided by its factor before it is learned. A session has no means to set a transmit rate.

Standard library only, but for what a session imports.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from cic.control.clock import Clock, NoClock
from cic.control.controlled_device import ControlledDevice, Setting
from cic.control.controller import LEAST_ENERGY, Controller, Penalty
from cic.control.targets import Targets
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.errors import CicWarning, CostError
from cic.session.forecast import Parts
from cic.session.load_estimate import LoadEstimate
from cic.session.policy import Choice


class ControlPolicy:
    """A `cic.session.policy.Policy`. For one session; close it when the session is closed, and the clock is put back.

    Args:
        model: that of the session. v, least: as of `Controller`.
        clock: sets the levels of the device, see `cic.control.clock.open_clock`; None: nothing is set, and the device stays at
            its first level.

    controller: has queues and averages. said: whether clock levels are set, and how, or why not.

    Raises:
        CostError: the device has transmit rates. Others: as `Controller`.
    """

    def __init__(
        self,
        model: SplittingModel,
        targets: Targets,
        device: ControlledDevice,
        v: float,
        *,
        least: Penalty = LEAST_ENERGY,
        clock: Clock | None = None,
    ) -> None:
        if device.rates:
            raise CostError(
                f"the device has {len(device.rates)} transmit rates, and a session sends as fast as the link allows; "
                "leave them out"
            )
        self.controller = Controller(device, targets, v, least)
        self._clock = clock or NoClock("the policy was given none")
        self.said = self._clock.said
        self._settings = device.settings if self._clock.settable else device.settings[:1]
        self._setting = device.settings[0]
        self._bits = {cut.label: cut.row[2:4] for cut in model.cuts}
        self._device = LoadEstimate(max(cut.row[0] for cut in model.cuts))
        self._profiled = {cut.label: cut.row[0] for cut in model.cuts}

    def cost(self, parts: Parts) -> float:
        """The weighted sum at the clock as it is, without the joules of single bits."""
        return self.controller.weight(self._setting, parts, 0.0, 0.0)

    def choose(self, parts: Mapping[str, Parts], spread: float, now_s: float) -> Choice:
        """See `cic.session.policy.Policy`. Sets the clock."""
        slowdown = self._device.slowdown(now_s)
        best: tuple[float, str, Setting] | None = None
        for label, each in parts.items():
            nominal_s = self._device.seconds(label, self._profiled.get(label, each.device_s), slowdown)
            speeds = self._speeds(label, each)
            for setting in self._settings:
                taken = (nominal_s * _factor(setting), *each[1:])
                weight = self.controller.weight(setting, taken, *speeds)
                if best is None or weight < best[0]:
                    best = weight, label, setting
        assert best is not None, "a session plans one cut at least"
        _, label, setting = best
        self._set(setting)
        fastest = min(parts, key=lambda each: parts[each].latency_s)
        queues = self.controller.queues
        at = f" at {self._setting.shown}" if self._setting.shown else ""
        why = f"the least weighted sum{at}, with queues of {queues.backlog:.3g} frames and {queues.power:.3g} of power"
        return Choice(label, fastest, why)

    def failed(self, cut: str, now_s: float) -> None:
        """What a call takes that was given up is not told, so its queues stay as they are."""

    def saw(self, label: str, cut: Cut, parts: Parts, now_s: float) -> None:
        """See `cic.session.policy.Policy`."""
        self._profiled[label], self._bits[label] = cut.row[0], cut.row[2:4]
        self._device.observe(label, cut.row[0], parts.device_s / _factor(self._setting), now_s)
        self.controller.saw(self._setting, parts, *self._speeds(label, parts))

    def close(self) -> None:
        """Put the clock back as it was."""
        self._clock.close()

    def _speeds(self, label: str, parts: Parts) -> tuple[float, float]:
        """At how many bit/s the bits of a cut pass that takes so long; 0 where none do."""
        up, down = self._bits.get(label, (0.0, 0.0))
        return up / parts.uplink_s if parts.uplink_s else 0.0, down / parts.downlink_s if parts.downlink_s else 0.0

    def _set(self, setting: Setting) -> None:
        if setting == self._setting or setting.clock is None:
            return
        try:
            self._clock.set(setting.clock)
            self._setting = setting
        except OSError as error:
            self._settings = (self._setting,)
            self.said = f"the clock stays as it is: {setting.clock.shown} was refused: {error.strerror or error}"
            warnings.warn(self.said, CicWarning, stacklevel=2)


def _factor(setting: Setting) -> float:
    return 1.0 if setting.clock is None else setting.clock.seconds_factor
