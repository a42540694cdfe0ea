"""An independent proof that a placement on tiers is the cheapest. Never imports the solver or a kernel.

As in `mincut.certificate`: the cost, counted from the problem alone, is what a flow is worth, so nothing is cheaper.
"""

from __future__ import annotations

from mincut.certificate import check_flow
from mincut.errors import CertificateError
from mincut.tiers.network import TierNetwork, price_tiers
from mincut.tiers.placement import TierPlacement
from mincut.tiers.problem import TierProblem


def certify_tiers(network: TierNetwork, placement: TierPlacement) -> None:
    """Check a placement and its witness; return silently when the proof holds.

    Raises:
        CertificateError: saying which part does not hold, with the two values that disagree.
    """
    cost = _counted(network.problem, placement)
    # The placement is allowed and costs this, so it may bound the capacities that matter.
    priced = price_tiers(network, placement.prices, cost)
    flow = placement.terminal_flow
    check_flow(network, priced.capacity, priced.terminal, placement.arc_flow, flow)
    value = int(flow[flow > 0].sum(dtype=object)) + priced.constant
    if value != cost:
        raise CertificateError(f"the flow is worth {value}, the placement costs {cost}: no proof that it is the cheapest")


def _counted(problem: TierProblem, placement: TierPlacement) -> int:
    if placement.tier.shape != (problem.op_count,):
        raise CertificateError(f"tier has shape {placement.tier.shape}, expected ({problem.op_count},)")
    violation = problem.violation(placement.tier)
    if violation is not None:
        raise CertificateError(f"the placement is not allowed: {violation}")
    cost = problem.features(placement.tier, placement.codecs).cost(placement.prices)
    if cost != placement.cost:
        raise CertificateError(f"the placement costs {cost}, it claims {placement.cost}")
    return cost
