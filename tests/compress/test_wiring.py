"""The arrays of the wiring say of every op what one finds by looking at it alone."""

from __future__ import annotations

import random

import numpy as np

from benchmarks.harness.random_problems import small_chain, small_problem, to_problem
from compress.wiring import NOBODY, Pairs, follow, wiring
from mincut.problem import MODEL_INPUT

AMOUNTS = [0, 1, 2, 7, 100, 12_345]


def test_each_op_is_wired_as_its_tensors_say() -> None:
    rng, with_own, with_reader = random.Random(81), 0, 0
    for index in range(600):
        plain = (small_chain if index % 2 else small_problem)(rng, 12, amounts=AMOUNTS, stuck=0.2)
        problem = to_problem(plain)
        wires = wiring(problem)
        reads = [{t for t, (_, readers, _, _) in enumerate(plain.tensors) if op in readers} for op in range(problem.op_count)]
        for op in range(problem.op_count):
            made = [each for each in plain.tensors if each[0] == op]
            readers = {reader for _, names, _, _ in made for reader in names}
            producers = {plain.tensors[tensor][0] for tensor in reads[op]}
            assert wires.only_reader[op] == (readers.pop() if len(readers) == 1 else NOBODY)
            assert wires.only_producer[op] == (
                producers.pop() if len(producers) == 1 and MODEL_INPUT not in producers else NOBODY
            )
            assert _tensors(wires.made, op) == {t for t, (producer, _, _, _) in enumerate(plain.tensors) if producer == op}
            assert wires.made_may_cross[op] == all(free for _, _, _, free in made)
            alone = {t for t, (producer, readers, _, _) in enumerate(plain.tensors) if producer >= 0 and readers == [op]}
            assert _tensors(wires.alone, op) == alone
            if wires.only_reader[op] == NOBODY:
                continue
            own = [plain.tensors[tensor] for tensor in reads[op] - reads[wires.only_reader[op]]]
            assert _tensors(wires.own, op) == reads[op] - reads[wires.only_reader[op]]
            assert wires.own_may_cross[op] == all(free for _, _, _, free in own)
            with_own += bool(own)
            with_reader += 1
    assert 100 < with_own < with_reader - 100


def _tensors(pairs: Pairs, op: int) -> set[int]:
    """The tensors that pairs name with an op, each of which they name once."""
    named = pairs[1][pairs[0] == op].tolist()
    assert len(set(named)) == len(named)
    return set(named)


def test_following_ends_where_a_walk_ends() -> None:
    rng = random.Random(82)
    for size in (0, 1, 2, 30, 1000):
        towards = np.array([min(op + rng.choice([0, 1, 1, 1, 5]), size - 1) for op in range(size)], dtype=np.int64)
        for op, end in enumerate(follow(towards).tolist()):
            at = op
            while towards[at] != at:
                at = towards[at]
            assert end == at
