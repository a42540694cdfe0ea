"""Random small problems with bounded rows: bounds that bind, that do not, and that contradict."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from benchmarks.harness.bounded_oracles import PlainRow
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import problem_with_codecs, small_problem
from mincut.problem import Problem
from mincut.rows import Row, row_of

AMOUNTS = [0, 0, 1, 2, 3, 7, 20, 100, 1234]


def bounded_problem(rng: random.Random, most_ops: int) -> tuple[PlainProblem, PlainRow, list[tuple[PlainRow, int]]]:
    """A problem whose tensors have one to three forms, a cost, and one to three bounds."""
    plain = small_problem(rng, most_ops)
    forms = [rng.choice([1, 1, 2, 3]) for _ in plain.tensors]
    cost = _row(rng, forms, plain.op_count, 1.0)
    rows = [_row(rng, forms, plain.op_count, rng.choice([0.3, 1.0])) for _ in range(rng.choice([1, 1, 2, 3]))]
    return plain, cost, [(row, _between(rng, row)) for row in rows]


def to_rows(plain: PlainProblem, rows: Sequence[PlainRow]) -> tuple[Problem, list[Row]]:
    """The problem, and the rows as `mincut` has them. The codecs of the problem have no times and no bytes of their own."""
    problem = problem_with_codecs(plain, [[(0, 0, 0)] * len(each) for each in rows[0].crossing] or None)
    return problem, [
        row_of(
            problem,
            f"row {index}",
            on_device=np.array(row.on_device, dtype=np.int64),
            on_server=np.array(row.on_server, dtype=np.int64),
            crossing=np.array([entry for each in row.crossing for entry in each], dtype=np.int64),
            once=row.once,
        )
        for index, row in enumerate(rows)
    ]


def loosest(crossing: Sequence[Sequence[int]]) -> int:
    """The largest single amount."""
    return max((entry for each in crossing for entry in each), default=0)


def _row(rng: random.Random, forms: Sequence[int], ops: int, share: float) -> PlainRow:
    def amount() -> int:
        return rng.choice(AMOUNTS) if rng.random() < share else 0

    return PlainRow(
        [amount() for _ in range(ops)],
        [amount() for _ in range(ops)],
        [[amount() for _ in range(count)] for count in forms],
        rng.choice([0, 0, 5]),
    )


def _between(rng: random.Random, row: PlainRow) -> int:
    """A bound somewhere in what placements may have."""
    entries = [*row.on_device, *row.on_server, *(entry for each in row.crossing for entry in each)]
    partial = list(accumulate(rng.sample(entries, len(entries))))
    return rng.choice([*partial, 0]) + rng.choice([0, 0, -1])
