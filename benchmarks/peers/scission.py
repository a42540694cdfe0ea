"""Scission's search, re-implemented from its description: all partitions of a chain over device, edge and cloud, one by one.

Lockhart, Harvey, Imai, Willis, Varghese, Scission (UCC 2020), and its README. The first blocks run on the device, the next ones
on a machine at the edge, the others on one in the cloud; each may be left out, and the device then sends to the next one used.
A partition takes the times of its blocks on their machines and, for each transfer, a ping and the bytes over a bandwidth;
the picture is on the device, the answer stays where it is made. A query makes all partitions, keeps those that its criteria
allow, and sorts them by latency.

What differs from the published program makes this one faster: times of blocks are differences of running sums, and a partition
without edge or cloud is made once, not once for each machine there. One criterion is read as the README has it: a machine that
must not be used leaves it open whether another one is; the program also asks that one is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from benchmarks.tiers.published_chains import INPUT_BYTES, Chain, Links, Machines


@dataclass(frozen=True)
class Rules:
    """What is asked of one tier.

    layers, without_layers: that must and must not run there. machine: the one that must be used.
    without_machines: that must not be used. used: whether the tier must be used, or must not; None: either.
    most_bytes: that it may send. most_ns: that it may compute. most_percent: of all computing that it may do.
    """

    layers: tuple[int, ...] = ()
    without_layers: tuple[int, ...] = ()
    machine: str | None = None
    without_machines: tuple[str, ...] = ()
    used: bool | None = None
    most_bytes: int | None = None
    most_ns: int | None = None
    most_percent: int | None = None

    @property
    def bounds_time(self) -> bool:
        return self.most_ns is not None or self.most_percent is not None


@dataclass(frozen=True)
class Question:
    """The rules of each tier."""

    device: Rules = field(default_factory=Rules)
    edge: Rules = field(default_factory=Rules)
    cloud: Rules = field(default_factory=Rules)

    def of(self, tier: str) -> Rules:
        found: Rules = getattr(self, tier)
        return found


def rules(criteria: str, **limits: int) -> Rules:
    """Criteria as the README writes them: "3, !10, name", where layer -1 stands for a tier that is not used; and limits."""
    found = Rules(**limits)  # type: ignore[arg-type]
    for text in filter(None, (each.strip() for each in criteria.split(","))):
        without, name = text.startswith("!"), text.removeprefix("!")
        if name == "-1":
            found = replace(found, used=without)
        elif name.isdigit() and without:
            found = replace(found, without_layers=(*found.without_layers, int(name)))
        elif name.isdigit():
            found = replace(found, layers=(*found.layers, int(name)))
        elif without:
            found = replace(found, without_machines=(*found.without_machines, name))
        else:
            found = replace(found, machine=name)
    return found


class Partition(NamedTuple):
    """The first `on_device` blocks run on the device, those up to `up_to_edge` at the edge, the others in the cloud.

    edge, cloud: names, None where no block is there. ns: of each tier. sent: bytes that device and edge send.
    """

    device: str
    edge: str | None
    cloud: str | None
    on_device: int
    up_to_edge: int
    block_count: int
    ns: tuple[int, int, int]
    sent: tuple[int, int]

    def latency_ns(self, links: Links) -> int:
        """From picture to answer."""
        total = sum(self.ns)
        sender = self.device
        for receiver, size in ((self.edge, self.sent[0]), (self.cloud, self.sent[0] if self.edge is None else self.sent[1])):
            if receiver is not None:
                ping_ns, byte_ns = links[sender, receiver]
                total += ping_ns + size * byte_ns
                sender = receiver
        return total

    def part(self, place: int) -> tuple[str | None, int, int]:
        """Of the tier at a place: its machine, its first block and the one after its last."""
        ends = (0, self.on_device, self.up_to_edge, self.block_count)
        return (self.device, self.edge, self.cloud)[place], ends[place], ends[place + 1]


def partitions(chain: Chain, machines: Machines, input_bytes: int = INPUT_BYTES) -> Iterator[Partition]:
    """All of them."""
    count = chain.block_count
    sizes = (input_bytes, *chain.output_bytes)
    sums = {machine: tuple(accumulate(times, initial=0)) for machine, times in chain.ns.items()}
    nothing = (0,) * (count + 1)
    for device in machines["device"]:
        here = sums[device]
        for edge in (None, *machines["edge"]):
            there = nothing if edge is None else sums[edge]
            for cloud in (None, *machines["cloud"]):
                beyond = nothing if cloud is None else sums[cloud]
                for first, second in _ends(count, edge is not None, cloud is not None):
                    sent = 0 if edge is None and cloud is None else sizes[first]
                    passed = 0 if edge is None or cloud is None else sizes[second]
                    ns = (here[first], there[second] - there[first], beyond[count] - beyond[second])
                    yield Partition(device, edge, cloud, first, second, count, ns, (sent, passed))


def _ends(count: int, edge: bool, cloud: bool) -> Iterator[tuple[int, int]]:
    """Where the device's blocks end, and where those at the edge do, if each of the other tiers that is used has a block."""
    for first in range(count + 1):
        if not edge:
            if (first < count) == cloud:
                yield first, first
        elif cloud:
            for second in range(first + 1, count):
                yield first, second
        elif first < count:
            yield first, count


Check = Callable[[Partition], bool]


def checks(chain: Chain, question: Question) -> list[Check]:
    """What each partition has to pass, one for each rule that is given."""
    asked = (question.device, question.edge, question.cloud)
    return [check for place, given in enumerate(asked) for check in _checks_of_tier(chain, place, given)]


def _checks_of_tier(chain: Chain, place: int, given: Rules) -> Iterator[Check]:
    def runs(partition: Partition, block: int) -> bool:
        _, first, end = partition.part(place)
        return first <= block < end

    def used(partition: Partition) -> bool:
        _, first, end = partition.part(place)
        return first < end

    inside, outside = ([chain.block_of(layer) for layer in layers] for layers in (given.layers, given.without_layers))
    if inside:
        yield lambda partition: all(runs(partition, block) for block in inside)
    if outside:
        yield lambda partition: not any(runs(partition, block) for block in outside)
    if given.used is not None:
        yield lambda partition: used(partition) == given.used
    if given.machine is not None:
        yield lambda partition: partition.part(place)[0] == given.machine and used(partition)
    if given.without_machines:
        yield lambda partition: not (used(partition) and partition.part(place)[0] in given.without_machines)
    if (most_bytes := given.most_bytes) is not None:
        yield lambda partition: _sent(partition, place) <= most_bytes
    if (most_ns := given.most_ns) is not None:
        yield lambda partition: partition.ns[place] <= most_ns
    if (most_percent := given.most_percent) is not None:
        yield lambda partition: 100 * partition.ns[place] <= most_percent * sum(partition.ns)


def _sent(partition: Partition, place: int) -> int:
    return partition.sent[place] if place < len(partition.sent) else 0


def allowed(chain: Chain, machines: Machines, question: Question, input_bytes: int = INPUT_BYTES) -> list[Partition]:
    """The partitions that the criteria allow."""
    passed: Sequence[Partition] = list(partitions(chain, machines, input_bytes))
    for check in checks(chain, question):
        passed = [partition for partition in passed if check(partition)]
    return list(passed)


def query(
    chain: Chain, machines: Machines, links: Links, question: Question, input_bytes: int = INPUT_BYTES
) -> list[tuple[int, Partition]]:
    """All allowed partitions with their latencies in nanoseconds, the fastest first: what one query of Scission does."""
    found = [(partition.latency_ns(links), partition) for partition in allowed(chain, machines, question, input_bytes)]
    found.sort(key=lambda each: each[0])
    return found


class KeptPartitions:
    """The allowed partitions as rows of a matrix, kept from one query to the next and priced by one product.

    Their program does not do so; it is here to tell what a table gains over an enumeration that is made well. Amounts and
    latencies are whole numbers below 2^53, so that the product of floats is exact.
    """

    def __init__(self, kept: Sequence[Partition]) -> None:
        self.kept = kept
        pairs = [_transfers(partition) for partition in kept]
        self._links = sorted({link for each in pairs for link, _ in each})
        self._amounts = np.zeros((len(kept), 1 + 2 * len(self._links)))
        for row, partition, transfers in zip(self._amounts, kept, pairs, strict=True):
            row[0] = sum(partition.ns)
            for link, size in transfers:
                place = 1 + 2 * self._links.index(link)
                row[place : place + 2] = 1, size

    def fastest(self, links: Links) -> tuple[int, Partition]:
        """Nanoseconds, and the partition. Raises ValueError if there is none."""
        prices = np.array([1, *(price for link in self._links for price in links[link])], dtype=np.float64)
        total = self._amounts @ prices
        best = int(total.argmin())
        return int(total[best]), self.kept[best]


def _transfers(partition: Partition) -> list[tuple[tuple[str, str], int]]:
    """The links that a partition uses, each with the bytes that it sends over it."""
    used = [machine for machine in (partition.device, partition.edge, partition.cloud) if machine is not None]
    return list(zip(pairwise(used), partition.sent, strict=False))


def as_printed(latency_ns: int, partition: Partition, chain: Chain) -> str:
    """As the README prints an answer."""

    def part(title: str, place: int) -> str:
        machine, first, end = partition.part(place)
        span = (chain.layers[first][0], chain.layers[end - 1][1]) if first < end else (-1, -1)
        return f"{title}({machine}) = {span[0]} - {span[1]}"

    parts = ", ".join(part(title, place) for place, title in enumerate(("Device", "Edge", "Cloud")))
    return f"{latency_ns / 1e9:.4f}s - {sum(partition.sent) / 1e6:.4f}MB - {parts}"
