"""Priced DAGs of any size in the shapes of real networks, as plain numbers.

Op times and tensor sizes follow the stages of a convolutional network: resolution halves and channels double from stage to
stage, so that tensors shrink to a half and work stays level; every op varies a little, or ties would make the problem easy.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from mincut.problem import MODEL_INPUT, Problem, make_problem

IMAGE_BYTES, FIRST_BYTES, LAST_BYTES = 602_112, 1_605_632, 4_000
STAGES = 5
DEVICE_NS = (200_000, 3_000_000)
SPEED_UP = (4, 40)
SLOW_ON_SERVER = 0.03  # share of ops that the server does no faster: launch times


class Builder:
    """Collects ops and tensors in order; an op makes one tensor, and both have its number."""

    def __init__(self, ops: int, seed: int) -> None:
        self.ops = ops
        self.rng = random.Random(seed)
        self.device_ns: list[int] = []
        self.server_ns: list[int] = []
        self.readers: list[list[int]] = []
        self.wire_bytes: list[int] = []
        self.image_readers: list[int] = []

    def op(self, reads: list[int], size: float, work: float = 1.0) -> int:
        """Add an op that reads the tensors of earlier ops (none: the image)."""
        index = len(self.device_ns)
        for tensor in reads:
            self.readers[tensor].append(index)
        if not reads:
            self.image_readers.append(index)
        device = round(work * self.rng.uniform(*DEVICE_NS))
        slow = self.rng.random() < SLOW_ON_SERVER
        self.device_ns.append(device)
        self.server_ns.append(2 * device if slow else round(device / self.rng.uniform(*SPEED_UP)))
        self.readers.append([])
        self.wire_bytes.append(max(64, round(size * self.rng.uniform(0.9, 1.1))))
        return index

    @property
    def size(self) -> float:
        """Bytes of a tensor at this depth."""
        return FIRST_BYTES * 0.5 ** min(STAGES - 1, int(STAGES * len(self.device_ns) / self.ops))

    def problem(self) -> Problem:
        """All ops so far; the last one makes the result."""
        tensors = [(MODEL_INPUT, self.image_readers, IMAGE_BYTES)]
        tensors += [(op, readers, size) for op, (readers, size) in enumerate(zip(self.readers, self.wire_bytes, strict=True))]
        download = [0] * len(self.device_ns)
        download[-1] = LAST_BYTES
        return make_problem(self.device_ns, self.server_ns, tensors, download_bytes=download)


def branching_chain(ops: int, seed: int = 0) -> Problem:
    """Blocks in a row, each of one to four branches of one to four ops, joined, some with a skip (Inception, ResNet)."""
    builder = Builder(ops, seed)
    current = builder.op([], builder.size)
    while len(builder.device_ns) < ops - 1:
        size = builder.size
        branches = [current] if builder.rng.random() < 0.5 else []
        for _ in range(builder.rng.randint(1, 4)):
            branch = current
            for _ in range(builder.rng.randint(1, 4)):
                branch = builder.op([branch], size * builder.rng.choice([0.25, 0.5, 1.0]))
            branches.append(branch)
        current = builder.op(sorted(set(branches)), size, work=0.1)
    builder.op([current], LAST_BYTES)
    return builder.problem()


def dense_blocks(ops: int, seed: int = 0, *, layers: int = 24) -> Problem:
    """Blocks in which every layer reads all earlier ones, with transitions between them (DenseNet)."""
    builder = Builder(ops, seed)
    current = builder.op([], builder.size)
    while len(builder.device_ns) < ops - 1:
        size = builder.size
        features = [current]
        for _ in range(layers):
            bottleneck = builder.op(list(features), size / 4)
            features.append(builder.op([bottleneck], size / 16))
        current = builder.op(features, size / 2)
    builder.op([current], LAST_BYTES)
    return builder.problem()


def u_nets(ops: int, seed: int = 0, *, depth: int = 5, convolutions: int = 3) -> Problem:
    """U-Nets in a row (stacked hourglasses): a way down, a way up, and long skips from one to the other."""
    builder = Builder(ops, seed)
    current = builder.op([], builder.size)
    while len(builder.device_ns) < ops - 1:
        size, skips = builder.size, []
        for level in range(depth):
            for _ in range(convolutions):
                current = builder.op([current], size * 0.5**level)
            skips.append(current)
            current = builder.op([current], size * 0.5 ** (level + 1), work=0.1)
        for level in reversed(range(depth)):
            raised = builder.op([current], size * 0.5**level, work=0.5)
            current = builder.op([raised, skips[level]], size * 0.5**level)
            for _ in range(convolutions - 1):
                current = builder.op([current], size * 0.5**level)
    builder.op([current], LAST_BYTES)
    return builder.problem()


def parallel_branches(ops: int, seed: int = 0, *, branches: int = 4, layers: int = 4) -> Problem:
    """Branches of different resolutions side by side that exchange their results now and then (HRNet)."""
    builder = Builder(ops, seed)
    stem = builder.op([], builder.size)
    current = [builder.op([stem], builder.size * 0.5**branch) for branch in range(branches)]
    while len(builder.device_ns) < ops - 1:
        size = builder.size
        for branch in range(branches):
            for _ in range(layers):
                current[branch] = builder.op([current[branch]], size * 0.5**branch)
        current = [builder.op(list(current), size * 0.5**branch, work=0.5) for branch in range(branches)]
    builder.op(current, LAST_BYTES)
    return builder.problem()


def two_towers(ops: int, seed: int = 0) -> Problem:
    """Two residual networks side by side that meet at the very end (retrieval, Siamese networks)."""
    builder = Builder(ops, seed)
    stem = builder.op([], builder.size)
    current = [stem, stem]
    while len(builder.device_ns) < ops - 1:
        size = builder.size
        for tower in range(2):
            first = builder.op([current[tower]], size * 0.5)
            second = builder.op([first], size * 0.5)
            current[tower] = builder.op([current[tower], second], size, work=0.1)
    builder.op(current, LAST_BYTES)
    return builder.problem()


FAMILIES: dict[str, Callable[[int], Problem]] = {
    "chain of branching blocks": branching_chain,
    "dense blocks": dense_blocks,
    "U-Nets": u_nets,
    "parallel branches": parallel_branches,
}
# Nowhere does everything after depend on everything before, so `mincut.sections` finds nothing to cut.
JOINTLESS: dict[str, Callable[[int], Problem]] = {"two towers": two_towers}
