"""DADS to the letter: the capacities of Hu, Bao, Wang, Liu, INFOCOM 2019, Eq. 4, and its solver, Boykov-Kolmogorov.

    layer → cloud     time on the edge device           entry → layer     time in the cloud
    layer → reader    bytes / uplink, one reader        layer → copy      bytes / uplink, several readers
    copy → readers    infinite

Nothing keeps data from flowing back, and neither the way back of the result nor the rtt is paid. The paper's first layer is
the input; as in its re-implementations it is tied to the device. A layer with several tensors counts each as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import maxflow
import numpy as np

from benchmarks.peers.formulation import Array, capped
from mincut.problem import MODEL_INPUT, BoolArray, Prices, Problem


@dataclass(frozen=True, eq=False)
class Dads:
    """Vertices are the ops, then one per model input, then one copy per tensor with several readers."""

    problem: Problem
    node_count: int
    tail: Array
    head: Array
    arc_bytes: Array
    inputs: Array

    def graph(self, prices: Prices, infinite: int) -> maxflow.GraphInt:
        """Built anew for every bandwidth, as the paper does, in O(vertices + links)."""
        ops = self.problem.op_count
        from_source = np.zeros(self.node_count, dtype=np.int64)
        to_sink = np.zeros(self.node_count, dtype=np.int64)
        from_source[:ops] = capped(self.problem.server_ns, prices.server, infinite)
        to_sink[:ops] = capped(self.problem.device_ns, prices.device, infinite)
        from_source[self.inputs] = infinite
        graph = maxflow.GraphInt(self.node_count, len(self.tail))
        nodes = graph.add_nodes(self.node_count)
        graph.add_edges(self.tail, self.head, capped(self.arc_bytes, prices.upload, infinite), np.zeros_like(self.tail))
        graph.add_grid_tedges(nodes, from_source, to_sink)
        return graph

    def cut(self, prices: Prices, infinite: int) -> BoolArray:
        """bool[ops], True on the edge device."""
        graph = self.graph(prices, infinite)
        graph.maxflow()
        return ~np.asarray(graph.get_grid_segments(np.arange(self.problem.op_count)))


def dads(problem: Problem) -> Dads:
    """Lay out Eq. 4 for a problem without pins."""
    tails, heads, sizes, inputs = [], [], [], []
    node_count = problem.op_count
    for tensor in range(problem.tensor_count):
        source, readers = int(problem.producer[tensor]), problem.readers(tensor).tolist()
        if source == MODEL_INPUT:
            source, node_count = node_count, node_count + 1
            inputs.append(source)
        target = readers[0]
        if len(readers) > 1:
            target, node_count = node_count, node_count + 1
            tails += [target] * len(readers)
            heads += readers
            sizes += [-1] * len(readers)
        tails.append(source)
        heads.append(target)
        sizes.append(int(problem.wire_bytes[tensor]))
    arrays = (np.array(each, dtype=np.int64) for each in (tails, heads, sizes, inputs))
    return Dads(problem, node_count, *arrays)


@dataclass(frozen=True, eq=False)
class Flowback:
    """What data pays that flows back from server to device: DADS does not see it, a runtime must send it."""

    producer: Array
    reader: Array
    tensor: Array
    wire_bytes: Array

    def bytes(self, on_device: BoolArray) -> int:
        """Bytes of tensors made on the server that some op on the device reads; 0 if the cut is feasible without them."""
        back = ~on_device[self.producer] & on_device[self.reader]
        return int(self.wire_bytes[np.unique(self.tensor[back])].sum()) if back.any() else 0

    def any(self, on_device: BoolArray) -> bool:
        return bool((~on_device[self.producer] & on_device[self.reader]).any())


def flowback(problem: Problem) -> Flowback:
    """Prepare the check."""
    tensor = np.repeat(np.arange(problem.tensor_count), np.diff(problem.consumer_start))
    from_op = problem.producer[tensor] != MODEL_INPUT
    tensor, reader = tensor[from_op], problem.consumers[from_op]
    return Flowback(problem.producer[tensor], reader, tensor, problem.wire_bytes)
