"""Random small problems with every kind of constraint, and each cut that keeps to them, found by trying all.

A cut's memory is found by running its head in the mind, tensor by tensor: no row, no theorem. Nothing here is shared with the
code that is judged.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from benchmarks.harness.bounded_oracles import crossing_tensors, placements
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import small_problem

AMOUNTS = [0, 1, 2, 7, 100, 12_345]
KINDS = ("pins", "private", "until", "upload", "memory", "weights", "several")
Form = tuple[int, int, int]
"""Bytes, ns to encode, ns to decode."""


@dataclass(frozen=True)
class Asked:
    """Constraints in numbers; None: not asked for. weights: of each op. uses: (bytes, ops) of each weight."""

    pins: Mapping[int, int]
    private: frozenset[int]
    until: int | None
    upload: int | None
    memory: int | None
    weights: int | None
    uses: Sequence[tuple[int, frozenset[int]]]


def draw(rng: random.Random, kind: str, most_ops: int = 6) -> tuple[PlainProblem, list[list[Form]], Asked]:
    """A problem without pins of its own, the forms of its tensors, and constraints of one kind or of several."""
    plain = small_problem(rng, most_ops, amounts=AMOUNTS, stuck=0.0)
    # Up to some milliseconds, so that a fast link makes uploads pay.
    device_ns, server_ns = ([1000 * time for time in times] for times in (plain.device_ns, plain.server_ns))
    tensors = [tensor for tensor in plain.tensors if tensor[1]]
    plain = PlainProblem(device_ns, server_ns, plain.download_bytes, [0] * plain.op_count, tensors)
    forms = [[(size, 0, 0), *_smaller(rng, size)] for _, _, size, _ in plain.tensors]
    ops = range(plain.op_count)

    def asked_for(name: str) -> bool:
        return kind == name or (kind == "several" and rng.random() < 0.4)

    uses = [(rng.choice(AMOUNTS), frozenset(rng.sample(ops, rng.choice([1, 1, 1, 2]) if len(ops) > 1 else 1))) for _ in ops]
    sizes = [*(size for _, _, size, _ in plain.tensors), *plain.download_bytes, *(size for size, _ in uses)]

    def limit(name: str) -> int | None:
        return sum(rng.sample(sizes, rng.randint(0, min(len(sizes), 5)))) if asked_for(name) else None

    return plain, forms, Asked(
        {op: rng.choice([1, 2]) for op in ops if rng.random() < 0.2} if asked_for("pins") else {},
        frozenset(t for t in range(len(plain.tensors)) if rng.random() < 0.2) if asked_for("private") else frozenset(),
        rng.choice(ops) if asked_for("until") else None,
        limit("upload"),
        limit("memory"),
        limit("weights"),
        uses,
    )  # fmt: skip


def allowed(plain: PlainProblem, forms: Sequence[Sequence[Form]], asked: Asked) -> Iterator[tuple[int, int, int, int, int]]:
    """The features of every cut that keeps to the constraints: each device side with each form of each crossing tensor."""
    after = None if asked.until is None else downstream(plain, asked.until)
    for side in placements(plain):
        if any(side[op] != (pin == 1) for op, pin in asked.pins.items()):
            continue
        crossing = crossing_tensors(plain, side)
        if not asked.private.isdisjoint(crossing):
            continue
        if after is not None and any(plain.tensors[tensor][0] not in after for tensor in crossing):
            continue
        if asked.weights is not None and weights_on_device(plain, side, asked.uses) > asked.weights:
            continue
        for chosen in product(*(forms[tensor] for tensor in crossing)):
            sent = sum(size for size, _, _ in chosen)
            if asked.upload is not None and sent > asked.upload:
                continue
            if asked.memory is not None and peak(plain, side, sent) > asked.memory:
                continue
            device = sum(time for time, here in zip(plain.device_ns, side, strict=True) if here)
            server = sum(time for time, here in zip(plain.server_ns, side, strict=True) if not here)
            down = sum(size for size, here in zip(plain.download_bytes, side, strict=True) if not here)
            yield device + sum(c[1] for c in chosen), server + sum(c[2] for c in chosen), sent, down, int(not all(side))


def peak(plain: PlainProblem, side: Sequence[bool], payload: int) -> int:
    """The most bytes that the head holds at once: run op by op, each tensor dropped after its last reader here."""
    crossing = {("tensor", tensor) for tensor in crossing_tensors(plain, side)}
    size = {("tensor", index): size for index, (_, _, size, _) in enumerate(plain.tensors)}
    size |= {("answer", op): amount for op, amount in enumerate(plain.download_bytes) if amount}
    held = {("tensor", index) for index, (producer, *_) in enumerate(plain.tensors) if producer < 0}
    most = sum(size[name] for name in held)
    for op, here in enumerate(side):
        if not here:
            continue
        held |= {("tensor", index) for index, (producer, *_) in enumerate(plain.tensors) if producer == op}
        held |= {("answer", op)} & size.keys()
        most = max(most, sum(size[name] for name in held))
        held = {name for name in held if name[0] == "answer" or name in crossing or _still_read(plain, name[1], op, side)}
    held = {name for name in held if name[0] == "answer" or name in crossing}
    return max(most, sum(size[name] for name in held) + payload)


def weights_on_device(plain: PlainProblem, side: Sequence[bool], uses: Sequence[tuple[int, frozenset[int]]]) -> int:
    """Each weight once for every op on the device that uses it and depends on no other that does: what is promised."""
    total = 0
    for size, users in uses:
        first = [op for op in users if not any(op != other and op in downstream(plain, other) for other in users)]
        total += size * sum(side[op] for op in first)
    return total


def downstream(plain: PlainProblem, op: int) -> set[int]:
    """The op and all that depend on it."""
    found = {op}
    for producer, readers, _, _ in sorted(plain.tensors):
        if producer in found:
            found.update(readers)
    return found


def _still_read(plain: PlainProblem, tensor: int, op: int, side: Sequence[bool]) -> bool:
    return any(side[reader] and reader > op for reader in plain.tensors[tensor][1])


def _smaller(rng: random.Random, size: int) -> list[Form]:
    return [(size // 2, rng.choice([0, 5]), rng.choice([0, 5]))] if rng.random() < 0.5 else []
