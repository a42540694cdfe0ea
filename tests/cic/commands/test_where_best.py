"""Where a cut is said to be best, `decide` takes it."""

from __future__ import annotations

import random
import re

from benchmarks.harness.random_problems import network_shaped
from cic.commands.where_best import NOWHERE_SIMPLE, where_best
from cic.decision.conditions import Box
from cic.decision.units import bits_per_second, seconds
from tests.cic.hand_made import splitting_model

WAYS = {
    "round trip": r"round trip ([\d.]+ \w+)",
    "downlink": r"downlink ([\d.]+) x uplink",
    "device": r"device slowdown ([\d.]+)",
    "server": r"server slowdown ([\d.]+)",
}


def test_a_cut_is_best_where_it_is_said_to_be() -> None:
    changed = 0
    for seed in range(5):
        model = splitting_model(network_shaped(random.Random(seed), 30), Box())
        for cut, said in zip(model.cuts, where_best(model), strict=True):
            if said == NOWHERE_SIMPLE:
                continue
            low, high = map(bits_per_second, said.partition(" if ")[0].partition(",")[0].split(" to "))
            uplink_bps = (low * high) ** 0.5
            if high / low < 1.02:  # rounded to three digits
                continue
            found = {name: re.search(way, said) for name, way in WAYS.items()}
            changed += " if " in said
            decision = model.decide(
                uplink_bps,
                rtt=seconds(found["round trip"][1]) if found["round trip"] else None,
                downlink=uplink_bps * float(found["downlink"][1]) if found["downlink"] else None,
                device_slowdown=float(found["device"][1]) if found["device"] else None,
                server_slowdown=float(found["server"][1]) if found["server"] else None,
            )
            assert decision.cut is cut and decision.source == "table", said
    assert changed > 5


def test_the_conditions_that_may_change_are_named() -> None:
    assert all(name in NOWHERE_SIMPLE for name in WAYS)
