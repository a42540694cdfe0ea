"""A policy: which cut the next inference runs, of those whose times are predicted. Standard library only.

`cic.session.switching_rule.SwitchingRule` is the usual one. A session takes any other: `Session(..., policy=…)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from cic.decision.cut import Cut
from cic.session.forecast import Parts


@dataclass(frozen=True, slots=True)
class Choice:
    """cut: the label of the cut to use. fastest: that of the one predicted to be fastest. why: said for people."""

    cut: str
    fastest: str
    why: str


@runtime_checkable
class Policy(Protocol):
    """Chooses cuts, and is told what came of it. Cuts are known by their labels.

    Times are those of one monotonic clock, in seconds. A session calls one method at a time, and never waits for another thread
    in between, so that a policy needs no lock; it should take some microseconds.
    """

    def cost(self, parts: Parts) -> float:
        """What is to be least: of two predictions the one of lower cost is the better."""

    def choose(self, parts: Mapping[str, Parts], spread: float, now_s: float) -> Choice:
        """The cut to use, of those in `parts`; at least one. The same inference may be planned several times.

        parts: predicted for now. spread: the standard deviation of the logarithm of the uplink's bandwidth.
        """

    def failed(self, cut: str, now_s: float) -> None:
        """A cut was given up in the middle of an inference."""

    def saw(self, label: str, cut: Cut, parts: Parts, now_s: float) -> None:
        """An inference was answered as it was planned, and took so long; a probe is no inference."""
