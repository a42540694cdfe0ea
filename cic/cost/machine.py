"""A machine as a few figures: what the roofline prediction needs to know about a board, phone or server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property

from cic.errors import CostError
from codegen.checked_json import is_number, shown

# Arithmetic rate relative to float32 where no figure is known: half the width, twice the numbers in a register, and so on;
# those who cannot do it at all are listed in `Machine.lacks`.
USUAL_RATES = {
    "float32": 1.0, "float16": 1.0, "bfloat16": 1.0, "int8": 1.0, "float64": 0.5, "complex64": 1.0, "complex128": 0.5
}  # fmt: skip
# Of the rate at the reference intensity, for a type without arithmetic, whose numbers are converted one by one: measured with
# torch 2.13 on a processor without float16 arithmetic, where convolutions and matrix products reach 3 to 18 of 150 GFLOP/s.
RATE_WITHOUT_ARITHMETIC = 0.04
# How many times faster weights are read again from a cache than new ones from memory, where no figure is known.
CACHE_OVER_MEMORY = 3.0


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
    type_rates: arithmetic rate of products in other types relative to float32 ("float16", "int8" …); `USUAL_RATES` for others.
    lacks: types the machine has no arithmetic for; their rate does not grow with intensity.
    family_rates: the same for families of ops (`cic.cost.families`) that run slower or faster than convolutions.
    step_s: by family, seconds that a recurrent layer's every step takes to start; `op_overhead_s` for others.
    cache_bytes_per_s: at which weights are read again in each step; three times that of memory if None.
    runtime: the software the figures are of, "torch" or "onnxruntime"; "" for others.
    fitted_families, fitted_types: what the networks held that the figures were fitted to; empty for figures of your own.

    Raises CostError when a figure is not a finite number or not positive (overheads may be zero).
    """

    name: str
    flops_per_s: float
    memory_bytes_per_s: float
    op_overhead_s: float = 0.0
    threads: int = 0
    fit_error: float | None = None
    source: str = ""
    type_rates: Mapping[str, float] = field(default_factory=dict)
    lacks: Sequence[str] = ()
    family_rates: Mapping[str, float] = field(default_factory=dict)
    step_s: Mapping[str, float] = field(default_factory=dict)
    cache_bytes_per_s: float | None = None
    runtime: str = ""
    fitted_families: Sequence[str] = ()
    fitted_types: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise CostError(f"machine name is {self.name!r}; give it a name that is not empty")
        for text in ("source", "runtime"):
            if not isinstance(getattr(self, text), str):
                raise CostError(f"machine {self.name!r}: {text} is {getattr(self, text)!r}, not text")
        for figure in ("flops_per_s", "memory_bytes_per_s"):
            _check_number(self.name, figure, getattr(self, figure), zero_allowed=False)
        _check_number(self.name, "op_overhead_s", self.op_overhead_s, zero_allowed=True)
        _check_number(self.name, "threads", self.threads, zero_allowed=True)
        if not isinstance(self.threads, int):
            raise CostError(f"machine {self.name!r}: threads is {self.threads!r}; it must be a whole number")
        if self.fit_error is not None:
            _check_number(self.name, "fit_error", self.fit_error, zero_allowed=True)
        if self.cache_bytes_per_s is not None:
            _check_number(self.name, "cache_bytes_per_s", self.cache_bytes_per_s, zero_allowed=False)
        for table, zero_allowed in (("type_rates", False), ("family_rates", False), ("step_s", True)):
            _check_table(self.name, table, getattr(self, table), zero_allowed=zero_allowed)
        for names in ("lacks", "fitted_families", "fitted_types"):
            # Equal whether read from JSON or written by hand.
            object.__setattr__(self, names, _names(self.name, names, getattr(self, names)))

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the figures: equal digests, equal prices."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def _names(name: str, figure: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise CostError(f"machine {name!r}: {figure} is {value!r}; it must be a list of names")
    return tuple(value)


def _check_table(name: str, figure: str, value: object, *, zero_allowed: bool) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise CostError(f"machine {name!r}: {figure} is {value!r}; it must be a dict from names to numbers")
    for key, number in value.items():
        _check_number(name, f"{figure}[{key!r}]", number, zero_allowed=zero_allowed)


def _check_number(name: str, field: str, value: object, *, zero_allowed: bool) -> None:
    if not is_number(value, 0) or (value == 0 and not zero_allowed):
        wanted = "zero or more" if zero_allowed else "more than zero"
        raise CostError(f"machine {name!r}: {field} is {shown(value)}; it must be a finite number, {wanted}")
