"""Every optimal cut of a problem in a box: of the compressed problem, and of the whole where limits forbid some of these.

No rule of `compress` stays exact under limits as it stands. Each merges ops because moving them costs nothing at any price; but
the cut that a rule moves away from may be the only one that a limit allows: what is free in time may take memory, or send
more. Merging tensors that always cross together adds up what they send, though not in the rows of others. So limits are left
out at first. If every optimal cut of the compressed problem is within them, nothing is lost, for the optimum over more cuts is
no dearer. Else the whole problem is solved within the limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cic.progress import Progress, Tell
from compress.bounds import Bounds
from compress.schedule import Compression, compress_together
from mincut.bound_tree import keeps
from mincut.lower_envelope import Envelope, envelope
from mincut.oracle import Limits
from mincut.problem import Problem


def find_table(
    problem: Problem,
    alternatives: Sequence[Problem],
    bounds: Bounds,
    *,
    limits: Limits | None = None,
    most_solves: int,
    tell: Tell,
) -> tuple[Envelope, int]:
    """The envelope of the whole problem, and of how many ops the problem was that it was found in.

    Args:
        alternatives, limits: as in `mincut.lower_envelope.envelope`.

    Raises:
        InfeasibleError: no cut is allowed, or none within the limits.
        NotExactError: as `compress.schedule.compress`.
    """

    def at_ray(done: int, of: int) -> None:
        tell(Progress("finding every optimal cut", done, of))

    compression, parts = compress_together(problem, alternatives, bounds)
    small = compression.reduction.problem
    found = _lifted(envelope(small, bounds.box, alternatives=parts, most_solves=most_solves, progress=at_ray), compression)
    if limits is None or _within(problem, limits, found):
        return found, small.op_count
    whole = envelope(problem, bounds.box, alternatives=alternatives, limits=limits, most_solves=most_solves, progress=at_ray)
    return whole, problem.op_count


def _within(problem: Problem, limits: Limits, found: Envelope) -> bool:
    rows = limits(problem)
    return all(keeps(problem, rows, side, codec) for side, codec in zip(found.placements, found.codecs, strict=True))


def _lifted(found: Envelope, compression: Compression) -> Envelope:
    """An envelope of the compressed problem as one of the whole."""
    reduction = compression.reduction
    return replace(
        found,
        placements=tuple(map(reduction.lift, found.placements)),
        codecs=tuple(map(reduction.lift_codecs, found.codecs)),
    )
