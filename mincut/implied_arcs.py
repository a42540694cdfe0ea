"""A network without the infinite arcs that others imply: a tenth of the arcs of a DenseNet, the same minimum cuts.

A tensor with many readers brings two infinite arcs for each: reader → producer (data never flows back) and gadget → reader.
If reader r is upstream of reader s, then s on the device implies r on the device, hop by hop. So s → producer follows from
r → producer, and gadget → r from gadget → s. Every hop on the way from s to r is shorter than the one it stands in for, so by
induction over their length all of them may go at once. A cut of finite cost breaks a dropped arc only if it breaks a kept one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mincut.network import INFINITE, NOTHING, Network
from mincut.problem import MODEL_INPUT, Problem

# How far back upstream ops are remembered. Beyond it an implied arc is merely kept, and large graphs take linear memory.
WINDOW = 1024


def without_implied_arcs(network: Network) -> Network:
    """The same nodes, fewer arcs; every placement costs what it did and the same ones are allowed."""
    tail = np.repeat(np.arange(network.node_count), np.diff(network.start))
    keys = np.array(_implied(network.problem), dtype=np.int64).reshape(-1, 2)
    implied = np.isin(tail * network.node_count + network.arc_head, keys[:, 0] * network.node_count + keys[:, 1])
    # Only pairs that forbid and cost nothing: not the pair of a wire, whose way back forbids.
    implied &= (network.arc_tensor == INFINITE) & (network.arc_tensor[network.reverse] == NOTHING)
    kept = ~(implied | implied[network.reverse])
    start = np.zeros(network.node_count + 1, dtype=np.int64)
    np.cumsum(np.bincount(tail[kept], minlength=network.node_count), out=start[1:])
    place = np.cumsum(kept) - 1
    return replace(
        network,
        start=start,
        reverse=place[network.reverse[kept]],
        arc_head=network.arc_head[kept],
        arc_tensor=network.arc_tensor[kept],
    )


def _implied(problem: Problem) -> list[tuple[int, int]]:
    """(tail, head) of the implied arcs; gadgets are numbered as in `mincut.network.build`."""
    producers, readers_of = problem.producer.tolist(), np.split(problem.consumers, problem.consumer_start[1:-1])
    upstream = _upstream(problem)
    implied: list[tuple[int, int]] = []
    gadget = problem.op_count - 1
    for producer, consumers in zip(producers, readers_of, strict=False):
        if len(consumers) < 2:
            continue
        gadget += 1
        readers = consumers.tolist()
        last = readers[-1]
        # Bit k stands for op last - 1 - k in both.
        above, among = 0, 0
        for reader in readers:
            above |= upstream[reader] << (last - reader)
            if reader != last:
                among |= 1 << (last - 1 - reader)
        for reader in readers:
            if reader != last and above >> (last - 1 - reader) & 1:
                implied.append((gadget, reader))
            if producer != MODEL_INPUT and upstream[reader] & (among >> (last - reader)):
                implied.append((reader, producer))
    return implied


def _upstream(problem: Problem) -> list[int]:
    """For each op v a bit set: bit k says that op v - 1 - k is upstream of it, for k < WINDOW."""
    read_from: list[set[int]] = [set() for _ in range(problem.op_count)]
    tensor_of_reader = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    for producer, reader in zip(problem.producer[tensor_of_reader].tolist(), problem.consumers.tolist(), strict=True):
        if producer != MODEL_INPUT and reader - producer <= WINDOW:
            read_from[reader].add(producer)
    remembered = (1 << WINDOW) - 1
    upstream: list[int] = []
    for op, producers in enumerate(read_from):
        found = 0
        for producer in producers:
            found |= (upstream[producer] << 1 | 1) << (op - 1 - producer)
        upstream.append(found & remembered)
    return upstream
