"""A model for machines in a row: every cut that can be optimal over their links, and the choice among them.

A decision weighs all cuts of the table, some tens of a few products each: conditions of several links are a point in as many
dimensions, in which there are no break points to be searched. Standard library only.
"""

from __future__ import annotations

from cic.decision.cic_file import check_writable, write
from cic.decision.frozen import Frozen, plain
from cic.decision.proof import NEGLIGIBLE_GAP
from cic.decision.tiered_cut import MOST_TIERS, TieredConditions, TieredCut
from cic.decision.tiered_file import tiered_content
from cic.decision.units import bits_per_second, factor, positive, seconds, show_bandwidth, show_seconds, shown
from cic.errors import ArtifactError, DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from cic.decision.stored_graph import StoredCall

# A downlink computed from the ratio may miss it by rounding.
_SAME = 1e-9


class TieredModel(Frozen):
    """What `compile_tiers` makes and a device loads.

    name: of the model. machines: their names, from the device outwards. op_names: in graph order.
    cuts: every cut that is optimal for some uplinks in `uplinks_bps` and some round trips, by the links that they use.
    uplinks_bps: of each link the range of bandwidths. downlink_ratios, rtts_s: of each link what `decide` assumes.
    any_downlink: is the table complete for all downlinks? Else for those of the ratios.
    gap: proven bound on how much faster a cut outside the table may be, relative; None if the search was left unfinished.
    graph_digest, weights_digest: of what was compiled. inputs: the example call.

    Raises:
        ArtifactError: the fields do not make a table. UnitError: a default is no such number.
    """

    __slots__ = (
        "any_downlink",
        "cuts",
        "downlink_ratios",
        "gap",
        "graph_digest",
        "inputs",
        "machines",
        "name",
        "op_names",
        "rtts_s",
        "uplinks_bps",
        "weights_digest",
    )
    name: str
    machines: tuple[str, ...]
    op_names: tuple[str, ...]
    cuts: tuple[TieredCut, ...]
    uplinks_bps: tuple[tuple[float, float], ...]
    downlink_ratios: tuple[float, ...]
    rtts_s: tuple[float, ...]
    any_downlink: bool
    gap: float | None
    graph_digest: str
    weights_digest: str
    inputs: StoredCall

    def check(self) -> None:
        """Raise unless a decision always finds a cut, and each cut is one of these ops and machines."""
        tiers = len(self.machines)
        if not 2 <= tiers <= MOST_TIERS:
            raise ArtifactError(f"there are {tiers} machines; from 2 to {MOST_TIERS} in a row are expected")
        for field in ("uplinks_bps", "downlink_ratios", "rtts_s"):
            if len(getattr(self, field)) != tiers - 1:
                raise ArtifactError(f"{field} is {shown(getattr(self, field))}; {tiers} machines have {tiers - 1} links")
        for low, high in self.uplinks_bps:
            if not positive(low, "the slowest uplink") <= positive(high, "the fastest uplink"):
                raise ArtifactError(f"an uplink runs from {low:g} down to {high:g} bit/s")
        for ratio, rtt_s in zip(self.downlink_ratios, self.rtts_s, strict=True):
            positive(ratio, "a downlink ratio")
            positive(rtt_s, "a round trip", or_zero=True)
        if not self.cuts or len({cut.id for cut in self.cuts}) != len(self.cuts):
            raise ArtifactError(f"the cuts are {shown([cut.id for cut in self.cuts])}; one at least, and ids that differ")
        for cut in self.cuts:
            self._check_cut(cut)

    def _check_cut(self, cut: TieredCut) -> None:
        tiers = len(self.machines)
        digits = [str(tier) for tier in range(tiers)]
        if len(cut.tier_of) != len(self.op_names) or any(digit not in digits for digit in cut.tier_of):
            raise ArtifactError(
                f"cut {cut.id} places its ops as {shown(cut.tier_of)}; a digit below {tiers} for each of {len(self.op_names)}"
                " ops is expected"
            )
        for field, length in (("tier_ns", tiers), ("upload_bytes", tiers - 1), ("download_bytes", tiers - 1)):
            if len(getattr(cut, field)) != length:
                raise ArtifactError(f"cut {cut.id} has {field} of {len(getattr(cut, field))} numbers, expected {length}")

    @property
    def proved(self) -> bool:
        """Is the best cut of the table optimal for all conditions that the table is for, up to `NEGLIGIBLE_GAP`?"""
        return self.gap is not None and self.gap <= NEGLIGIBLE_GAP

    def decide(
        self,
        uplink: Sequence[float | str],
        rtt: Sequence[float | str] | None = None,
        downlink: Sequence[float | str] | None = None,
        slowdowns: Sequence[float] | None = None,
    ) -> TieredDecision:
        """The best cut right now.

        Args:
            uplink: bandwidth of each link, from the device outwards: numbers of bit/s, or texts such as "18.88Mbps".
            rtt: round trip of each link, seconds or texts; default: as compiled.
            downlink: like `uplink`; default: the uplinks times the compiled ratios.
            slowdowns: a factor on the op times of each machine.

        Raises:
            UnitError: a value cannot be understood. DecisionError: there are not as many as links, or machines.
        """
        conditions = self.conditions(uplink, rtt, downlink, slowdowns)
        return TieredDecision(min(self.cuts, key=lambda cut: cut.latency_s(conditions)), conditions, self)

    def conditions(
        self,
        uplink: Sequence[float | str],
        rtt: Sequence[float | str] | None = None,
        downlink: Sequence[float | str] | None = None,
        slowdowns: Sequence[float] | None = None,
    ) -> TieredConditions:
        """What `decide` assumes when it is told this. Raises as `decide` does."""
        links = len(self.machines) - 1
        up = _each(uplink, links, "uplink", bits_per_second)
        down = tuple(bps * ratio for bps, ratio in zip(up, self.downlink_ratios, strict=True))
        return TieredConditions(
            uplink_bps=up,
            downlink_bps=down if downlink is None else _each(downlink, links, "downlink", bits_per_second),
            rtt_s=self.rtts_s if rtt is None else _each(rtt, links, "rtt", seconds),
            slowdowns=(1.0,) * (links + 1) if slowdowns is None else _each(slowdowns, links + 1, "slowdowns", factor),
        )

    def covers(self, at: TieredConditions) -> bool:
        """Is the table complete under these conditions?"""
        inside = all(low <= bps <= high for bps, (low, high) in zip(at.uplink_bps, self.uplinks_bps, strict=True))
        expected = (bps * ratio for bps, ratio in zip(at.uplink_bps, self.downlink_ratios, strict=True))
        usual = all(abs(bps / usual - 1) <= _SAME for bps, usual in zip(at.downlink_bps, expected, strict=True))
        return inside and (self.any_downlink or usual) and all(slowdown == 1 for slowdown in at.slowdowns)

    def cut(self, cut_id: str) -> TieredCut:
        """The cut of this id. Raises DecisionError if there is none."""
        for cut in self.cuts:
            if cut.id == cut_id:
                return cut
        raise DecisionError(f"{self.name} has no cut {shown(cut_id)}; it has {shown(', '.join(cut.id for cut in self.cuts))}")

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as a file, all or nothing. Raises ArtifactError if it cannot be written."""
        check_writable(path)
        write(path, tiered_content(plain(self)))

    def __repr__(self) -> str:
        return f"TieredModel({self.name!r}, {' → '.join(self.machines)}, {len(self.cuts)} cuts)"


class TieredDecision:
    """The best cut for some conditions.

    cut: the `TieredCut`; its `id` names the emitted parts. conditions: what it was decided for.
    """

    __slots__ = ("_model", "conditions", "cut")

    def __init__(self, cut: TieredCut, conditions: TieredConditions, model: TieredModel) -> None:
        self.cut, self.conditions, self._model = cut, conditions, model

    @property
    def cut_id(self) -> str:
        return self.cut.id

    @property
    def latency_s(self) -> float:
        """Predicted end-to-end seconds."""
        return self.cut.latency_s(self.conditions)

    @property
    def optimal(self) -> bool:
        """No allowed cut is faster under these conditions: proved when the table was compiled."""
        return self._model.proved and self._model.covers(self.conditions)

    @property
    def ops(self) -> tuple[tuple[str, ...], ...]:
        """Of each machine the names of the ops that it runs, in order."""
        names = self._model.op_names
        return tuple(tuple(names[place] for place in self.cut.ops(tier)) for tier in range(len(self._model.machines)))

    @property
    def why(self) -> str:
        """One sentence for people: what runs where, and how that compares with the best cut that leaves all to one machine."""
        links = " and ".join(show_bandwidth(bps) for bps in self.conditions.uplink_bps)
        alone = [cut for cut in self._model.cuts if len(set(cut.tier_of)) == 1 and cut.id != self.cut.id]
        text = f"{self.cut.share(self._model.machines)} at {links}: {show_seconds(self.latency_s)}"
        if not alone or not self.latency_s:
            return text
        lowest, other = min((cut.latency_s(self.conditions), cut.tier_of[0]) for cut in alone)
        return f"{text}, {lowest / self.latency_s:.2f}x as fast as {self._model.machines[int(other)]} alone"

    def __repr__(self) -> str:
        return f"TieredDecision(cut={self.cut_id!r}, latency={show_seconds(self.latency_s)}, optimal={self.optimal})"


def _each(values: object, count: int, what: str, read: Callable[[float | str, str], float]) -> tuple[float, ...]:
    """Raises DecisionError unless there are so many."""
    if not isinstance(values, list | tuple) or len(values) != count:
        raise DecisionError(f"{what} is {shown(values)}; give {count} values, one for each, from the device outwards")
    return tuple(read(value, f"{what}[{index}]") for index, value in enumerate(values))
