"""The slow truth for tiers in a row: a tier for every op in every way, priced term by term. Shares no code with `mincut`."""

from __future__ import annotations

from itertools import product

from benchmarks.harness.random_tiers import PlainTiers


def cheapest_tiers(plain: PlainTiers, prices: tuple[tuple[int, ...], ...]) -> int | None:
    """Lowest cost, exact, or None if nothing is allowed."""
    ranges = [range(low, high + 1) for low, high in zip(plain.lowest, plain.highest, strict=True)]
    costs = (_cost(plain, prices, tiers) for tiers in product(*ranges))
    return min((cost for cost in costs if cost is not None), default=None)


def _cost(plain: PlainTiers, prices: tuple[tuple[int, ...], ...], tiers: tuple[int, ...]) -> int | None:
    """None if the assignment is not allowed."""
    compute, upload, download, round_trip = prices
    cost = sum(compute[tier] * plain.tier_ns[tier][op] for op, tier in enumerate(tiers))
    for producer, readers, forms, may_cross in plain.tensors:
        made_on = tiers[producer] if producer >= 0 else 0
        read_on = [tiers[reader] for reader in readers]
        if min(read_on) < made_on:
            return None
        for link in range(made_on, max(read_on)):
            if not may_cross[link]:
                return None
            cost += min(
                upload[link] * wire_bytes + compute[link] * encode_ns + compute[link + 1] * decode_ns
                for wire_bytes, encode_ns, decode_ns in forms[link]
            )
    for op, tier in enumerate(tiers):
        cost += sum(download[link] * plain.download_bytes[op] for link in range(tier))
    return cost + sum(round_trip[link] for link in range(max(tiers, default=0)))
