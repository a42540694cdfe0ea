"""Random problems on tiers in a row: small and nasty for brute force."""

from __future__ import annotations

import random
from dataclasses import dataclass

from benchmarks.harness.random_problems import PRICES, small_problem
from mincut.tiers import TierPrices, TierProblem, make_tiers


@dataclass(frozen=True)
class PlainTiers:
    """A problem as plain lists, which owes nothing to `mincut`.

    tensors: (producer or -1, readers, its forms at each link as (wire bytes, encoding, decoding), may it cross each link).
    """

    tier_ns: list[list[int]]
    download_bytes: list[int]
    lowest: list[int]
    highest: list[int]
    tensors: list[tuple[int, list[int], list[list[tuple[int, int, int]]], list[bool]]]

    @property
    def op_count(self) -> int:
        return len(self.download_bytes)

    @property
    def tier_count(self) -> int:
        return len(self.tier_ns)


def small_tiers(rng: random.Random, tiers: int, most_ops: int, *, amounts: list[int], with_codecs: bool) -> PlainTiers:
    """Any DAG, as `small_problem` draws it, with pins to ranges of tiers; some tensors may not cross some links."""
    plain = small_problem(rng, most_ops, amounts=amounts, stuck=0.0)
    links = range(tiers - 1)

    def forms(wire_bytes: int) -> list[tuple[int, int, int]]:
        more = rng.choice([0, 0, 1, 2]) if with_codecs else 0
        return [(wire_bytes, 0, 0), *(tuple(rng.choice(amounts) for _ in range(3)) for _ in range(more))]  # type: ignore[list-item]

    spans = [sorted(rng.choices(range(tiers), k=2)) if rng.random() < 0.12 else [0, tiers - 1] for _ in range(plain.op_count)]
    return PlainTiers(
        [[rng.choice(amounts) for _ in range(plain.op_count)] for _ in range(tiers)],
        plain.download_bytes,
        [low for low, _ in spans],
        [high for _, high in spans],
        [
            (producer, readers, [forms(size) for _ in links], [rng.random() > 0.05 for _ in links])
            for producer, readers, size, _ in plain.tensors
        ],
    )


def random_tier_prices(rng: random.Random, tiers: int) -> TierPrices:
    def draw(count: int) -> tuple[int, ...]:
        return tuple(rng.choice(PRICES) for _ in range(count))

    return TierPrices(draw(tiers), draw(tiers - 1), draw(tiers - 1), draw(tiers - 1))


def to_tier_problem(plain: PlainTiers) -> TierProblem:
    links = range(plain.tier_count - 1)
    return make_tiers(
        plain.tier_ns,
        [(producer, readers, 0) for producer, readers, _, _ in plain.tensors],
        download_bytes=plain.download_bytes,
        lowest=plain.lowest,
        highest=plain.highest,
        may_cross=[[allowed[link] for _, _, _, allowed in plain.tensors] for link in links],
        codecs=[[forms[link] for _, _, forms, _ in plain.tensors] for link in links],
    )
