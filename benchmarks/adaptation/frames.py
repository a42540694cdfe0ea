"""Frames that come at a steady rate to a device under control, in virtual time: each waits for the one before, and is then run.

A device decides by the conditions at the moment when a frame begins. They hold for all of the frame, as in the theory, or the
bandwidth moves on while its bits pass, as in `benchmarks.adaptation.world`. Each part takes log-normal noise of its own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import Protocol

import numpy as np

from benchmarks.adaptation.control_bound import added, penalties
from benchmarks.adaptation.world import World
from benchmarks.testbed.traces import Trace
from cic.control.controlled_device import ControlledDevice, Setting
from cic.control.controller import Action, Controller, Penalty
from cic.control.targets import Budget
from cic.decision.conditions import Conditions
from cic.decision.equivalent import SECONDS, weighed
from cic.decision.splitting_model import SplittingModel

LEAST_BPS = 1e4
"""A link that is quite dead would never let an inference end."""


class Chooser(Protocol):
    """Decides for each frame, and is told what it took."""

    def choose(self, model: SplittingModel, now: Conditions) -> Action: ...

    def saw(self, setting: Setting, parts: tuple[float, ...], uplink_bps: float, downlink_bps: float) -> None: ...


@dataclass(frozen=True)
class Scene:
    """Where frames are run.

    model: with the cuts to choose from. trace: of the uplink, again and again; the downlink is as fast. noise: the standard
        deviation of the logarithm of each part. worlds: where the bandwidth moves on, of each setting; empty: conditions hold
        for all of a frame.
    """

    model: SplittingModel
    device: ControlledDevice
    trace: Trace
    rtt_s: float = 0.01
    noise: float = 0.1
    worlds: Mapping[Setting, World] = field(default_factory=dict)

    def under(self, uplink_bps: float) -> Conditions:
        """Conditions at this bandwidth."""
        return Conditions(uplink_bps, uplink_bps, self.rtt_s)

    def at(self, second: float) -> float:
        """The bandwidth at a time."""
        return max(self.trace.at(second % self.trace.duration_s), LEAST_BPS)

    def parts(self, action: Action, second: float, rng: random.Random) -> tuple[float, ...]:
        """What a frame takes that begins at a time."""
        if self.worlds:
            return self.worlds[action.setting].run(action.cut.label, second % self.trace.duration_s, rng).parts
        return tuple(part * exp(rng.gauss(0.0, self.noise)) for part in action.cut.terms(action.conditions))

    @property
    def mean_noise(self) -> float:
        """What the noise multiplies times by, on average."""
        return exp(self.noise**2 / 2)


@dataclass
class Run:
    """What came of frames, from some frame on. Each list has an entry a frame.

    states: the bandwidth that each began at. expected, taken: seconds and joules without noise, but for its mean, and with it.
    queues: when it was decided. waited_s: until it began. left: the queues behind the last one. began_s, ended_s: when the
    first one began, and the last one was answered or the next would have come. proved: how many choices were.
    """

    states: list[float] = field(default_factory=list)
    expected: list[tuple[float, float]] = field(default_factory=list)
    taken: list[tuple[float, float]] = field(default_factory=list)
    queues: list[tuple[float, float, float]] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)
    left: tuple[float, float, float] = (0.0, 0.0, 0.0)
    began_s: float = 0.0
    ended_s: float = 0.0
    proved: int = 0

    def average_penalty(self, least: Penalty) -> float:
        """Without noise, but for its mean: what a frame costs on average."""
        return float(penalties(np.array(self.expected), least).mean())

    def power_w(self, device: ControlledDevice) -> float:
        """Average watts from the first frame to the last answer."""
        return device.idle_w + sum(joules for _, joules in self.taken) / (self.ended_s - self.began_s)

    def frames_per_s(self) -> float:
        """Answers a second."""
        return len(self.taken) / (self.ended_s - self.began_s)

    def squares(self, budget: Budget) -> float:
        """B: half the average of the squares of what frames added to the queues."""
        return float((added(np.array(self.taken), budget) ** 2).sum(1).mean() / 2)


def run_frames(
    scene: Scene, chooser: Chooser, frames: int, frame_s: float, rng: random.Random, *, warm: int = 0, drawn: bool = False
) -> Run:
    """Run so many frames, one every `frame_s`, behind `warm` others of which nothing is kept but the queues.

    drawn: the bandwidth of each frame is that of a time drawn anew, and not those in their order.
    """
    run, free_s = Run(), 0.0
    for frame in range(warm + frames):
        begins_s = max(frame * frame_s, free_s)
        second = rng.uniform(0, scene.trace.duration_s) if drawn else begins_s
        action, queues = chooser.choose(scene.model, scene.under(scene.at(second))), queues_of(chooser)
        under = action.conditions
        watts = scene.device.watts(action.setting, under.uplink_bps, under.downlink_bps)
        parts = scene.parts(action, second, rng)
        chooser.saw(action.setting, parts, under.uplink_bps, under.downlink_bps)
        free_s = begins_s + sum(parts)
        if frame < warm:
            continue
        run.began_s = run.began_s if run.states else begins_s
        run.states.append(scene.at(second))
        expected = weighed(SECONDS, action.cut, under), weighed(watts, action.cut, under)
        run.expected.append((scene.mean_noise * expected[0], scene.mean_noise * expected[1]))
        run.taken.append((sum(parts), sum(power * part for power, part in zip(watts, parts, strict=True))))
        run.queues.append(queues)
        run.waited_s.append(begins_s - frame * frame_s)
        run.used[action.cut.id] = run.used.get(action.cut.id, 0) + 1
        run.proved += action.proved
    run.left, run.ended_s = queues_of(chooser), max(free_s, (warm + frames) * frame_s)
    return run


def queues_of(chooser: Chooser) -> tuple[float, float, float]:
    """Of backlog, power and latency; empty where there are none."""
    if not isinstance(chooser, Controller):
        return 0.0, 0.0, 0.0
    return chooser.queues.backlog, chooser.queues.power, chooser.queues.latency


class Greedy:
    """Each frame for itself: the least penalty of the actions that keep all budgets within this frame; where none does, that
    which comes nearest to it."""

    def __init__(self, device: ControlledDevice, budget: Budget, least: Penalty) -> None:
        self._device, self._budget, self._least = device, budget, least

    def choose(self, model: SplittingModel, now: Conditions) -> Action:
        """Tries all."""
        return min(self._all(model, now), key=lambda ranked: ranked[0])[1]

    def _all(self, model: SplittingModel, now: Conditions) -> list[tuple[tuple[float, float], Action]]:
        budget, ranked = self._budget, []
        for setting in self._device.settings:
            under = setting.under(now)
            watts = self._device.watts(setting, under.uplink_bps, under.downlink_bps)
            for cut in model.cuts:
                seconds, joules = weighed(SECONDS, cut, under), weighed(watts, cut, under)
                beyond = max(seconds / budget.frame_s, joules / budget.joules, seconds / budget.latency_s, 1.0)
                penalty = self._least.per_joule * joules + self._least.per_second * seconds
                ranked.append(((beyond, penalty), Action(cut, setting, under, penalty, proved=False)))
        return ranked

    def saw(self, setting: Setting, parts: tuple[float, ...], uplink_bps: float, downlink_bps: float) -> None:
        """Nothing is remembered."""
