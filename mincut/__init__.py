"""Minimum cuts for split inference, in numbers only: no names, no units in words, no DNN.

A `Problem` is a directed graph of ops, each with a time on either side, and of tensors, each with a size. Prices say what a
nanosecond and a byte cost. `solve` finds the cheapest placement at given prices, `envelope` finds all placements that are the
cheapest anywhere in a box of prices, and `prepare` does once whatever does not depend on the times of ops. `solve_bounded`
finds the least of one amount, a `Row`, while others stay within bounds. No answer has to be believed: `certify` and
`certify_bounded` check a placement, and `prove` a set of them.

Two ops stand in a row. The second takes 90 on the device and 3 on the server. The tensor that the first op reads weighs 10
bytes, the one between both 2, and the answer 1:

>>> from mincut import Prices, build, certify, make_problem, solve
>>> problem = make_problem([4, 90], [1, 3], [(-1, [0], 10), (0, [1], 2)], download_bytes=[0, 1])
>>> network = build(problem)
>>> placement = solve(network, Prices(device=1, server=1, upload=5, download=5, offload=20))
>>> placement.on_device.tolist(), placement.cost  # 4 + 3 for computing, 2 bytes up and 1 down, 20 for using the server at all
([True, False], 42)
>>> certify(network, placement)  # by a flow that is worth as much

`mincut.tiers` does the same for more than two machines in a row.

Each name is imported at its first use, and numba, which takes half a second to load, at the first cut.
"""

from __future__ import annotations

from mincut.errors import BadProblemError, CertificateError, InfeasibleError, MincutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mincut.bound_tree import Bounded
    from mincut.bounded import solve_bounded
    from mincut.bounded_certificate import certify_bounded
    from mincut.certificate import certify
    from mincut.codecs import Codecs, make_codecs, without
    from mincut.lower_envelope import Envelope, PriceBox, envelope
    from mincut.network import Network, build
    from mincut.placement import Placement
    from mincut.prepared import PreparedProblem, prepare
    from mincut.problem import Features, Prices, Problem, make_problem
    from mincut.proof import prove
    from mincut.rows import Row, amount, combined, feature_rows, row_of
    from mincut.section_solver import solve_sections
    from mincut.sections import Sections, cut_at_joints
    from mincut.solver import solve
    from mincut.weighted import solve_weighted

# Name → module.
_LATER = {
    "Bounded": "mincut.bound_tree",
    "Codecs": "mincut.codecs",
    "Envelope": "mincut.lower_envelope",
    "Features": "mincut.problem",
    "Network": "mincut.network",
    "Placement": "mincut.placement",
    "PreparedProblem": "mincut.prepared",
    "PriceBox": "mincut.lower_envelope",
    "Prices": "mincut.problem",
    "Problem": "mincut.problem",
    "Row": "mincut.rows",
    "Sections": "mincut.sections",
    "amount": "mincut.rows",
    "build": "mincut.network",
    "certify": "mincut.certificate",
    "certify_bounded": "mincut.bounded_certificate",
    "combined": "mincut.rows",
    "cut_at_joints": "mincut.sections",
    "envelope": "mincut.lower_envelope",
    "feature_rows": "mincut.rows",
    "make_codecs": "mincut.codecs",
    "make_problem": "mincut.problem",
    "prepare": "mincut.prepared",
    "prove": "mincut.proof",
    "row_of": "mincut.rows",
    "solve": "mincut.solver",
    "solve_bounded": "mincut.bounded",
    "solve_sections": "mincut.section_solver",
    "solve_weighted": "mincut.weighted",
    "without": "mincut.codecs",
}

__all__ = [
    "BadProblemError", "Bounded", "CertificateError", "Codecs", "Envelope", "Features", "InfeasibleError", "MincutError",
    "Network", "Placement", "PreparedProblem", "PriceBox", "Prices", "Problem", "Row", "Sections", "amount", "build",
    "certify", "certify_bounded", "combined", "cut_at_joints", "envelope", "feature_rows", "make_codecs", "make_problem",
    "prepare", "prove", "row_of", "solve", "solve_bounded", "solve_sections", "solve_weighted", "without",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'mincut' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
