"""Random problems: small and nasty for brute force, larger and shaped like networks for the other oracles."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

from hypothesis import strategies as st

from benchmarks.harness.plain_problem import PlainProblem
from mincut.lower_envelope import PriceBox
from mincut.problem import Prices, Problem, make_problem

AMOUNTS = [0, 0, 1, 2, 7, 100, 12_345, 10**6, 10**9, 10**12]
PRICES = [0, 1, 2, 3, 10, 1000, 10**5]


Codec = tuple[int, int, int]
"""Wire bytes, device ns and server ns."""


def to_problem(plain: PlainProblem) -> Problem:
    return make_problem(
        plain.device_ns,
        plain.server_ns,
        [(producer, readers, size) for producer, readers, size, _ in plain.tensors],
        download_bytes=plain.download_bytes,
        pinned=plain.pinned,
        may_cross=[may_cross for _, _, _, may_cross in plain.tensors],
    )


def small_problem(rng: random.Random, most_ops: int = 12, *, amounts: list[int] = AMOUNTS, stuck: float = 0.05) -> PlainProblem:
    """Any DAG: several inputs and outputs, tensors with many readers, dead ends, ties, zero and huge costs, pins.

    stuck: share of tensors that may not cross.
    """
    n = rng.randint(1, most_ops)
    tensors = [
        (-1, sorted(rng.sample(range(n), rng.randint(1, min(n, 3)))), rng.choice(amounts), rng.random() >= stuck)
        for _ in range(rng.randint(0, 2))
    ]
    for op in range(n - 1):
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            readers = sorted(rng.sample(range(op + 1, n), rng.randint(1, min(4, n - 1 - op))))
            tensors.append((op, readers, rng.choice(amounts), rng.random() >= stuck))
    return PlainProblem(
        [rng.choice(amounts) for _ in range(n)],
        [rng.choice(amounts) for _ in range(n)],
        [rng.choice([0, 0, 0, *amounts]) for _ in range(n)],
        [rng.choice([0] * 15 + [1, 2]) for _ in range(n)],
        tensors,
    )


def small_chain(rng: random.Random, most_ops: int, *, amounts: list[int] = AMOUNTS, stuck: float = 0.05) -> PlainProblem:
    """A chain with a skip here and there: where rules that look at one reader or one producer have most to do."""
    n = rng.randint(2, most_ops)
    tensors = []
    for op in range(n):
        readers = [op] if op == n - 1 or rng.random() < 0.8 else [op, rng.randint(op + 1, n - 1)]
        tensors.append((op - 1, readers, rng.choice(amounts), rng.random() >= stuck))
    return PlainProblem(
        [rng.choice(amounts) for _ in range(n)],
        [rng.choice(amounts) for _ in range(n)],
        [rng.choice([0, 0, 0, *amounts]) for _ in range(n)],
        [rng.choice([0] * 15 + [1, 2]) for _ in range(n)],
        tensors,
    )


def network_shaped(rng: random.Random, ops: int) -> PlainProblem:
    """A chain of blocks with parallel branches and skips; tensors shrink along the way as in a convolutional network."""
    tensors: list[tuple[int, list[int], int, bool]] = []
    device_ns, server_ns = [], []

    def op(reads: list[int], size: int) -> int:
        index = len(device_ns)
        for tensor in reads:
            tensors[tensor][1].append(index)
        device_ns.append(rng.randint(10_000, 3_000_000))
        server_ns.append(device_ns[-1] // rng.randint(2, 20) if rng.random() < 0.95 else device_ns[-1] * 2)
        tensors.append((index, [], size, True))
        return len(tensors) - 1

    tensors.append((-1, [], 600_000, True))
    current, size = 0, 800_000
    while len(device_ns) < ops:
        branches = [current] if rng.random() < 0.3 else []
        for _ in range(rng.randint(1, 4)):
            branch = current
            for _ in range(rng.randint(1, 4)):
                branch = op([branch], rng.randint(size // 4, size))
            branches.append(branch)
        current = op(branches, size)
        size = max(1000, int(size * rng.choice([1, 1, 0.5, 0.7])))
    n = len(device_ns)
    download = [0] * n
    download[-1] = 4000
    return PlainProblem(device_ns, server_ns, download, [0] * n, tensors)


def random_prices(rng: random.Random) -> Prices:
    return Prices(*(rng.choice(PRICES) for _ in range(5)))


@st.composite
def problems(draw: st.DrawFn, most_ops: int = 8) -> PlainProblem:
    """Hypothesis finds and shrinks the seed-free structure itself."""
    n = draw(st.integers(1, most_ops))
    amount = st.sampled_from(AMOUNTS) | st.integers(0, 1000)
    tensors = []
    for producer in [-1, *range(n - 1)]:
        for _ in range(draw(st.integers(0, 2))):
            readers = draw(st.sets(st.integers(producer + 1, n - 1), min_size=1, max_size=4))
            tensors.append((producer, sorted(readers), draw(amount), draw(st.integers(0, 19)) > 0))
    numbers = st.lists(amount, min_size=n, max_size=n)
    pins = st.lists(st.sampled_from([0] * 12 + [1, 2]), min_size=n, max_size=n)
    return PlainProblem(draw(numbers), draw(numbers), draw(numbers), draw(pins), tensors)


def prices() -> st.SearchStrategy[Prices]:
    return st.builds(Prices, *([st.sampled_from(PRICES)] * 5))


def price_box(rng: random.Random) -> PriceBox:
    """Points, intervals and wide boxes."""

    def between(low: float, high: float) -> tuple[Fraction, Fraction]:
        first, second = sorted(Fraction(10 ** rng.uniform(low, high)).limit_denominator(10**6) for _ in range(2))
        return (first, first) if rng.random() < 0.25 else (first, second)

    return PriceBox(between(-0.5, 1), between(-0.5, 1.5), between(-2, 4), between(-1, 0))


def weights_inside(rng: random.Random, box: PriceBox) -> tuple[Fraction, ...]:
    """Prices inside a box, corners likely, and any offload price."""

    def inside(bounds: tuple[Fraction, Fraction]) -> Fraction:
        low, high = bounds
        # Evenly in the logarithm: in a range over many decades an even draw would only ever see the top one.
        between = Fraction(float(low) * (float(high) / float(low)) ** rng.random())
        return rng.choice([low, high, *[min(max(between, low), high)] * 3])

    upload = inside(box.upload)
    offload = Fraction(rng.choice([0, 1, 1000, 10**7]))
    return inside(box.device), inside(box.server), upload, upload * inside(box.download_per_upload), offload


def problem_with_codecs(plain: PlainProblem, codecs: Sequence[Sequence[Codec]] | None) -> Problem:
    """A drawn problem whose tensors have these codecs each; their own bytes count for nothing then."""
    return make_problem(
        plain.device_ns,
        plain.server_ns,
        [(producer, readers, 0) for producer, readers, _, _ in plain.tensors],
        download_bytes=plain.download_bytes,
        pinned=plain.pinned,
        may_cross=[may_cross for _, _, _, may_cross in plain.tensors],
        codecs=codecs,
    )


def small_problem_with_codecs(
    rng: random.Random, most_ops: int, amounts: list[int]
) -> tuple[PlainProblem, list[list[Codec]], Problem]:
    """A small problem whose tensors have one to three codecs: better ones, worse ones, equal ones, free ones."""
    plain = small_problem(rng, most_ops, amounts=amounts)
    codecs = [
        [(rng.choice(amounts), rng.choice(amounts), rng.choice(amounts)) for _ in range(rng.randint(1, 3))]
        for _ in plain.tensors
    ]
    return plain, codecs, problem_with_codecs(plain, codecs)
