"""A device under control: what it draws, and all the settings of clock and radio to choose from. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from cic.control.levels import ClockLevel, TransmitRate
from cic.decision.conditions import Conditions
from cic.decision.energy import Energy
from cic.decision.units import positive
from cic.errors import CostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cic.decision.equivalent import Prices


@dataclass(frozen=True, slots=True)
class Setting:
    """A clock level and a transmit rate. None: as the device was profiled, and as fast as the link allows."""

    clock: ClockLevel | None = None
    rate: TransmitRate | None = None

    def under(self, now: Conditions) -> Conditions:
        """The conditions with this setting, where `now` are those of the profiled clock and the link itself."""
        slowdown = 1.0 if self.clock is None else self.clock.seconds_factor
        return Conditions(
            now.uplink_bps if self.rate is None else min(now.uplink_bps, self.rate.bps),
            now.downlink_bps,
            now.rtt_s,
            now.device_slowdown * slowdown,
            now.server_slowdown,
        )

    @property
    def shown(self) -> str:
        """For people: "1.2 GHz, 5 Mbit/s"; empty if nothing is set."""
        return ", ".join(each.shown for each in (self.clock, self.rate) if each is not None)


@dataclass(frozen=True)
class ControlledDevice:
    """What a device draws in each part of an inference, and what it can be set to.

    energy: watts of the whole device; `compute_w` counts where there are no clock levels, `send_w` where there are no rates.
    idle_w: what it draws between inferences, and so what an inference does not add. 0 for a device that sleeps.
    clocks, rates: to choose from, the preferred ones first; empty: as in `Setting`.

    Raises:
        CostError: some part of an inference draws less than the idle device. UnitError: idle_w is no number of at least 0.
    """

    energy: Energy
    idle_w: float = 0.0
    clocks: tuple[ClockLevel, ...] = ()
    rates: tuple[TransmitRate, ...] = ()

    def __post_init__(self) -> None:
        positive(self.idle_w, "idle_w", or_zero=True)
        drawn = {"wait_w": self.energy.wait_w, "receive_w": self.energy.receive_w}
        drawn |= {f"compute_w at {each.shown}": each.compute_w for each in self.clocks} or {"compute_w": self.energy.compute_w}
        drawn |= {f"send_w at {each.shown}": each.send_w for each in self.rates} or {"send_w": self.energy.send_w}
        for what, watts in drawn.items():
            if watts < self.idle_w:
                raise CostError(f"{what} is {watts:g} W, and idle_w is {self.idle_w:g} W; no inference can draw less")

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Each clock level with each rate."""
        return tuple(Setting(clock, rate) for clock in self.clocks or (None,) for rate in self.rates or (None,))

    def watts(self, setting: Setting, uplink_bps: float, downlink_bps: float) -> Prices:
        """Watts above idle of each part: device, uplink, server, downlink, rtt; the bandwidths are those that bits pass at."""
        energy, idle_w = self.energy, self.idle_w
        compute_w = energy.compute_w if setting.clock is None else setting.clock.compute_w
        send_w = energy.send_w if setting.rate is None else setting.rate.send_w
        send_w += energy.send_j_per_bit * uplink_bps
        receive_w = energy.receive_w + energy.receive_j_per_bit * downlink_bps
        wait_w = energy.wait_w - idle_w
        return compute_w - idle_w, send_w - idle_w, wait_w, receive_w - idle_w, wait_w
