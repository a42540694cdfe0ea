"""States swept over a splitting model: bandwidth, load of the device, load of the server, and memory pressure.

Load and memory pressure slow op times down by a factor, which is all that a splitting model knows of them. Memory pressure
stands apart from load since a user sets them apart; what both do to the device is their product. All states lie in the box, so
the fastest cut of the table is the fastest of all there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from cic.decision.conditions import Conditions
from cic.decision.splitting_model import SplittingModel
from cic.errors import InputError
from cic.sensitivity.states import StateTable

FACTORS = ("uplink Mbit/s", "device load", "server load", "memory pressure")
DEVICE, SERVER, MEMORY = (1.0, 1.5, 2.0, 3.0, 4.0), (1.0, 2.0, 5.0, 10.0, 20.0), (1.0, 1.25, 1.5, 2.0)
_UPLINKS = 13


def swept(
    model: SplittingModel,
    uplinks_bps: Sequence[float] | None = None,
    device: Sequence[float] = DEVICE,
    server: Sequence[float] = SERVER,
    memory: Sequence[float] = MEMORY,
    usual_bps: float | None = None,
) -> StateTable:
    """Every combination of these levels that lies in the box.

    Args:
        uplinks_bps: None: evenly in the logarithm over the box. device, server, memory: factors on op times.
        usual_bps: of the usual state, in which nothing is slowed down; None: the middle of the uplinks.

    Raises:
        InputError: no combination lies in the box, or the usual state does not.
    """
    uplinks = _even(model.box.uplink_bps) if uplinks_bps is None else sorted(uplinks_bps)
    usual = uplinks[len(uplinks) // 2] if usual_bps is None else usual_bps
    levels = (sorted({*uplinks, usual}), sorted({1.0, *device}), sorted({1.0, *server}), sorted({1.0, *memory}))
    rtt_s, ratio = model.default_rtt_s, model.default_downlink_ratio
    states, latency_s = [], []
    for uplink, load, slow, pressure in product(*levels):
        conditions = Conditions(uplink, uplink * ratio, rtt_s, load * pressure, slow)
        if model.box.contains(conditions):
            states.append((uplink / 1e6, load, slow, pressure))
            latency_s.append(tuple(cut.latency_s(conditions) for cut in model.cuts))
    usual_state = (usual / 1e6, 1.0, 1.0, 1.0)
    if usual_state not in states:
        raise InputError(
            f"the usual state, {usual / 1e6:g} Mbit/s and nothing slowed down, is outside what {model.name} was compiled for: "
            f"{'; '.join(model.box.outside(Conditions(usual, usual * ratio, rtt_s)))}"
        )
    cuts = tuple(cut.label for cut in model.cuts)
    return StateTable(
        model.name, FACTORS, tuple(states), cuts, tuple(latency_s), states.index(usual_state), proved=model.proved
    )


def _even(bounds: tuple[float, float]) -> list[float]:
    low, high = bounds
    steps = _UPLINKS - 1
    return [min(max(low * (high / low) ** (step / steps), low), high) for step in range(_UPLINKS)]
