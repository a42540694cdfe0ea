"""Targets of control: how many frames a second, within which average power, and how long an inference may take on average."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from cic.decision.units import positive
from cic.errors import DecisionError


class Budget(NamedTuple):
    """What a frame may take on average; infinite where there is no target.

    frame_s: seconds until the next frame. joules: above those of the idle device. latency_s: seconds of an inference.
    """

    frame_s: float
    joules: float
    latency_s: float


@dataclass(frozen=True, slots=True)
class Targets:
    """Averages over time that are to be kept.

    frames_per_s: frames that come, each of which is to be answered; one inference runs at a time. power_w: watts that the
    device draws at most, those of the idle device included; None: any. latency_s: seconds from the beginning of an inference to
    its answer at most; None: any.

    Raises:
        UnitError: one of them is not a finite number above 0.
    """

    frames_per_s: float
    power_w: float | None = None
    latency_s: float | None = None

    def __post_init__(self) -> None:
        positive(self.frames_per_s, "frames_per_s")
        for what, value in (("power_w", self.power_w), ("latency_s", self.latency_s)):
            if value is not None:
                positive(value, what)

    def budget(self, idle_w: float) -> Budget:
        """What a frame may take on a device that draws so much when idle.

        Raises:
            DecisionError: it draws as much as the target, or more.
        """
        if self.power_w is not None and self.power_w <= idle_w:
            raise DecisionError(
                f"the average power is to be {self.power_w:g} W, and the idle device draws {idle_w:g} W; name a greater power"
            )
        frame_s = 1 / self.frames_per_s
        joules = inf if self.power_w is None else (self.power_w - idle_w) * frame_s
        return Budget(frame_s, joules, inf if self.latency_s is None else self.latency_s)
