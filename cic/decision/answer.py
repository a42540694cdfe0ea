"""What `decide` answers."""

from __future__ import annotations

from cic.decision.conditions import Conditions
from cic.decision.units import show_bandwidth, show_bytes, show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cic.decision.cut import Cut
    from cic.decision.cut_table import CutTable
    from cic.decision.energy import Energy


class Decision:
    """The best cut for some conditions.

    Made in a fraction of a microsecond; everything beyond the cut is worked out when asked for.

    cut: the `Cut`; its `id` names the emitted directory.
    conditions: what it was decided for.
    source: "table" (look-up), or "solver" (a minimum cut was computed, for conditions outside the box or other op times).
    """

    # Three slots and class attributes for the rest: a look-up makes one of these and little else.
    __slots__ = ("_given", "_table", "cut")
    source = "table"
    _in_box = True

    def __init__(self, cut: Cut, given: float | tuple[float, float, float, float, float], table: CutTable) -> None:
        self.cut = cut
        self._given = given
        self._table = table

    @property
    def cut_id(self) -> str:
        return self.cut.id

    @property
    def optimal(self) -> bool:
        """No allowed cut is faster under these conditions: proved (of a look-up, when the file was compiled)."""
        return self._in_box and (self.source == "solver" or self._table.proved)

    @property
    def conditions(self) -> Conditions:
        given = self._given
        return Conditions(*given) if isinstance(given, tuple) else self._table.default_conditions(given)

    @property
    def terms(self) -> dict[str, float]:
        """Predicted seconds spent on: device, uplink, server, downlink, rtt. They add up to `latency_s`."""
        values = self._terms_of(self.cut)
        return dict(zip(("device_s", "uplink_s", "server_s", "downlink_s", "rtt_s"), values, strict=True))

    @property
    def latency_s(self) -> float:
        """Predicted end-to-end seconds."""
        return sum(self._terms_of(self.cut))

    def _terms_of(self, cut: Cut) -> tuple[float, float, float, float, float]:
        """Predicted seconds of a cut under these conditions: device, uplink, server, downlink, rtt."""
        return cut.terms(self.conditions)

    @property
    def device_ops(self) -> tuple[str, ...]:
        """Names of the ops that run on the device, in order."""
        return self.cut.device_ops

    @property
    def crossing(self) -> tuple[str, ...]:
        """Names of the tensors sent from device to server."""
        return self.cut.crossing

    @property
    def codecs(self) -> dict[str, str]:
        """The codec of each crossing tensor by name; "raw" sends it as it is."""
        return self.cut.codec_of

    @property
    def upload_bytes(self) -> int:
        return self.cut.upload_bytes

    @property
    def download_bytes(self) -> int:
        return self.cut.download_bytes

    @property
    def why(self) -> str:
        """One sentence for people: how this compares with the better side alone, and which conditions lie outside the box."""
        conditions = self.conditions
        others = self._other_sides(lambda cut: sum(self._terms_of(cut)))
        if others:
            lowest, better = min(others)
            ratio = lowest / self.latency_s if self.latency_s > 0 else 1.0
            both = len({cut_id for _, cut_id in others}) > 1
            compared = f"{ratio:.2f}x as fast as {better}" + (", the better side alone" if both else "")
        else:
            compared = "no side alone is allowed" if len(self._table.cuts) > 1 else "the only cut there is"
        beyond = "".join(f"; outside the box: {each}" for each in self.outside)
        return f"{self.cut.label} at {show_bandwidth(conditions.uplink_bps)}: {compared}{beyond}"

    @property
    def outside(self) -> tuple[str, ...]:
        """Which conditions lie outside the box that was compiled for, each as a text for people; empty if none."""
        return self._table.box.outside(self.conditions)

    def _other_sides(self, cost: Callable[[Cut], float]) -> list[tuple[float, str]]:
        """Cost and id of each cut of the table that leaves all to one side, but for this decision's own."""
        return [
            (cost(cut), cut.id)
            for cut in self._table.cuts
            if cut.id in ("device-only", "server-only") and cut.id != self.cut.id
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled with its table; a cut of the table stays that table's own."""
        cuts = self._table.cuts
        place = next((index for index, cut in enumerate(cuts) if cut is self.cut), None)
        return _decision_again, (type(self), self._table, self.cut if place is None else place, self._given)

    def __repr__(self) -> str:
        terms = ", ".join(f"{name[:-2]} {show_seconds(value)}" for name, value in self.terms.items() if value)
        return (
            f"Decision(cut={self.cut.label!r}, latency={show_seconds(self.latency_s)} [{terms}], "
            f"sends {show_bytes(self.upload_bytes)}, source={self.source!r}, optimal={self.optimal})"
        )


class SolvedDecision(Decision):
    """A decision for which a minimum cut was computed."""

    __slots__ = ()
    source = "solver"


class RoundedDecision(SolvedDecision):
    """A decision for which a minimum cut was computed whose costs span too many digits to be compared exactly."""

    __slots__ = ()
    _in_box = False


class BestKnownDecision(Decision):
    """The best of the table where the table is not proved to hold the optimum, and nothing was there to compute it."""

    __slots__ = ()
    _in_box = False


class EnergyDecision(Decision):
    """A decision by `Energy`: the cut is the one of least cost by it, and the times are those of that cut.

    objective: what was least. decided: the decision by latency under the equivalent conditions.
    """

    __slots__ = ("decided", "objective")

    def __init__(self, decided: Decision, given: tuple[float, float, float, float, float], objective: Energy) -> None:
        super().__init__(decided.cut, given, decided._table)
        self.decided, self.objective = decided, objective

    @property
    def energy_j(self) -> float:
        """Predicted joules of the device, without what latency is worth."""
        return self.objective.joules(self.cut, self.conditions)

    @property
    def optimal(self) -> bool:
        """No allowed cut costs less by the objective under these conditions: proved."""
        return self.decided.optimal

    @property
    def why(self) -> str:
        """One sentence for people: how this compares with the better side alone, by the objective."""
        conditions = self.conditions
        cost = self.objective.cost(self.cut, conditions)
        others = self._other_sides(lambda cut: self.objective.cost(cut, conditions))
        text = f"{self.cut.label} at {show_bandwidth(conditions.uplink_bps)}: {self.energy_j:.3g} J"
        if not others or not cost:
            return text
        lowest, better = min(others)
        what = "J and what latency is worth in J" if self.objective.second_w else "J"
        return f"{text}; {better} takes {lowest / cost:.2f}x as many {what}"

    def __reduce__(self) -> tuple[Any, ...]:
        return EnergyDecision, (self.decided, self._given, self.objective)


class BatchDecision(Decision):
    """A decision for a batch: times and bytes are those of the whole batch, see `cic.decision.batch`.

    batch: so many are answered together. decided: the decision at the compiled batch under the equivalent conditions, of which
    source and proof are.
    """

    __slots__ = ("batch", "decided", "source")

    def __init__(self, decided: Decision, given: tuple[float, float, float, float, float], batch: int) -> None:
        super().__init__(decided.cut, given, decided._table)
        self.decided, self.batch, self.source = decided, batch, decided.source

    @property
    def optimal(self) -> bool:
        """No allowed cut is better for this batch under these conditions: proved, if op times grow in proportion with it."""
        return self.decided.optimal

    @property
    def energy_j(self) -> float | None:
        """Predicted joules of the device for the whole batch; None if it was decided by latency alone."""
        energy_j: float | None = getattr(self.decided, "energy_j", None)
        return None if energy_j is None else self._ratio * energy_j

    @property
    def interval_s(self) -> float | None:
        """Predicted seconds between two batches of a stream; None if it was not decided by throughput."""
        interval_s: float | None = getattr(self.decided, "interval_s", None)
        return None if interval_s is None else self._ratio * interval_s

    @property
    def upload_bytes(self) -> int:
        return self.cut.upload_bytes * self.batch // self._compiled

    @property
    def download_bytes(self) -> int:
        return self.cut.download_bytes * self.batch // self._compiled

    @property
    def outside(self) -> tuple[str, ...]:
        """Which of the equivalent conditions lie outside the box, each as a text for people; empty if none."""
        return self.decided.outside

    @property
    def why(self) -> str:
        """One sentence for people: how this compares with the better side alone, and what is taken of the batch."""
        assumed = f"batch {self.batch}, its times taken as {self._ratio:g}x those of batch {self._compiled}"
        if self.energy_j is not None or self.interval_s is not None:
            return f"{self.decided.why}, at batch {self._compiled}; {assumed}"
        return f"{super().why}; {assumed}"

    def _terms_of(self, cut: Cut) -> tuple[float, float, float, float, float]:
        *growing, rtt_s = cut.terms(self.conditions)
        device_s, uplink_s, server_s, downlink_s = (self._ratio * part for part in growing)
        return device_s, uplink_s, server_s, downlink_s, rtt_s

    @property
    def _compiled(self) -> int:
        return self._table.batch or 1

    @property
    def _ratio(self) -> float:
        return self.batch / self._compiled

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchDecision, (self.decided, self._given, self.batch)


def _decision_again(
    kind: type[Decision], table: CutTable, cut: Cut | int, given: float | tuple[float, float, float, float, float]
) -> Decision:
    """A decision that was pickled."""
    return kind(table.cuts[cut] if isinstance(cut, int) else cut, given, table)
