"""The proof in a splitting model: at which prices minimum cuts were compared with its table, and what they found."""

from __future__ import annotations

from cic.decision.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codegen.checked_json import Fields

    Ray = tuple[int, int, int, int, int]

# Relative; op times are never known nearly as well. What rounding of prices hides is about 1e-9 for real networks.
NEGLIGIBLE_GAP = 1e-6


class StoredProof(Frozen):
    """What `cic.compilation.verification` checks anew.

    complete: was the search for cuts finished, and does the table have all that it found?
    gap: no cut is faster than the table's best anywhere in the box by more than this, relative; None if nobody knows.
    solves: minimum cuts that were computed.
    rays: the prices at which they were, one for each corner of the lower envelope, in whole numbers: of a ns on the device and
        on the server, of a byte up and down, and of a round trip.
    """

    __slots__ = ("complete", "gap", "rays", "solves")
    complete: bool
    gap: float | None
    solves: int
    rays: tuple[Ray, ...]

    @property
    def holds(self) -> bool:
        """Is every look-up inside the box optimal, up to `NEGLIGIBLE_GAP`?"""
        return self.complete and self.gap is not None and self.gap <= NEGLIGIBLE_GAP


def read_proof(fields: Fields) -> StoredProof:
    """The proof of a `.cic` file. Raises ValueError, naming the field."""
    return StoredProof(
        complete=fields.truth("complete"),
        gap=fields.maybe(lambda name: fields.number(name, 0), "gap"),
        solves=fields.count("solves"),
        rays=tuple(_ray(fields, ray) for ray in fields.items("rays")),
    )


def _ray(fields: Fields, ray: object) -> Ray:
    if not isinstance(ray, list) or len(ray) != 5 or any(type(price) is not int or price < 0 for price in ray):
        raise fields.unfit("rays", ray, "lists of five whole prices")
    device, server, upload, download, round_trip = ray
    return device, server, upload, download, round_trip
