"""18 networks as chains of blocks with their published times on five machines, and the two published networks between these."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.wire.published_blocks import DATA

HEADER_BYTES = 128
"""Of the files whose sizes were published."""

INPUT_BYTES = 150_000
"""Of the picture, unless something else is said: 0.15 MB, as published."""

TIERS = ("device", "edge", "cloud")
DISPATCH = "gpu_dispatch_s"
NS_PER_S = 10**9
# 1 Mbit/s is a byte in so many nanoseconds.
_BYTE_NS_MBPS = 8_000


class Link(NamedTuple):
    """A transfer takes `ping_ns`, and `byte_ns` for each byte."""

    ping_ns: int
    byte_ns: int


Links = dict[tuple[str, str], Link]
"""By the names of the machines that send and receive."""

Machines = dict[str, tuple[str, ...]]
"""Of each tier the names of the machines that one of may be used."""


@dataclass(frozen=True)
class Chain:
    """A network as a chain: the output of a block is read by the next block alone.

    layers: of each block its first and last layer. ns: of each machine the time of each block.
    output_bytes: of each block, with the header of its file, as published.
    """

    name: str
    layers: tuple[tuple[int, int], ...]
    ns: dict[str, tuple[int, ...]]
    output_bytes: tuple[int, ...]

    @property
    def block_count(self) -> int:
        return len(self.layers)

    def block_of(self, layer: int) -> int:
        """The block that a layer is in. Raises ValueError if there is no such layer."""
        for block, (first, last) in enumerate(self.layers):
            if first <= layer <= last:
                return block
        raise ValueError(f"{self.name} has no layer {layer}; its last one is {self.layers[-1][1]}")


@dataclass(frozen=True)
class Published:
    """machines: all of them. costed: those whose times are costs, and not only what dispatching kernels took.

    networks: by name. readme: the model, network, criteria and answers of the example in the README.
    """

    chains: dict[str, Chain]
    machines: Machines
    costed: Machines
    networks: dict[str, Links]
    readme: dict[str, Any]


def load() -> Published:
    """All of it. Times are whole nanoseconds, so that latencies can be compared exactly."""
    body = json.loads(DATA.read_text(encoding="utf-8"))
    column_of = {machine: told["column"] for machine, told in body["machines"].items()}
    tier_of = {machine: told["tier"] for machine, told in body["machines"].items()}
    columns = body["columns"]

    def chain(name: str, rows: list[list[float]]) -> Chain:
        def of(column: str) -> list[float]:
            return [row[columns.index(column)] for row in rows]

        ns = {machine: tuple(round(time * NS_PER_S) for time in of(column)) for machine, column in column_of.items()}
        layers = tuple((int(row[0]), int(row[1])) for row in rows)
        return Chain(name, layers, ns, tuple(int(size) + HEADER_BYTES for size in of("output_bytes")))

    def links(rows: list[list[Any]]) -> Links:
        return {(one, other): link(ping_ms, mbps) for one, other, ping_ms, mbps in rows}

    machines = {tier: tuple(name for name in tier_of if tier_of[name] == tier) for tier in TIERS}
    costed = {tier: tuple(name for name in names if column_of[name] != DISPATCH) for tier, names in machines.items()}
    return Published(
        {name: chain(name, entry["blocks"]) for name, entry in body["models"].items()},
        machines,
        costed,
        {name: links(rows) for name, rows in body["networks"].items()},
        body["readme"],
    )


def link(ping_ms: float, mbps: float) -> Link:
    """In nanoseconds, the time of a byte rounded to a whole one: nothing is lost at the published bandwidths."""
    return Link(round(ping_ms * 1e6), round(_BYTE_NS_MBPS / mbps))
