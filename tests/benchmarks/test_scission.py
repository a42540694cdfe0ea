"""Scission again: its printed answers come out, and minimum cuts, enumeration and trying everything find the same optima."""

from __future__ import annotations

import random
from itertools import pairwise, product

import pytest

from benchmarks.peers.scission import KeptPartitions, Partition, Question, Rules, allowed, as_printed, query, rules
from benchmarks.tiers.block_tables import Line, block_table
from benchmarks.tiers.published_chains import TIERS, Chain, Link, Links, load
from benchmarks.tiers.scission import questions, with_uplink

MACHINES = {"device": ("d",), "edge": ("e", "f"), "cloud": ("c", "g")}
INPUT_BYTES = 100
# Within what the tables are for.
LEAST_NS, MOST_NS = 8, 80_000


def drawn(rng: random.Random) -> tuple[Chain, Links]:
    """A chain of up to five blocks, with zeros and ties, and links that make the way round the edge short at times."""
    blocks = rng.randint(1, 5)
    firsts = sorted(rng.sample(range(1, 9), blocks - 1))
    layers = tuple((first, end - 1) for first, end in zip([0, *firsts], [*firsts, 9], strict=True))
    names = [name for tier in TIERS for name in MACHINES[tier]]
    amounts = (0, 1, 1_000, 200_000, 3_000_000)
    ns = {name: tuple(rng.choice(amounts) for _ in range(blocks)) for name in names}
    chain = Chain("drawn", layers, ns, tuple(rng.choice((1, 40, 100, 900)) for _ in range(blocks)))
    device_ns = rng.randint(LEAST_NS, MOST_NS)
    pairs = [("d", far) for far in "efcg"] + [(edge, cloud) for edge in "ef" for cloud in "cg"]
    return chain, {
        pair: Link(rng.choice((0, 1_000, 500_000)), device_ns if pair[0] == "d" else rng.randint(LEAST_NS, MOST_NS))
        for pair in pairs
    }


def drawn_rules(rng: random.Random, tier: str) -> Rules:
    """One criterion or none, or a limit."""
    name = rng.choice(MACHINES[tier])
    text = rng.choice(["", "", "-1", "!-1", "0", "4", "!8", "!3", "!5, !1", name, f"!{name}", f"4, !8, {name}"])
    limit = rng.choice([{}, {}, {}, {"most_bytes": 50}, {"most_ns": 201_000}, {"most_percent": rng.choice((0, 30, 70))}])
    return rules(text, **limit)


def keeps(given: Rules, name: str, run: list[int], chain: Chain, sent: int, total_ns: int) -> bool:
    """Does a tier keep its rules? run: the blocks on it."""
    own = {layer for block in run for layer in range(chain.layers[block][0], chain.layers[block][1] + 1)}
    spent_ns = sum(chain.ns[name][block] for block in run)
    return not (
        (given.used is not None and bool(run) != given.used)
        or (given.machine is not None and (not run or name != given.machine))
        or (run and name in given.without_machines)
        or not set(given.layers) <= own
        or set(given.without_layers) & own
        or (given.most_bytes is not None and sent > given.most_bytes)
        or (given.most_ns is not None and spent_ns > given.most_ns)
        or (given.most_percent is not None and 100 * spent_ns > given.most_percent * total_ns)
    )


def least_ns(chain: Chain, links: Links, asked: Question) -> int | None:
    """By trying every machine for every block; None if nothing is allowed. Shares no code with what it judges."""
    best: list[int] = []
    for names in product(*(MACHINES[tier] for tier in TIERS)):
        for tiers in product(range(3), repeat=chain.block_count):
            if list(tiers) != sorted(tiers):
                continue
            runs = [[block for block, tier in enumerate(tiers) if tier == place] for place in range(3)]
            total = spent = sum(chain.ns[names[place]][block] for place in range(3) for block in runs[place])
            at, sent = 0, [0, 0, 0]
            for block, place in enumerate(tiers):
                if place != at:
                    size = chain.output_bytes[block - 1] if block else INPUT_BYTES
                    sent[at], link = size, links[names[at], names[place]]
                    total += link.ping_ns + size * link.byte_ns
                    at = place
            if all(keeps(asked.of(tier), names[i], runs[i], chain, sent[i], spent) for i, tier in enumerate(TIERS)):
                best.append(total)
    return min(best, default=None)


@pytest.mark.parametrize("seed", range(60))
def test_minimum_cuts_and_enumeration_find_what_trying_everything_finds(seed: int) -> None:
    rng = random.Random(seed)
    chain, links = drawn(rng)
    asked = Question(*(drawn_rules(rng, tier) for tier in TIERS))
    expected = least_ns(chain, links, asked)
    listed = query(chain, MACHINES, links, asked, INPUT_BYTES)
    assert (listed[0][0] if listed else None) == expected
    table = block_table(chain, MACHINES, asked, INPUT_BYTES)
    found = table.fastest(links)
    assert (None if found is None else found.latency_ns(links)) == expected
    if found is None:
        return
    assert as_partition(found, chain) in allowed(chain, MACHINES, asked, INPUT_BYTES), "what is found keeps the criteria"
    assert KeptPartitions([each for _, each in listed]).fastest(links)[0] == expected
    for byte_ns in (LEAST_NS, rng.randint(LEAST_NS, MOST_NS), MOST_NS):
        elsewhere = with_uplink(links, byte_ns)
        line = table.by_uplink(links).at(8e9 / byte_ns)
        assert line.latency_ns(elsewhere) == query(chain, MACHINES, elsewhere, asked, INPUT_BYTES)[0][0]


def as_partition(line: Line, chain: Chain) -> Partition:
    """The same in the words of the enumeration."""
    edge, cloud = (next((name for name in line.machines if name in MACHINES[tier]), None) for tier in TIERS[1:])
    on = [line.machines[place] for place in line.tier]
    first = on.count(line.machines[0])
    second = first + (on.count(edge) if edge else 0)
    ns = [sum(chain.ns[on[block]][block] for block in span) for span in (range(first), range(first, second))]
    rest = sum(chain.ns[on[block]][block] for block in range(second, chain.block_count))
    sent = (*line.sent, 0, 0)[:2]
    return Partition(line.machines[0], edge, cloud, first, second, chain.block_count, (*ns, rest), (sent[0], sent[1]))


def test_the_printed_answers_come_out_again() -> None:
    published = load()
    readme = published.readme
    chain, links = published.chains[readme["model"]], published.networks[readme["network"]]
    listed = query(chain, published.machines, links, Question(*(rules(readme[tier]) for tier in TIERS)))
    assert [as_printed(*each, chain) for each in listed[: len(readme["answers"])]] == readme["answers"]


def test_times_of_dispatch_are_no_costs() -> None:
    published = load()
    assert published.machines["cloud"] == ("6700k(GPU)", "6700k(NoGPU)") and published.costed["cloud"] == ("6700k(NoGPU)",)
    assert len(published.chains) == 18
    for chain in published.chains.values():
        assert {len(times) for times in chain.ns.values()} == {chain.block_count}
        assert chain.layers[0][0] == 0 and all(one[1] + 1 == other[0] for one, other in pairwise(chain.layers))


@pytest.mark.parametrize("name", ["nasnetmobile", "xception"])
def test_a_published_network_has_the_same_optima(name: str) -> None:
    published = load()
    chain = published.chains[name]
    for asked in list(questions(chain).values())[:12]:
        table = block_table(chain, published.costed, asked)
        for links in published.networks.values():
            listed, found = query(chain, published.costed, links, asked), table.fastest(links)
            assert (found is None) == (not listed)
            assert found is None or found.latency_ns(links) == listed[0][0]


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no layer 400"):
        load().chains["vgg16"].block_of(400)
