"""JALAD's rule: the best pair of a layer of the chain and a bit width (Li et al., ICPADS 2018, arXiv 1812.10027).

It decides by min TE_i + S_i(c) / BW + TC_i over layers i and bit widths c whose loss of accuracy A_i(c) is allowed, S_i(c) and
A_i(c) looked up in tables made offline; an integer program of N·C variables, whose optimum is found here by trying all.
Branches are no places to cut. Coding costs no time in its decision; in what the decision then takes, it does. Sending the
picture and staying on the device are allowed to it as well, as layers 0 and N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.wire.forms import Form, seconds_on_wire


@dataclass(frozen=True)
class ChainLayer:
    """computing_s: TE_i + TC_i. forms: what crosses behind it, in each allowed bit width (no form: nothing crosses)."""

    computing_s: float
    forms: tuple[Form, ...] = (Form(0),)


def decide(layers: Sequence[ChainLayer], uplink_mbps: float) -> float:
    """Seconds that the pair takes which the rule chooses, coding included."""
    _, taken_s = min(
        (layer.computing_s + seconds_on_wire(form.bytes, uplink_mbps), layer.computing_s + form.crossing_s(uplink_mbps))
        for layer in layers
        for form in layer.forms
    )
    return taken_s
