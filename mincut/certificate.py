"""An independent proof that a placement is the cheapest. Never imports the solver or a kernel.

Weak duality: for every flow f and every allowed placement S, value(f) <= cost(S). So a flow worth exactly the cost of a
placement proves that this placement is the cheapest. The cost is counted from the `Problem`; the flow is checked against
the capacities of the formulation; nothing the solver says is believed.
"""

from __future__ import annotations

import numpy as np

from mincut.errors import CertificateError
from mincut.network import Network, price
from mincut.placement import Placement


def certify(network: Network, placement: Placement) -> None:
    """Check a placement and its witness; return silently when the proof holds.

    Raises:
        CertificateError: saying which part does not hold, with the two values that disagree.
    """
    problem = network.problem
    if placement.on_device.shape != (problem.op_count,):
        raise CertificateError(f"on_device has shape {placement.on_device.shape}, expected ({problem.op_count},)")
    violation = problem.violation(placement.on_device)
    if violation is not None:
        raise CertificateError(f"the placement is not allowed: {violation}")
    cost = problem.features(placement.on_device, placement.codec).cost(placement.prices)
    if cost != placement.cost:
        raise CertificateError(f"the placement costs {cost}, it claims {placement.cost}")
    value = flow_value(network, placement)
    if value != cost:
        raise CertificateError(f"the flow is worth {value}, the placement costs {cost}: no proof that it is the cheapest")


def flow_value(network: Network, placement: Placement) -> int:
    """Value of the witness flow, constant included, after checking that it is a flow.

    Raises:
        CertificateError: capacity, antisymmetry or conservation is violated, naming the arc or node.
    """
    # `certify` has counted the cost of this very placement, so it is one that bounds the capacities that matter.
    priced = price(network, placement.prices, placement.cost)
    flow, terminal_flow = placement.arc_flow, placement.terminal_flow
    if flow.shape != priced.capacity.shape or terminal_flow.shape != priced.terminal.shape:
        raise CertificateError(f"the flow has {flow.shape} arcs, the network {priced.capacity.shape}")
    over = np.flatnonzero(flow > priced.capacity)
    if len(over):
        raise CertificateError(f"arc {over[0]} carries {flow[over[0]]}, its capacity is {priced.capacity[over[0]]}")
    skew = np.flatnonzero(flow != -flow[network.reverse])
    if len(skew):
        raise CertificateError(f"arc {skew[0]} carries {flow[skew[0]]}, its reverse {flow[network.reverse[skew[0]]]}")
    wrong_sign = np.flatnonzero(
        (np.sign(terminal_flow) * np.sign(priced.terminal) < 0) | (np.abs(terminal_flow) > np.abs(priced.terminal))
    )
    if len(wrong_sign):
        node = wrong_sign[0]
        raise CertificateError(f"node {node} exchanges {terminal_flow[node]}, allowed is {priced.terminal[node]}")
    tail = np.repeat(np.arange(network.node_count), np.diff(network.start))
    leaving = np.zeros(network.node_count, dtype=np.int64)
    np.add.at(leaving, tail, flow)
    leaky = np.flatnonzero(leaving != terminal_flow)
    if len(leaky):
        node = leaky[0]
        raise CertificateError(f"node {node} sends out {leaving[node]} but takes in {terminal_flow[node]}")
    return int(terminal_flow[terminal_flow > 0].sum(dtype=object)) + priced.constant
