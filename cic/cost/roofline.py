"""The predicted time of an op on a machine known by a few figures: a roofline with a slope instead of a flat roof.

Williams, Waterman, Patterson, "Roofline: an insightful visual performance model for multicore architectures",
CACM 52(4), 2009, plus a constant for starting an op: an op is limited by arithmetic or by memory, whichever is slower.

One thing the published latencies demand beyond that: the arithmetic rate a library reaches grows with the arithmetic
intensity (flops a byte). 3x3 convolutions with many channels (about 150 flops a byte) run at two to three times the
rate of pointwise ones (about 20), by Winograd transforms and reuse in registers. With a flat roof VGG-16 is
over-estimated by 36 % in the median of 23 machines of the ncnn log, the worst model of a machine is off by 47 % on
average, and models that were not fitted by 23 % in the median; with the rate growing as the 0.45th power of intensity,
and the same three figures a machine, that becomes 10 %, 27 % and 17 %. Depthwise convolutions, element-wise runs and
fully connected layers need no rates of their own: they do so little arithmetic for each byte that the memory term
prices them.

Other types, recurrence. A type the machine has no arithmetic for is converted number by number: its rate is low and does not
grow with intensity. That, and the rates of other types and families of ops, hold for what multiplies; ops that pass over
memory take as long as their bytes, in any type. A recurrent layer pays a start for each step, and reads the weights of its
state again each time, from a cache: arithmetic cannot hide that, since a step waits for the one before.
"""

from __future__ import annotations

from cic.cost.families import family_of, multiplies
from cic.cost.machine import CACHE_OVER_MEMORY, RATE_WITHOUT_ARITHMETIC, USUAL_RATES, Machine
from cic.errors import CostError
from cic.graph import Op

# Flops a byte at which a machine's flops_per_s is meant, and how the rate grows around it.
REFERENCE_INTENSITY = 100.0
RATE_EXPONENT = 0.45
# The fitted models end here; beyond it the roof is flat.
LARGEST_INTENSITY = 400.0


def predict(op: Op, machine: Machine) -> float:
    """Seconds one run of `op` takes on `machine`; never falls when the op's flops or its bytes grow.

    Raises CostError when the op's flops or bytes are negative.
    """
    for field, amount in (("flops", op.flops), ("memory_bytes", op.memory_bytes)):
        if amount < 0:
            raise CostError(f"op {op.name!r}: {field} is {amount}; it must be zero or more (was the graph edited?)")
    memory_s = op.memory_bytes / machine.memory_bytes_per_s
    again_s = op.reread_bytes / (machine.cache_bytes_per_s or CACHE_OVER_MEMORY * machine.memory_bytes_per_s)
    return machine.op_overhead_s + op.starts * _step_s(op, machine) + max(memory_s + again_s, _arithmetic_s(op, machine))


def rate_of(op: Op, machine: Machine) -> float:
    """The flops a second that `machine` reaches in `op`, memory aside."""
    intensity = min(op.flops / max(op.memory_bytes, 1), LARGEST_INTENSITY)
    growth: float = (intensity / REFERENCE_INTENSITY) ** RATE_EXPONENT
    rate = machine.flops_per_s * growth * machine.family_rates.get(family_of(op.kinds[0]), 1.0)
    if not multiplies(op.kinds):
        return rate
    if op.arithmetic in machine.lacks or op.arithmetic not in USUAL_RATES:
        return machine.flops_per_s * machine.type_rates.get(op.arithmetic, RATE_WITHOUT_ARITHMETIC)
    return rate * machine.type_rates.get(op.arithmetic, USUAL_RATES[op.arithmetic])


def _arithmetic_s(op: Op, machine: Machine) -> float:
    return op.flops / rate_of(op, machine) if op.flops else 0.0


def _step_s(op: Op, machine: Machine) -> float:
    return machine.step_s.get(family_of(op.kinds[0]), machine.op_overhead_s)
