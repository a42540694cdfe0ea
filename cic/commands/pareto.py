"""What `cic show --pareto` prints: the Pareto-optimal cuts of a splitting model at an uplink, and which of them are proved."""

from __future__ import annotations

import json

from cic.commands.decide import read_power
from cic.commands.table import print_table
from cic.commands.terminal import print_text
from cic.decision.units import show_bandwidth, show_bytes, show_joules, show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cic.decision.pareto import ParetoFront
    from cic.decision.splitting_model import SplittingModel

SHOW = {"latency": show_seconds, "energy": show_joules, "upload": show_bytes}


def show_pareto(model: SplittingModel, bandwidth: str, power: str | None, picture: str | None, *, as_json: bool) -> int:
    """Latency against energy where powers are given, else against the bytes sent up."""
    energy = None if power is None else read_power(power)
    front = model.pareto("latency", "upload" if energy is None else "energy", bandwidth=bandwidth, energy=energy)
    if picture:
        from cic.pictures.pareto import pareto_picture

        pareto_picture(front, model.name, picture)
    if as_json:
        print(json.dumps(_document(front), indent=1))
        return 0
    rows = [
        (
            each.cut.label,
            *(SHOW[name](each.values[name]) for name in front.names),
            "yes" if each.proved else "not proved",
            "yes" if each.supported else "no",
        )
        for each in front
    ]
    columns = ("cut", *front.names, "Pareto-optimal", "on the hull")
    title = f"{model.name} at {show_bandwidth(front.conditions.uplink_bps)}: no known cut beats one of these by both"
    print_table(columns, rows, title=title, left=("cut", "Pareto-optimal", "on the hull"), drop=("on the hull",))
    if front.complete:
        print_text("These are all: no other cut is Pareto-optimal")
    else:
        print_text("Other cuts may be Pareto-optimal, too, between these")
    if picture:
        print(f"\ndrew {picture}")
    return 0


def _document(front: ParetoFront) -> dict[str, object]:
    cuts = [
        {"cut": each.cut.id, "codecs": list(each.cut.codecs), **each.values, "proved": each.proved, "supported": each.supported}
        for each in front
    ]
    return {"by": list(front.names), "complete": front.complete, "cuts": cuts}
