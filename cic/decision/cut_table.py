"""The table that a decision is looked up in: every cut that can be optimal, where each is best, and what that assumes."""

from __future__ import annotations

from itertools import pairwise

from cic.decision.conditions import Box, Conditions
from cic.decision.cut import Cut
from cic.decision.frozen import Frozen
from cic.decision.proof import StoredProof
from cic.decision.provenance import Provenance
from cic.decision.units import positive, shown
from cic.errors import ArtifactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CutTable(Frozen):
    """All that `decide` needs.

    name: of the model. cuts: every cut that is optimal somewhere in `box`, from all-server to all-device.
    break_points: ascending uplink bit/s; between two of them one cut is best under the default conditions.
    best_between: indices into `cuts`, one more than break points.
    box: conditions for which decisions are proved optimal.
    default_rtt_s, default_downlink_ratio: what `decide` assumes when not told.
    information: where it comes from, for people. proof: prices at which minimum cuts were checked.

    Raises:
        ArtifactError: the cuts, break points and their order do not make a table. UnitError: a default is no such number.
    """

    __slots__ = (
        "best_between",
        "box",
        "break_points",
        "cuts",
        "default_downlink_ratio",
        "default_rtt_s",
        "information",
        "name",
        "proof",
    )
    name: str
    cuts: tuple[Cut, ...]
    break_points: tuple[float, ...]
    best_between: tuple[int, ...]
    box: Box
    default_rtt_s: float
    default_downlink_ratio: float
    information: Provenance
    proof: StoredProof

    def check(self) -> None:
        """Raise unless a look-up in this table always finds a cut."""
        _check_cuts(self.cuts)
        if not isinstance(self.box, Box):
            raise ArtifactError(f"the box is {shown(self.box)}; a cic.Box is expected")
        _check_break_points(self.break_points, self.best_between, self.box.uplink_bps, len(self.cuts))
        positive(self.default_rtt_s, "the default rtt", or_zero=True)
        positive(self.default_downlink_ratio, "the default downlink ratio")
        if not isinstance(self.information, Provenance) or not isinstance(self.proof, StoredProof):
            raise ArtifactError(
                f"information and proof are {shown((self.information, self.proof))}; Provenance and StoredProof are expected"
            )

    @property
    def proved(self) -> bool:
        """Is every look-up inside the box optimal, up to `NEGLIGIBLE_GAP`? Not if the search for cuts was left unfinished."""
        return self.proof.holds

    def default_conditions(self, uplink_bps: float) -> Conditions:
        """The conditions assumed when only the uplink is known."""
        return Conditions(uplink_bps, uplink_bps * self.default_downlink_ratio, self.default_rtt_s)


def _check_cuts(cuts: Any) -> None:
    if not isinstance(cuts, tuple) or not cuts or any(not isinstance(cut, Cut) for cut in cuts):
        raise ArtifactError(f"cuts are {shown(cuts)}; a tuple of one at least is expected")


def _check_break_points(points: Any, best: Any, uplink_bps: tuple[float, float], cuts: int) -> None:
    low, high = uplink_bps
    if not isinstance(points, tuple) or any(type(point) is not float or not low <= point <= high for point in points):
        raise ArtifactError(f"break points are {shown(points)}; bandwidths from {low:g} to {high:g} bit/s are expected")
    if any(not before < after for before, after in pairwise(points)):
        raise ArtifactError(f"break points are {shown(points)}; they must ascend")
    fits = isinstance(best, tuple) and len(best) == len(points) + 1
    if not fits or any(type(index) is not int or not 0 <= index < cuts for index in best):
        raise ArtifactError(
            f"best_between is {shown(best)}; for {len(points)} break points one more is expected, each below {cuts}"
        )
