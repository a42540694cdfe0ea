"""One problem, op costs that change with every call: a re-profiled device, a loaded server, compressed tensors.

`solve` does everything that depends on the structure alone anew, checks all of it and returns a witness. `prepare` does
that once; what is left for a call are two compiled passes, one that fills in capacities and one that finds the cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import index

import numpy as np
import numpy.typing as npt

from mincut.errors import BadProblemError, MincutError
from mincut.implied_arcs import without_implied_arcs
from mincut.network import Network, build
from mincut.problem import LARGEST_COST, BoolArray, IntArray, Prices, Problem
from mincut.solver import flow_kernel

# A price from here on makes anything it multiplies cost more than is allowed, just as every larger one does.
ENDLESS_PRICE = 2 * LARGEST_COST
INT64 = np.dtype(np.int64)


@dataclass(frozen=True, eq=False)
class PreparedProblem:
    """Everything about a problem but its costs. Calls share nothing that is written to: safe in several threads.

    problem: what it was made from; pins, download bytes and which tensors may cross stay as they are there.
    node_count, start, reverse, arc_head: as in `mincut.network.Network`, without implied arcs.
    feasible: bool[n], a placement that is allowed whatever the costs.
    wire_bytes: int64[K], of the codecs of the problem's tensors.
    ops, codecs, arc_tensor, fed, fill: see `mincut.kernels.pricing.run`.
    run: a kernel, see `mincut.kernels.dinic.run`.
    """

    problem: Problem
    node_count: int
    start: IntArray
    reverse: IntArray
    arc_head: IntArray
    feasible: BoolArray
    wire_bytes: IntArray
    ops: IntArray
    codecs: IntArray
    arc_tensor: IntArray
    fed: IntArray
    fill: Callable[..., tuple[int, int]]
    run: Callable[..., int]

    def solve(
        self, device_ns: IntArray, server_ns: IntArray, prices: Prices, wire_bytes: IntArray | None = None
    ) -> tuple[BoolArray, int]:
        """The cheapest placement with these op costs, the one with the fewest ops on the device if several are.

        Args:
            device_ns, server_ns: int64[n], each 0..2^48.
            wire_bytes: int64[m], each 0..2^48; None for those of the problem. Only where tensors cross as they are.

        Returns:
            on_device: bool[n], and its cost: exactly what `mincut.solver.solve` finds for the same numbers.

        Raises:
            BadProblemError: an array of the wrong type, length or range, or wire bytes where tensors have codecs; names it.
            MincutError: prices that are negative or too large.
        """
        problem = self.problem
        if wire_bytes is None:
            wire_bytes = self.wire_bytes
        elif problem.codecs is not None:
            raise BadProblemError("wire_bytes cannot be given where tensors have codecs: make a problem with other codecs")
        else:
            _check_array(wire_bytes, "wire_bytes", problem.tensor_count)
        ops = problem.op_count
        _check_array(device_ns, "device_ns", ops)
        _check_array(server_ns, "server_ns", ops)
        if min(prices) < 0:
            raise MincutError(f"prices must not be negative, got {prices}")
        if max(prices) > ENDLESS_PRICE:
            prices = Prices(*(min(price, ENDLESS_PRICE) for price in prices))
        capacity = np.empty(len(self.arc_tensor), INT64)
        terminal = np.empty(self.node_count, INT64)
        trouble, constant = self.fill(
            device_ns,
            server_ns,
            wire_bytes,
            self.ops,
            self.codecs,
            self.arc_tensor,
            self.fed,
            tuple(map(index, prices)),
            capacity,
            terminal,
        )
        if trouble:
            raise _explained(trouble, device_ns, server_ns, wire_bytes, prices)
        on_source_side = np.empty(self.node_count, dtype=np.bool_)
        flow = self.run(self.start, self.arc_head, self.reverse, capacity, terminal, on_source_side)
        return on_source_side[:ops], flow + constant


def prepare(problem: Problem | Network) -> PreparedProblem:
    """Lay out everything that does not depend on costs. Loads numba.

    Raises:
        InfeasibleError: no placement is allowed.
    """
    from mincut.kernels import pricing

    problem = problem.problem if isinstance(problem, Network) else problem
    network = without_implied_arcs(build(problem))
    forms = problem.forms
    # Under the first codec of its tensor, as `Problem.features` counts without a choice.
    crosses = np.zeros(len(forms.wire_bytes), INT64)
    crosses[forms.start[:-1][problem.crossing(network.feasible)]] = 1
    tensor = np.repeat(np.arange(problem.tensor_count), forms.counts)
    return PreparedProblem(
        problem=problem,
        node_count=network.node_count,
        start=network.start,
        reverse=network.reverse,
        arc_head=network.arc_head,
        feasible=network.feasible,
        wire_bytes=forms.wire_bytes,
        ops=np.array((problem.download_bytes, problem.pinned, network.feasible), INT64),
        codecs=np.array((forms.device_ns, forms.server_ns, tensor, crosses), INT64),
        arc_tensor=network.arc_tensor,
        fed=np.array((network.fed_node, network.fed_tensor), INT64),
        fill=pricing.run,
        run=flow_kernel(),
    )


def _check_array(array: npt.NDArray[np.int64], name: str, length: int) -> None:
    # One contiguous layout, or numba compiles everything again for another.
    if not isinstance(array, np.ndarray) or array.dtype != INT64 or array.shape != (length,):
        raise BadProblemError(f"{name} must be an int64 array of {length} entries, got {array!r}")
    if not array.flags.c_contiguous:
        raise BadProblemError(f"{name} must be contiguous; pass numpy.ascontiguousarray({name})")


def _explained(trouble: int, device_ns: IntArray, server_ns: IntArray, wire_bytes: IntArray, prices: Prices) -> MincutError:
    from mincut.kernels import pricing

    arrays = {
        pricing.BAD_DEVICE: ("device_ns", device_ns),
        pricing.BAD_SERVER: ("server_ns", server_ns),
        pricing.BAD_WIRE: ("wire_bytes", wire_bytes),
    }
    if trouble in arrays:
        name, array = arrays[trouble]
        return BadProblemError(f"{name} must lie in 0..2^48 and sum below 2^62; it spans {array.min()}..{array.max()}")
    return MincutError(f"every known placement costs 2^60 or more at {prices}: scale the prices down")
