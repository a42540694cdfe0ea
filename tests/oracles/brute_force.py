"""The slow truth: every closed set, priced term by term. Shares no code with `mincut`, not even how a cut is priced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.harness.plain_problem import PlainProblem


@dataclass(frozen=True)
class ClosedSets:
    """All allowed device sides of a problem (bool[sets, ops]) and their five features (int64[sets, 5])."""

    on_device: np.ndarray
    features: np.ndarray

    def cheapest(self, prices: tuple[int, ...]) -> int | None:
        """Lowest cost, exact (object integers), or None if nothing is allowed."""
        if not len(self.features):
            return None
        return int(min((self.features.astype(object) * np.array(prices, dtype=object)).sum(axis=1)))


def closed_sets(problem: PlainProblem) -> ClosedSets:
    """Enumerate all 2^n sides and keep the allowed ones."""
    n = problem.op_count
    side = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    allowed = np.ones(2**n, dtype=bool)
    upload = np.zeros(2**n, dtype=np.int64)
    for op, pin in enumerate(problem.pinned):
        if pin:
            allowed &= side[:, op] == (pin == 1)
    for producer, readers, size, may_cross in problem.tensors:
        made_on_device = side[:, producer] if producer >= 0 else np.ones(2**n, dtype=bool)
        for reader in readers:
            allowed &= ~(side[:, reader] & ~made_on_device)
        if readers:
            crosses = made_on_device & ~side[:, readers].all(axis=1)
            upload += np.where(crosses, size, 0)
            if not may_cross:
                allowed &= ~crosses
    features = np.stack(
        [
            side @ np.array(problem.device_ns, dtype=np.int64),
            ~side @ np.array(problem.server_ns, dtype=np.int64),
            upload,
            ~side @ np.array(problem.download_bytes, dtype=np.int64),
            (~side.all(axis=1)).astype(np.int64),
        ],
        axis=1,
    )
    return ClosedSets(side[allowed], features[allowed])
