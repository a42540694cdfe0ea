"""An independent check of a bounded placement: never imports the search, the solver or a kernel.

Counted from the problem: that the placement is allowed, keeps within its bounds and costs what it says. Replayed: the tree,
leaf by leaf. Each leaf's flow is checked against capacities that are made anew, and the inequality in `mincut.bound_tree` then
gives what the placements of that leaf cost at least. As the leaves have all placements among them, the least of these is a
bound for all.
"""

from __future__ import annotations

from collections.abc import Sequence

from mincut.bound_tree import Bound, Bounded, Branch, Leaf, Pins, parted, relaxed_row, restricted, useful_forms
from mincut.certificate import check_flow
from mincut.errors import CertificateError
from mincut.network import Network, price_row
from mincut.problem import BoolArray
from mincut.rows import Row, amount


def certify_bounded(network: Network, cost: Row, bounds: Sequence[Bound], answer: Bounded) -> None:
    """Check an answer of `mincut.bounded.solve_bounded`; return silently when the proof holds.

    Raises:
        CertificateError: saying which part does not hold, with the two values that disagree.
    """
    problem = network.problem
    if answer.on_device.shape != (problem.op_count,):
        raise CertificateError(f"on_device has shape {answer.on_device.shape}, expected ({problem.op_count},)")
    violation = problem.violation(answer.on_device)
    if violation is not None:
        raise CertificateError(f"the placement is not allowed: {violation}")
    for row, most in bounds:
        used = amount(problem, row, answer.on_device, answer.codec)
        if used > most:
            raise CertificateError(f"the placement has {used} of {row.name}, its bound is {most}")
    counted = amount(problem, cost, answer.on_device, answer.codec)
    if counted != answer.cost:
        raise CertificateError(f"the placement costs {counted}, it claims {answer.cost}")
    least = proved_by(network, cost, bounds, answer.tree)
    if least is not None and least < answer.at_least:
        raise CertificateError(f"the tree proves a cost of at least {least}, the answer claims {answer.at_least}")


def certify_infeasible(network: Network, cost: Row, bounds: Sequence[Bound], tree: Sequence[Leaf | Branch]) -> None:
    """Check that no allowed placement keeps within the bounds.

    Raises:
        CertificateError: a leaf leaves room for one.
    """
    least = proved_by(network, cost, bounds, tree)
    if least is not None:
        raise CertificateError(f"the tree leaves room for placements that cost {least}")


def proved_by(network: Network, cost: Row, bounds: Sequence[Bound], tree: Sequence[Leaf | Branch]) -> int | None:
    """What no allowed placement within the bounds costs less than; None: there is no such placement.

    Raises:
        CertificateError: a leaf's flow is none, or the tree is none.
    """
    lows = []
    waiting: list[tuple[int, Pins, BoolArray]] = [(0, network.problem.pinned, useful_forms(network.problem, cost, bounds))]
    seen = 0
    while waiting:
        place, pinned, allowed = waiting.pop()
        seen += 1
        if not 0 <= place < len(tree) or seen > len(tree):
            raise CertificateError(f"the tree has {len(tree)} nodes, one of them points to node {place}, or in a circle")
        node = tree[place]
        if isinstance(node, Branch):
            fixed = parted(network.problem, pinned, allowed, node.op, node.form)
            waiting += [(child, *parts) for child, parts in zip(node.children, fixed, strict=True)]
            continue
        _check_leaf(network, cost, bounds, pinned, allowed, node)
        lows.append(node.proves(bounds))
    found = [low for low in lows if low is not None]
    return min(found) if found else None


def _check_leaf(network: Network, cost: Row, bounds: Sequence[Bound], pinned: Pins, allowed: BoolArray, leaf: Leaf) -> None:
    if min(leaf.weights) < 0 or leaf.divisor < 1 or len(leaf.weights) != 1 + len(bounds):
        raise CertificateError(f"a leaf has the weights {leaf.weights} and the divisor {leaf.divisor}")
    row = restricted(relaxed_row(cost, bounds, leaf.weights, leaf.divisor, leaf.limit), allowed, leaf.limit)
    priced = price_row(network, row, leaf.limit, pinned)
    check_flow(network, priced.capacity, priced.terminal, leaf.arc_flow, leaf.terminal_flow)
    value = int(leaf.terminal_flow[leaf.terminal_flow > 0].sum(dtype=object)) + priced.constant
    if value != leaf.value:
        raise CertificateError(f"the flow of a leaf is worth {value}, it claims {leaf.value}")
