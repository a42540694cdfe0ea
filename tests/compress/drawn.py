"""Random problems for compression: large ones with every trait, and tight ones in which each condition of a rule decides."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import network_shaped, price_box, small_chain, small_problem, to_problem
from mincut.codecs import make_codecs, without
from mincut.lower_envelope import PriceBox
from mincut.problem import Problem
from tests.oracles.codec_brute_force import Codec

ONE = (Fraction(1), Fraction(1))
LINK_ONLY = PriceBox(ONE, ONE, (Fraction(1, 100), Fraction(10**4)), ONE)
AMOUNTS = [0, 1, 2, 7, 100, 12_345, 10**6]
# Near each other, so that none drowns the others: then what a mutant leaves out decides about the optimum.
CLOSE = [0, 1, 3, 10, 30]


def any_problem(rng: random.Random, most_ops: int, codecs: bool) -> Problem:
    """Chains, networks and any DAGs, up to twice `most_ops` ops; with codecs if asked for."""
    if rng.random() < 0.2:
        problem = to_problem(network_shaped(rng, rng.randint(3, 2 * most_ops)))
    else:
        make = rng.choice([small_problem, small_chain])
        problem = to_problem(make(rng, most_ops, amounts=AMOUNTS, stuck=rng.choice([0, 0.05, 0.5])))
    return with_forms(problem, rng) if codecs else problem


def with_forms(problem: Problem, rng: random.Random) -> Problem:
    """The same problem with one to four forms a tensor, most of them smaller and slower than the one before."""
    most, alike, timed = rng.choice([1, 1, 2, 4]), rng.random() < 0.5, rng.random() < 0.3
    times = [(rng.choice(AMOUNTS[:-2]), rng.choice(AMOUNTS[:-2])) for _ in range(4)]

    def forms(size: int) -> list[tuple[int, int, int]]:
        rows = [(size, *rng.choice(times)) if timed and rng.random() < 0.5 else (size, 0, 0)]
        for place in range(1, most if alike else rng.randint(1, most)):
            # Times that are alike for all tensors, as those of codecs nearly are, let rules compare forms.
            encode, decode = times[place] if alike else (rng.choice(AMOUNTS[:-1]), rng.choice(AMOUNTS[:-1]))
            rows.append((size // rng.choice([1, 2, 2, 4]) if not alike else size >> place, encode, decode))
        return rows

    codecs = make_codecs([forms(size) for size in problem.wire_bytes.tolist()]) if problem.tensor_count else None
    return replace(problem, codecs=codecs)


def tight_problem(
    rng: random.Random, codecs: bool, *, hindered: bool = False
) -> tuple[PlainProblem, list[list[Codec]], Problem]:
    """Two to five ops whose costs are close, in a chain with skips and twins (tensors that always cross together).

    Every third problem has tensors that may not cross, every third pins; if `hindered`, all have both. With codecs, forms
    take long beside few bytes, cross over inside the box, and differ from tensor to tensor.
    """
    count = rng.randint(2, 5)
    stuck, pins = (0.3, [0, 0, 0, 1, 2]) if hindered else (rng.choice([0, 0, 0.3]), rng.choice([[0], [0], [0, 0, 1, 2]]))
    tensors = []
    for op in range(count):
        for _ in range(rng.choice([1, 1, 1, 2])):
            readers = sorted({op, rng.randint(op, count - 1)}) if rng.random() < 0.3 else [op]
            source = rng.randint(-1, op - 1) if rng.random() < 0.1 else op - 1
            tensors += [(source, readers, rng.choice(CLOSE), rng.random() >= stuck)] * rng.choice([1, 1, 1, 2])
    lists = [[rng.choice(amounts) for _ in range(count)] for amounts in (CLOSE, CLOSE, [0, 0, *CLOSE], pins)]
    plain = PlainProblem(*lists, tensors)
    if not codecs:
        return plain, [[(size, 0, 0)] for _, _, size, _ in tensors], to_problem(plain)
    most = rng.choice([1, 2, 3])
    forms = [
        [(rng.choice(CLOSE), rng.choice([0, *CLOSE]), rng.choice([0, *CLOSE])) for _ in range(rng.randint(1, most))]
        for _ in tensors
    ]
    return plain, forms, replace(to_problem(plain), codecs=(made := make_codecs(forms)), wire_bytes=made.first_bytes)


def region_problem(rng: random.Random, codecs: bool) -> Problem:
    """An op, a fork of two or three branches that meet again, and an op: a region that the server mostly runs no slower.

    Some branches end dead or make a model output. With codecs, half of the problems leave each tensor one form, and half have
    forms most of which take no time.
    """
    branches = rng.randint(2, 3)
    count = branches + 3
    meeting = count - 2
    tensors = [(-1, [0], rng.choice(CLOSE), True), (0, list(range(1, meeting)), rng.choice(CLOSE[1:]), True)]
    tensors += [(branch, [meeting], rng.choice(CLOSE), True) for branch in range(1, meeting) if rng.random() < 0.9]
    tensors += [(meeting, [count - 1], rng.choice(CLOSE), True)]
    server_ns = [rng.choice(CLOSE) for _ in range(count)]
    device_ns = [4 * ns if rng.random() < 0.95 else rng.choice(CLOSE) for ns in server_ns]
    download = [rng.choice(CLOSE) if rng.random() < 0.1 else 0 for _ in range(count)]
    problem = to_problem(PlainProblem(device_ns, server_ns, download, [0] * count, tensors))
    if not codecs:
        return problem
    most, times = rng.choice([(1, [0]), (1, CLOSE), (2, [0]), (2, [0, 0, *CLOSE])])
    made = make_codecs(
        [
            [
                (size // rng.choice([1, 3, 10]) if place else size, rng.choice(times), rng.choice(times))
                for place in range(rng.randint(1, most))
            ]
            for size in problem.wire_bytes.tolist()
        ]
    )
    return replace(problem, codecs=made, wire_bytes=made.first_bytes)


def close_box(rng: random.Random) -> PriceBox:
    """A box of prices that are near each other, a link that varies a hundredfold, or any."""
    if rng.random() < 0.3:
        return price_box(rng)
    prices = [(Fraction(low), Fraction(low * rng.choice([1, 1, 2, 4]))) for low in (1, 1)]
    low = Fraction(1, rng.choice([1, 3, 10]))
    return PriceBox(*prices, (low, low * rng.choice([1, 3, 10, 100])), ONE)


def forbidding(problem: Problem, rng: random.Random) -> list[Problem]:
    """No or up to three alternatives, each of which forbids some forms."""
    forms = problem.codecs
    if forms is None or rng.random() < 0.3:
        return []
    pairs = [(tensor, form) for tensor, count in enumerate(forms.counts.tolist()) for form in range(1, count)]
    return [
        replace(problem, codecs=without(forms, [pair for pair in pairs if rng.random() < 0.4]))
        for _ in range(rng.randint(1, 3))
    ]
