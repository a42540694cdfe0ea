"""What to do with the next inference: the cut to run, of those that can be run now, and why; and which cut is worth a probe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from cic.decision.conditions import Conditions
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut
from cic.decision.units import show_bandwidth
from cic.session.abandon_rule import latest_start_s
from cic.session.forecast import Forecast, Parts
from cic.session.policy import Policy

PROBE_WAIT_S = 0.2
"""A probe that takes longer has shown what it had to: so many bytes in that time."""

DEVICE_SHARE, LINK_SHARE = 0.02, 0.1
"""Of the time, that probes may keep the device and the link busy at most."""

EXTREMES = (DEVICE_ONLY, SERVER_ONLY)
_LEAST_PAUSE_S = 0.5
# A probe is sent for a cut that would gain so much if the link were as good as it may be.
_WORTH_A_PROBE = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """What one inference is to do.

    label, cut: what to run. wished: the id of the cut that would be run if it were loaded. why: the reason, for people.
    conditions: as estimated. parts: predicted for the cut. local_s: predicted for device-only, None if it was not emitted;
    server_only_s: likewise.
    """

    label: str
    cut: Cut
    wished: str
    why: str
    conditions: Conditions
    parts: Parts
    local_s: float | None
    server_only_s: float | None


class Planner:
    """Chooses cuts. Not thread-safe.

    cuts: those that are emitted, by their labels.
    """

    def __init__(self, cuts: Mapping[str, Cut], forecast: Forecast, rule: Policy) -> None:
        self.cuts, self.forecast, self.rule = cuts, forecast, rule
        self.last: Plan | None = None
        """The last plan, None before the first."""
        self._local, self._server_only = ([label for label, cut in cuts.items() if cut.id == cut_id] for cut_id in EXTREMES)

    def plan(
        self, usable: Callable[[Cut], bool], loadable: Callable[[Cut], bool], now_s: float, deadline_s: float | None = None
    ) -> Plan:
        """What to do now.

        usable: can this cut be run at once? loadable: could it be, once its head is loaded? If no cut is usable, a loadable
        one is chosen, and if there is none either, any. deadline_s: that the device can keep is not risked: a cut is left out
        after whose failure it could not.
        """
        conditions = self.forecast.conditions(now_s)
        parts = self.forecast.all_parts(self.cuts, conditions)
        took_s = {label: each.latency_s for label, each in parts.items()}
        costs_s = {label: self.rule.cost(each) for label, each in parts.items()}
        local_s = self._fastest(self._local, took_s)
        safe = self._safe(took_s, local_s, deadline_s)
        ready = {label: parts[label] for label in safe if usable(self.cuts[label])}
        later = [label for label in safe if label in ready or loadable(self.cuts[label])]
        choice = self.rule.choose(
            ready or {label: parts[label] for label in later} or parts, self.forecast.link.spread(now_s), now_s
        )
        chosen, wished = choice.cut, min(later or parts, key=costs_s.__getitem__)
        why = choice.why
        if wished not in ready and costs_s[wished] < costs_s[chosen]:
            why += f"; {wished} is faster and not ready"
        if len(safe) < len(parts):
            fastest = min(parts, key=costs_s.__getitem__)
            if fastest not in safe and costs_s[fastest] < costs_s[chosen]:
                why += f"; {fastest} is faster and would risk the deadline"
        self.last = Plan(
            chosen,
            self.cuts[chosen],
            self.cuts[wished].id,
            f"{chosen} at {show_bandwidth(conditions.uplink_bps)}: {why}",
            conditions,
            parts[chosen],
            local_s,
            self._fastest(self._server_only, took_s),
        )
        return self.last

    def worth_a_probe(self, possible: Callable[[Cut], bool], now_s: float) -> str | None:
        """The label of the cut to probe the link with; None if nothing is to be gained.

        There is, if some possible cut would be faster than the one in use, were uplink and server as good as they may be. The
        probe is the one of those that say something of the bandwidth which costs least.
        """
        link = self.forecast.link
        offloading = {label: cut for label, cut in self.cuts.items() if cut.offloads and possible(cut)}
        if not offloading:
            return None
        now, uplink_bps = self.forecast.conditions(now_s), link.up.hoped_bps(now_s)
        server = self.forecast.server.hoped_slowdown(now_s)
        hoped = Conditions(uplink_bps, max(now.downlink_bps, uplink_bps), now.rtt_s, now.device_slowdown, server)
        best = min(self.rule.cost(parts) for parts in self.forecast.all_parts(offloading, hoped).values())
        if self.last is not None and self.last.label in self.cuts:
            used = self.rule.cost(self.forecast.parts(self.last.label, self.last.cut, hoped))
            if used - best <= _WORTH_A_PROBE * used:
                return None
        saying = {
            label: cut
            for label, cut in offloading.items()
            if link.says_something(cut.upload_bytes, cut.upload_bytes * 8 / uplink_bps)
        }
        if not saying:
            return max(offloading, key=lambda label: offloading[label].upload_bytes)
        costs = self.forecast.all_parts(saying, now)
        return min(costs, key=lambda label: pause_after_probe_s(costs[label].device_s, costs[label].exchange_s))

    def _safe(self, took_s: Mapping[str, float], local_s: float | None, deadline_s: float | None) -> Collection[str]:
        """The labels of cuts that can be tried, and the device still answer by the deadline if it can at all."""
        if deadline_s is None or local_s is None or (last_s := latest_start_s(deadline_s, local_s)) < 0:
            return took_s.keys()
        return [label for label, cut in self.cuts.items() if not cut.offloads or took_s[label] <= last_s]

    def _fastest(self, labels: Sequence[str], took_s: Mapping[str, float]) -> float | None:
        """Predicted for the best of the cuts with these labels, which differ in their codecs."""
        return min([took_s[label] for label in labels], default=None)


def pause_after_probe_s(device_s: float, exchange_s: float) -> float:
    """How long no other probe is sent after one that kept the device and the link busy for so long."""
    return max(_LEAST_PAUSE_S, device_s / DEVICE_SHARE, min(exchange_s, PROBE_WAIT_S) / LINK_SHARE)
