"""An independent proof that a placement is the cheapest. Never imports the solver or a kernel.

Weak duality: for every flow f and every allowed placement S, value(f) <= cost(S). So a flow worth exactly the cost of a
placement proves that this placement is the cheapest. The cost is counted from the `Problem`; the flow is checked against
the capacities of the formulation; nothing the solver says is believed.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mincut.capped import HALF_BITS, LOW_HALF, halves, total_at
from mincut.errors import CertificateError
from mincut.network import Network, price
from mincut.placement import Placement
from mincut.problem import LARGEST_COST, IntArray, Problem
from mincut.sections import Sections, class_costs, price_sections


def certify(network: Network, placement: Placement) -> None:
    """Check a placement and its witness; return silently when the proof holds.

    Raises:
        CertificateError: saying which part does not hold, with the two values that disagree.
    """
    cost = _counted(network.problem, placement)
    value = flow_value(network, placement)
    if value != cost:
        raise CertificateError(f"the flow is worth {value}, the placement costs {cost}: no proof that it is the cheapest")


def certify_sections(sections: Sections, placement: Placement) -> None:
    """The same for an answer of `mincut.section_solver`, whose flow is one in the network of the sections.

    For each class of placements the flow in its section bounds from below what any of them costs, and by the theorem in
    `mincut.sections` every allowed placement is in a class.

    Raises:
        CertificateError: saying which part does not hold, with the two values that disagree.
    """
    cost = _counted(sections.problem, placement)
    if placement.prices.offload:
        raise CertificateError(f"sections leave out the offload price, here {placement.prices.offload}")
    # Any limit will do: a flow within lower capacities is one within the true ones.
    priced = price_sections(sections, placement.prices, LARGEST_COST)
    check_flow(sections.network, priced.capacity, priced.terminal, placement.arc_flow, placement.terminal_flow)
    bounds = class_costs(sections, priced, placement.terminal_flow)
    loose = int(bounds.argmin())
    if bounds[loose] < cost:
        raise CertificateError(
            f"the flow in section {loose} is worth {bounds[loose]}, the placement costs {cost}: no proof that none is cheaper"
        )


def _counted(problem: Problem, placement: Placement) -> int:
    """What the placement costs, counted from the problem alone, after checking that it is allowed and says so itself."""
    if placement.on_device.shape != (problem.op_count,):
        raise CertificateError(f"on_device has shape {placement.on_device.shape}, expected ({problem.op_count},)")
    violation = problem.violation(placement.on_device)
    if violation is not None:
        raise CertificateError(f"the placement is not allowed: {violation}")
    cost = problem.features(placement.on_device, placement.codec).cost(placement.prices)
    if cost != placement.cost:
        raise CertificateError(f"the placement costs {cost}, it claims {placement.cost}")
    return cost


def flow_value(network: Network, placement: Placement) -> int:
    """Value of the witness flow, constant included, after checking that it is a flow.

    Raises:
        CertificateError: capacity, antisymmetry or conservation is violated, naming the arc or node.
    """
    # `certify` has counted the cost of this very placement, so it is one that bounds the capacities that matter.
    priced = price(network, placement.prices, placement.cost)
    terminal_flow = placement.terminal_flow
    check_flow(network, priced.capacity, priced.terminal, placement.arc_flow, terminal_flow)
    return int(terminal_flow[terminal_flow > 0].sum(dtype=object)) + priced.constant


class Arcs(Protocol):
    """The shape of a network: arcs grouped by tail, in pairs, as in `mincut.network.Network`."""

    @property
    def node_count(self) -> int: ...

    @property
    def start(self) -> IntArray: ...

    @property
    def reverse(self) -> IntArray: ...


def check_flow(network: Arcs, capacity: IntArray, terminal: IntArray, flow: IntArray, terminal_flow: IntArray) -> None:
    """Is it a flow?

    Args:
        capacity, flow: int64[A]. terminal, terminal_flow: int64[N].

    Raises:
        CertificateError: capacity, antisymmetry or conservation is violated, naming the arc or node.
    """
    if flow.shape != capacity.shape or terminal_flow.shape != terminal.shape:
        raise CertificateError(f"the flow has {flow.shape} arcs, the network {capacity.shape}")
    over = np.flatnonzero(flow > capacity)
    if len(over):
        raise CertificateError(f"arc {over[0]} carries {flow[over[0]]}, its capacity is {capacity[over[0]]}")
    skew = np.flatnonzero(flow != -flow[network.reverse])
    if len(skew):
        raise CertificateError(f"arc {skew[0]} carries {flow[skew[0]]}, its reverse {flow[network.reverse[skew[0]]]}")
    wrong_sign = np.flatnonzero((np.sign(terminal_flow) * np.sign(terminal) < 0) | (np.abs(terminal_flow) > np.abs(terminal)))
    if len(wrong_sign):
        node = wrong_sign[0]
        raise CertificateError(f"node {node} exchanges {terminal_flow[node]}, allowed is {terminal[node]}")
    tail = np.repeat(np.arange(network.node_count), np.diff(network.start))
    leaving = total_at(tail, halves(flow), network.node_count)
    wrong = (leaving[0] + (leaving[1] >> HALF_BITS) != terminal_flow >> HALF_BITS) | (
        leaving[1] & LOW_HALF != terminal_flow & LOW_HALF
    )
    leaky = np.flatnonzero(wrong)
    if len(leaky):
        node = leaky[0]
        sent = int(flow[network.start[node] : network.start[node + 1]].sum(dtype=object))
        raise CertificateError(f"node {node} sends out {sent} but takes in {terminal_flow[node]}")
