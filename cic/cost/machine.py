"""A machine as a few figures: what the roofline prediction needs to know about a board, phone or server."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property

from cic.errors import CostError


@dataclass(frozen=True)
class Machine:
    """Achievable (not peak) figures of one machine running one kind of inference software.

    name: as listed in the catalogue, or yours.
    flops_per_s: floating point operations a second in ops of about 100 flops a byte, such as 3x3 convolutions; multiply
        and add counted separately. The prediction lets the rate fall for leaner ops (see `cic.cost.roofline`).
    memory_bytes_per_s: bytes a second in ops that do little arithmetic.
    op_overhead_s: time of an op that has nothing to do.
    threads: how many the figures were taken with; 0 where the word has no meaning (a GPU) or is not known.
    fit_error: median relative error against the published latencies the figures were fitted to, or None.
    source: where the figures come from.

    Raises CostError when a figure is not a finite number or not positive (the overhead may be zero).
    """

    name: str
    flops_per_s: float
    memory_bytes_per_s: float
    op_overhead_s: float = 0.0
    threads: int = 0
    fit_error: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise CostError(f"machine name is {self.name!r}; give it a name that is not empty")
        if not isinstance(self.source, str):
            raise CostError(f"machine {self.name!r}: source is {self.source!r}, not text")
        for field in ("flops_per_s", "memory_bytes_per_s"):
            _check_number(self.name, field, getattr(self, field), zero_allowed=False)
        _check_number(self.name, "op_overhead_s", self.op_overhead_s, zero_allowed=True)
        _check_number(self.name, "threads", self.threads, zero_allowed=True)
        if not isinstance(self.threads, int):
            raise CostError(f"machine {self.name!r}: threads is {self.threads!r}; it must be a whole number")
        if self.fit_error is not None:
            _check_number(self.name, "fit_error", self.fit_error, zero_allowed=True)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the figures: equal digests, equal prices."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def _check_number(name: str, field: str, value: object, *, zero_allowed: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CostError(f"machine {name!r}: {field} is {value!r}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero_allowed):
        wanted = "zero or more" if zero_allowed else "more than zero"
        raise CostError(f"machine {name!r}: {field} is {number!r}; it must be finite and {wanted}")
