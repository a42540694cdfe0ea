"""DADS' heuristic for heavy load (Hu, Bao, Wang, Liu, INFOCOM 2019), made again from its description: a grid of weighted cuts.

For as many answers a second as possible DADS calls its minimum cut again and again with the device's times multiplied by a, the
cloud's by c, and those of the uplink as they are, keeps the cut with the fastest slowest stage, and refines the grid around it
until that gains little. The paper lays the first grid in steps of 1, from 0 to the sum of all times over the least transfer:
hundreds of thousands of cuts. Here steps are powers of 2, both ways from 1, which are finer where weights matter and as wide.
Cuts are those of `mincut`, in which data never flows back, as in the paper's own they may. Both are to its advantage.
"""

from __future__ import annotations

from dataclasses import dataclass

from mincut.errors import MincutError
from mincut.prepared import PreparedProblem, prepare
from mincut.problem import Features, Problem
from mincut.scaling import fine_prices

STEPS = tuple(2.0**power for power in range(-10, 11))
LEAST_GAIN = 1e-3
MOST_ROUNDS = 12


@dataclass(frozen=True, eq=False)
class DadsHeavy:
    """The heuristic for one problem."""

    prepared: PreparedProblem

    @classmethod
    def of(cls, problem: Problem) -> DadsHeavy:
        return cls(prepare(problem))

    def interval_ns(self, ns_per_byte: float) -> tuple[float, int]:
        """What its cut's slowest stage takes, and how many minimum cuts that took."""
        seen: dict[tuple[float, float], float] = {}

        def tried(a: float, c: float) -> float:
            if (a, c) not in seen:
                seen[a, c] = self._weighted(a, c, ns_per_byte)
            return seen[a, c]

        best = min(((a, c) for a in STEPS for c in STEPS), key=lambda weights: tried(*weights))
        step = 2.0
        for _ in range(MOST_ROUNDS):
            before, step = tried(*best), step**0.5
            around = [(best[0] * x, best[1] * y) for x in (1 / step, 1.0, step) for y in (1 / step, 1.0, step)]
            best = min([best, *around], key=lambda weights: tried(*weights))
            if tried(*best) > (1 - LEAST_GAIN) * before:
                break
        return tried(*best), len(seen)

    def _weighted(self, a: float, c: float, ns_per_byte: float) -> float:
        problem = self.prepared.problem
        weights = (a, c, ns_per_byte, 0.0, 0.0)
        plain = problem.features(self.prepared.feasible)
        cheapest = sum(amount * weight for amount, weight in zip(plain, weights, strict=True))
        prices = fine_prices(weights, cheapest, 1e-4)
        if prices is None:
            raise MincutError(f"the weights {weights} are too far apart")
        on_device, _ = self.prepared.solve(problem.device_ns, problem.server_ns, prices)
        return interval_ns(problem.features(on_device), ns_per_byte)


def interval_ns(features: Features, ns_per_byte: float) -> float:
    """What the slowest stage takes, both ways at one bandwidth."""
    link = max(features.upload_bytes, features.download_bytes) * ns_per_byte
    return max(features.device_ns, features.server_ns, link)
