"""What to do with the next inference: the cut to run, of those that can be run now, and why; and which cut is worth a probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cic.decision.conditions import Conditions
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY, Cut
from cic.decision.units import show_bandwidth
from cic.session.abandon_rule import LOCAL_MARGIN
from cic.session.deadline_rule import likeliest, margins_in_time
from cic.session.forecast import Forecast, Parts
from cic.session.intervals import Expected, Intervals, Promise
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
    server_only_s: likewise. promise: within what time it will be over. in_time: can the cut be relied on to keep the deadline?
    None without one. margin: as of `cic.session.abandon_rule.Patience`.
    """

    label: str
    cut: Cut
    wished: str
    why: str
    conditions: Conditions
    parts: Parts
    local_s: float | None
    server_only_s: float | None
    promise: Promise
    in_time: bool | None = None
    margin: float = LOCAL_MARGIN


class Planner:
    """Chooses cuts. Not thread-safe.

    cuts: those that are emitted, by their labels.
    """

    def __init__(self, cuts: Mapping[str, Cut], forecast: Forecast, rule: Policy) -> None:
        self.cuts, self.forecast, self.rule = cuts, forecast, rule
        self.intervals = Intervals()
        self.last: Plan | None = None
        """The last plan, None before the first."""
        self._local, self._server_only = ([label for label, cut in cuts.items() if cut.id == cut_id] for cut_id in EXTREMES)

    def plan(
        self, usable: Callable[[Cut], bool], loadable: Callable[[Cut], bool], now_s: float, deadline_s: float | None = None
    ) -> Plan:
        """What to do now.

        usable: can this cut be run at once? loadable: could it be, once its head is loaded? If no cut is usable, a loadable
        one is chosen, and if there is none either, any. deadline_s: see `cic.session.deadline_rule`.
        """
        conditions = self.forecast.conditions(now_s)
        parts = self.forecast.all_parts(self.cuts, conditions)
        took_s = {label: each.latency_s for label, each in parts.items()}
        costs_s = {label: self.rule.cost(each) for label, each in parts.items()}
        local_s = self._fastest(self._local, took_s)
        spread = self.forecast.link.spread(now_s)
        margins = self._margins(parts, local_s, spread, deadline_s)
        ready = [label for label in parts if usable(self.cuts[label])]
        later = [label for label in parts if label in ready or loadable(self.cuts[label])]
        able = ready or later or list(parts)
        tried = [label for label in able if label in margins]
        if not tried and deadline_s is not None:
            tried = likeliest(able, self.cuts, parts, self.intervals, spread, deadline_s)
        choice = self.rule.choose({label: parts[label] for label in tried}, spread, now_s)
        wished = min([label for label in later if label in margins] or later or parts, key=costs_s.__getitem__)
        chosen, why = choice.cut, choice.why
        if wished not in ready and costs_s[wished] < costs_s[chosen]:
            why += f"; {wished} is faster and not ready"
        if len(margins) < len(parts):
            why += _risked(chosen, margins, costs_s)
        self.last = Plan(
            chosen,
            self.cuts[chosen],
            self.cuts[wished].id,
            f"{chosen} at {show_bandwidth(conditions.uplink_bps)}: {why}",
            conditions,
            parts[chosen],
            local_s,
            self._fastest(self._server_only, took_s),
            self.intervals.promise(self.intervals.expected(parts[chosen], spread, offloads=bool(self.cuts[chosen].offloads))),
            None if deadline_s is None else chosen in margins,
            margins.get(chosen, LOCAL_MARGIN),
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

    def expected(self, label: str, now_s: float) -> Expected:
        """What is known of an inference with this cut."""
        cut, forecast = self.cuts[label], self.forecast
        parts = forecast.parts(label, cut, forecast.conditions(now_s))
        return self.intervals.expected(parts, forecast.link.spread(now_s), offloads=bool(cut.offloads))

    def _margins(
        self, parts: Mapping[str, Parts], local_s: float | None, spread: float, deadline_s: float | None
    ) -> Mapping[str, float]:
        """As of `margins_in_time`; of all cuts if there is no deadline."""
        if deadline_s is None:
            return dict.fromkeys(parts, LOCAL_MARGIN)
        return margins_in_time(self.cuts, parts, self.intervals, spread, local_s, deadline_s)

    def _fastest(self, labels: Sequence[str], took_s: Mapping[str, float]) -> float | None:
        """Predicted for the best of the cuts with these labels, which differ in their codecs."""
        return min([took_s[label] for label in labels], default=None)


def _risked(chosen: str, margins: Mapping[str, float], costs_s: Mapping[str, float]) -> str:
    """What the deadline has to do with the choice, for people."""
    if chosen not in margins:
        return "; no cut is sure to keep the deadline"
    fastest = min(costs_s, key=costs_s.__getitem__)
    if fastest not in margins and costs_s[fastest] < costs_s[chosen]:
        return f"; {fastest} is faster and would risk the deadline"
    return ""


def pause_after_probe_s(device_s: float, exchange_s: float) -> float:
    """How long no other probe is sent after one that kept the device and the link busy for so long."""
    return max(_LEAST_PAUSE_S, device_s / DEVICE_SHARE, min(exchange_s, PROBE_WAIT_S) / LINK_SHARE)
