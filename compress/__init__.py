"""Exact compression: fewer ops with the same optimal cuts for every condition in the bounds.

A rule finds ops that some optimal placement keeps together, whatever the prices in a box, and `compress` merges them until no
rule finds any more. A placement of the small problem, lifted, is one of the large problem and costs the same.

Three ops stand in a row. The first two never part, because the tensor between them weighs more than what the first one reads:

>>> from fractions import Fraction
>>> from compress import Bounds, compress
>>> from mincut import PriceBox, Prices, make_problem, solve
>>> tensors = [(-1, [0], 10), (0, [1], 50), (1, [2], 2)]
>>> problem = make_problem([4, 5, 90], [1, 1, 3], tensors, download_bytes=[0, 0, 1])
>>> once, any_upload = (Fraction(1), Fraction(1)), (Fraction(1), Fraction(100))
>>> compression = compress(problem, Bounds(PriceBox(once, once, any_upload, once)))
>>> compression.reduction.problem.op_count
2
>>> small = solve(compression.reduction.problem, Prices(device=1, server=1, upload=5, download=5, offload=20))
>>> compression.reduction.lift(small.on_device).tolist()
[True, True, False]

Each name is imported at its first use.
"""

from __future__ import annotations

from compress.errors import CompressError, NotExactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from compress.bounds import Bounds
    from compress.reduction import Reduction, contract
    from compress.schedule import RULES, Compression, Rule, compress

# Name → module.
_LATER = {
    "RULES": "compress.schedule",
    "Bounds": "compress.bounds",
    "Compression": "compress.schedule",
    "Reduction": "compress.reduction",
    "Rule": "compress.schedule",
    "compress": "compress.schedule",
    "contract": "compress.reduction",
}

__all__ = ["RULES", "Bounds", "CompressError", "Compression", "NotExactError", "Reduction", "Rule", "compress", "contract"]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'compress' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
