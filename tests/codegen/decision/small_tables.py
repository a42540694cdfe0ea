"""Decision tables written by hand."""

from __future__ import annotations

from codegen.decision.decision_table import DecisionTable

ANY = (1e-9, 1e9)


def two_cuts(*, proved: bool = True) -> DecisionTable:
    """All on the server, 1 Mbit and 10 ms, or all on the device, 110 ms: the same at 10 Mbit/s."""
    return DecisionTable(
        name="two cuts",
        cut_ids=("server-only", "device-only"),
        sent=((("image", "raw"),), ()),
        rows=((0.0, 0.01, 1e6, 0.0, 1.0), (0.11, 0.0, 0.0, 0.0, 0.0)),
        break_points=(1e7,),
        best_between=(1, 0),
        box=((1e5, 1e9), (1.0, 1.0), (0.0, 1.0), (0.5, 2.0), (0.5, 2.0)),
        limits=(ANY, ANY, (0.0, 1e3), ANY, ANY),
        default_rtt_s=0.0,
        default_downlink_ratio=1.0,
        proved=proved,
        facts=(("made", "by hand"),),
    )
