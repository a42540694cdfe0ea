"""Virtual queues: by how much the averages have exceeded their targets so far, each counted in frames.

A queue grows by the share of its budget that a frame took beyond one, and never falls below empty:

    X(t + 1) = max(X(t) + used(t) / budget - 1, 0)

So X(N) is at least the sum of used / budget - 1 over N frames, and the average use is at most budget (1 + X(N) / N): a queue
that stays bounded keeps its target (Neely, Stochastic Network Optimization, 2010, section 4.4). The queue of seconds is a real
one, too: where frames come every `frame_s` seconds it is Lindley's recursion (Proc. Cambridge Phil. Soc. 48, 1952), and X(t)
is the time for which frame t waits until its inference begins, in frames.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from cic.control.targets import Budget

MOST_FRAMES = 1e4
"""A queue grows no further: after an hour in which no setting could keep the targets the next hour is not spent to make up."""


@dataclass(frozen=True, slots=True)
class Queues:
    """backlog: seconds that inferences took too long, in frames; power: joules beyond the budget, in frames' budgets of them;
    latency: likewise."""

    backlog: float = 0.0
    power: float = 0.0
    latency: float = 0.0

    def after(self, seconds: float, joules: float, budget: Budget) -> Queues:
        """The queues when a frame has taken so much."""
        return Queues(
            _next(self.backlog, seconds / budget.frame_s),
            _next(self.power, joules / budget.joules),
            _next(self.latency, seconds / budget.latency_s),
        )

    def per_second(self, budget: Budget) -> float:
        """By how much the drift grows for each second that the next frame takes."""
        return self.backlog / budget.frame_s + self.latency / budget.latency_s

    def per_joule(self, budget: Budget) -> float:
        """By how much the drift grows for each joule that the next frame takes."""
        return self.power / budget.joules


def _next(queue: float, share: float) -> float:
    return min(max(queue + share - 1.0, 0.0), MOST_FRAMES)
