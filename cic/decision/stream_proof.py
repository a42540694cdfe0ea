"""In which conditions a table holds the cut with the shortest interval between two answers of a stream, too.

Standard library only.
"""

from __future__ import annotations

from cic.decision.conditions import Box, Conditions
from cic.decision.frozen import Frozen
from cic.decision.units import shown
from cic.errors import ArtifactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codegen.checked_json import Fields


class StreamProof(Frozen):
    """What `cic.compilation.stream_cuts` found.

    box: in it no allowed cut has a shorter interval than the best of the table; of its round trips nothing is said.
    extra: places of the cuts in the table that are there for streams alone.
    """

    __slots__ = ("box", "extra")
    box: Box
    extra: tuple[int, ...]

    def check(self) -> None:
        """Raise unless it can stand in a table."""
        if not isinstance(self.box, Box):
            raise ArtifactError(f"the box of streams is {shown(self.box)}; a cic.Box is expected")

    def covers(self, conditions: Conditions) -> bool:
        """Is there a cut of the table with the shortest interval of all?

        Conditions order all cuts alike if slowdowns are divided and bandwidths multiplied by one number: an interval is then
        divided by it. So it is enough that there is a number which takes them into the box.
        """
        uplink_bps, downlink_bps, _, device, server = conditions.numbers
        low_ratio, high_ratio = self.box.edges[2:4]
        ranges = (
            (device / self.box.device_slowdown[1], device / self.box.device_slowdown[0]),
            (server / self.box.server_slowdown[1], server / self.box.server_slowdown[0]),
            (self.box.uplink_bps[0] / uplink_bps, self.box.uplink_bps[1] / uplink_bps),
        )
        # Rounding may part ranges that are one number each.
        fits = max(low for low, _ in ranges) <= min(high for _, high in ranges) * (1 + 1e-12)
        return fits and low_ratio * uplink_bps <= downlink_bps <= high_ratio * uplink_bps

    def row(self) -> dict[str, object]:
        """As a JSON object."""
        return {"box": {field: getattr(self.box, field) for field in Box.FIELDS}, "extra": list(self.extra)}


def read_stream_proof(fields: Fields, cuts: int) -> StreamProof:
    """That of a `.cic` file with so many cuts. Raises ValueError or CicError, naming the field."""
    extra = fields.counts("extra")
    if any(place >= cuts for place in extra) or list(extra) != sorted(set(extra)):
        raise fields.unfit("extra", list(extra), f"places of cuts, ascending and below {cuts}")
    box = fields.object("box")
    return StreamProof(box=Box(*(box.numbers(name, 2) for name in Box.FIELDS)), extra=extra)
