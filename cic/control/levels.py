"""What a device can be set to: clock levels and transmit rates, each with the watts it draws, measured or by a named model.

Best are figures that were measured on the board: run the network at each level, and read the power. Where there are none, two
models stand in, which are assumptions and no measurements:

* `cubic_levels`: the watts above idle grow as the cube of the frequency, as in circuits whose voltage follows it
  (P = C V^2 f), and times shrink in proportion. Real boards lower the voltage less, and memory keeps its own clock.
* `shannon_rates`: the watts above idle grow as 2^(rate / bandwidth) - 1, which is the least power for a rate by Shannon's
  capacity (Bell System Technical Journal 27, 1948). Real radios draw some watts besides.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cic.decision.units import bits_per_second, factor, positive, show_bandwidth
from cic.errors import CostError


@dataclass(frozen=True, slots=True)
class ClockLevel:
    """A frequency of the device's processor, in hertz.

    seconds_factor: times on the device at this level over those of the profile. compute_w: what all of the device draws
        while it computes at this level.

    Raises:
        UnitError: one of them is not a finite number above 0.
    """

    hz: float
    seconds_factor: float
    compute_w: float

    def __post_init__(self) -> None:
        positive(self.hz, "hz")
        factor(self.seconds_factor, "seconds_factor")
        positive(self.compute_w, "compute_w")

    @property
    def shown(self) -> str:
        """The frequency for people: "1.2 GHz"."""
        return f"{self.hz / 1e9:.3g} GHz" if self.hz >= 1e9 else f"{self.hz / 1e6:.3g} MHz"


@dataclass(frozen=True, slots=True)
class TransmitRate:
    """A rate at which the device sends, in bit/s; where the link is slower, so fast as that.

    send_w: what all of the device draws while it sends at this rate.

    Raises:
        UnitError: one of them is not a number above 0, or the rate is none that a link has.
    """

    bps: float
    send_w: float

    def __post_init__(self) -> None:
        bits_per_second(self.bps, "bps")
        positive(self.send_w, "send_w")

    @property
    def shown(self) -> str:
        """The rate for people: "5 Mbit/s"."""
        return show_bandwidth(self.bps)


def cubic_levels(frequencies_hz: Iterable[float], idle_w: float, busy_w: float) -> tuple[ClockLevel, ...]:
    """Clock levels by the cubic model, the fastest first; times are taken to be profiled at the fastest.

    Args:
        idle_w, busy_w: what the device draws when it waits, and when it computes at the greatest of these frequencies.

    Raises:
        CostError: there is no frequency, or the busy device draws less than the idle one. UnitError: a number is not above 0.
    """
    hertz, above_w = _descending(frequencies_hz, "frequency"), _above(idle_w, busy_w, "computes")
    return tuple(ClockLevel(hz, hertz[0] / hz, idle_w + above_w * (hz / hertz[0]) ** 3) for hz in hertz)


def shannon_rates(rates_bps: Iterable[float], idle_w: float, send_w: float, bandwidth_hz: float) -> tuple[TransmitRate, ...]:
    """Transmit rates by Shannon's capacity, the fastest first.

    Args:
        idle_w, send_w: what the device draws when it waits, and when it sends at the greatest of these rates.
        bandwidth_hz: of the channel.

    Raises:
        CostError: there is no rate, or the device draws less when it sends than when it waits.
        UnitError: a number is not above 0.
    """
    rates, above_w = _descending(rates_bps, "rate"), _above(idle_w, send_w, "sends")
    width_hz = positive(bandwidth_hz, "bandwidth_hz")
    most = 2 ** (rates[0] / width_hz) - 1
    return tuple(TransmitRate(bps, idle_w + above_w * (2 ** (bps / width_hz) - 1) / most) for bps in rates)


def _descending(numbers: Iterable[float], what: str) -> list[float]:
    found = sorted({positive(number, what) for number in numbers}, reverse=True)
    if not found:
        raise CostError(f"there is no {what} to make levels of; name one at least")
    return found


def _above(idle_w: float, active_w: float, what: str) -> float:
    above_w = positive(active_w, f"the power of a device that {what}") - positive(idle_w, "idle_w", or_zero=True)
    if above_w <= 0:
        raise CostError(f"a device that {what} draws {active_w:g} W, and one that waits {idle_w:g} W; it must draw more")
    return above_w
