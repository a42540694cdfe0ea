"""Auto-Split's candidate rule (Banitalebi-Dehkordi et al., KDD 2021, arXiv 2108.13041), made for one uplink.

Ops stand in one topological order; a cut is a position in it, and several tensors may cross. A position n is a candidate if
what crosses there takes no more than the raw picture, T_n <= T_0, in the smallest form there is; among candidates that send
the same the earliest stays, because the server is assumed faster. (The paper also drops positions whose weights and
activations exceed the device's memory; no published network comes near that of a Raspberry Pi 4.) The fastest candidate, or
server-only, or device-only, is then chosen for the uplink it was designed for; here it is designed anew for each uplink, and
knows the time of coding, which is more than the paper gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.wire.forms import Form


@dataclass(frozen=True)
class Position:
    """computing_s: both machines together. forms: those of each tensor that crosses, in the order of the tensors."""

    computing_s: float
    forms: tuple[tuple[Form, ...], ...]

    @property
    def least_bytes(self) -> float:
        """T_n."""
        return sum(min(form.bytes for form in forms) for forms in self.forms)


def candidates(positions: Sequence[Position], picture_bytes: float) -> list[Position]:
    """Those that the rule keeps, in order."""
    kept: list[Position] = []
    sizes: set[float] = set()
    for position in positions:
        if position.least_bytes <= picture_bytes and position.least_bytes not in sizes:
            sizes.add(position.least_bytes)
            kept.append(position)
    return kept


def decide(positions: Sequence[Position], picture_bytes: float, unsplit_s: float, uplink_mbps: float) -> float:
    """Seconds of the fastest candidate, or of the better of device-only and server-only."""
    splits = (
        position.computing_s + sum(min(form.crossing_s(uplink_mbps) for form in forms) for forms in position.forms)
        for position in candidates(positions, picture_bytes)
    )
    return min(unsplit_s, *splits)
