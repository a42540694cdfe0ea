"""Whether a split pays: where it beats device-only and server-only both, by how much at best, and within which byte budget.

With everything but the bandwidth fixed, a cut's latency is a straight line in x = 1 / uplink (`cic.decision.break_points`):
c(x) = a + b x. The baseline is the better of both extremes, r(x) = min(device-only, every form of server-only), in which the
input is sent as a user would send it. Three facts make every answer here exact; all follow from r being one straight line
r_a + r_b x between two of its break points.

* The gain r(x) / c(x) of a cut is largest at a break point of r, or at an end of the range. Proof: between break points it is
  a quotient of two affine functions, whose derivative (r_b a - r_a b) / (a + b x)^2 has one sign, so it is monotone there.
* The largest payload with which a cut still ties, (r(x) - a - d x) / x bit where d x is the time of its download, is largest
  at a break point of r, or at an end of the range. Proof: between break points it is (r_a - a) / x + r_b - d, monotone in x.
* Splits win on a union of intervals whose ends are where the lower envelope of all splits crosses r. Proof: both are affine
  between two neighbours of their common break points.

With one form of server-only, D and S the latencies of both extremes without the upload, J bit to send the input, and h + t a
cut's latency without its upload of L bit, the only break point of r is at B0 = J / (D - S). There a cut gains
D / (h + t + (L / J) (D - S)), and wins if and only if L < J (D - h - t) / (D - S).
"""

from __future__ import annotations

from dataclasses import dataclass

from cic.decision.break_points import break_points, line
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cic.decision.cut import Cut
    from cic.decision.splitting_model import SplittingModel

    Line = tuple[float, float]
    """Latency as seconds at x = 0 and seconds per unit of x, x in s/bit."""

BITS_PER_BYTE = 8


@dataclass(frozen=True, slots=True)
class Gain:
    """By which factor a split is faster than the better of both extremes, at which uplink in bit/s."""

    factor: float
    uplink_bps: float


@dataclass(frozen=True, slots=True)
class Payoff:
    """What splits are worth over a range of uplinks.

    windows: ranges of uplinks in bit/s, ascending, in which some split beats both extremes; empty if none ever does.
    gains: of each split where it gains most; the factor is at most 1 for a split that never wins.
    budgets: bytes, of each split the largest upload with which it could still tie with the better extreme somewhere in the
        range; none is positive for a split whose computation alone takes longer than both extremes.
    tie_bps: the uplinks at which both extremes take equally long, which is where splits gain most if anywhere.
    """

    windows: tuple[tuple[float, float], ...]
    gains: tuple[Gain, ...]
    budgets: tuple[float, ...]
    tie_bps: tuple[float, ...]

    @property
    def best(self) -> int | None:
        """Which split gains most; None if no split ever wins."""
        winners = [index for index, gain in enumerate(self.gains) if gain.factor > 1]
        return max(winners, key=lambda index: self.gains[index].factor, default=None)


def splits_of(model: SplittingModel) -> tuple[Cut, ...]:
    """The cuts of a table that use both sides."""
    return tuple(cut for cut in model.cuts if cut.id not in (DEVICE_ONLY, SERVER_ONLY))


def payoff_of(model: SplittingModel) -> Payoff | None:
    """Whether the splits of a table pay under its default conditions, at the uplinks of its box; in the order of `splits_of`.

    None where pins forbid both extremes.
    """
    lines = {cut: line(cut.row, model.default_rtt_s, model.default_downlink_ratio, 1.0, 1.0) for cut in model.cuts}
    splits = splits_of(model)
    return payoff(
        next((line for cut, line in lines.items() if cut.id == DEVICE_ONLY), None),
        [line for cut, line in lines.items() if cut.id == SERVER_ONLY],
        [lines[cut] for cut in splits],
        [cut.row[2] for cut in splits],
        model.box.uplink_bps,
    )


def payoff(
    device_only: Line | None,
    server_only: Sequence[Line],
    splits: Sequence[Line],
    uploads: Sequence[float],
    uplink_bps: tuple[float, float],
) -> Payoff | None:
    """See the module.

    Args:
        device_only: None where pins forbid it. server_only: one line a form of the input, empty where pins forbid it.
        splits: every other cut. uploads: bits that each split sends up, a part of its line's second number.
        uplink_bps: the range of uplinks, slowest first.

    Returns:
        None where neither extreme is allowed, for then there is nothing to compare with.
    """
    baseline = [*([] if device_only is None else [device_only]), *server_only]
    if not baseline:
        return None
    points, best = break_points(baseline, uplink_bps)
    corners = [uplink_bps[0], *points, uplink_bps[1]]
    gains = tuple(_largest_gain(split, baseline, corners) for split in splits)
    budgets = tuple(_budget(split, bits, baseline, corners) for split, bits in zip(splits, uploads, strict=True))
    ties = () if device_only is None else tuple(_changes_of_side(points, best))
    return Payoff(_windows(baseline, splits, uplink_bps), gains, budgets, ties)


def _at(line: Line, bps: float) -> float:
    return line[0] + line[1] / bps


def _lowest(lines: Sequence[Line], bps: float) -> float:
    return min(_at(line, bps) for line in lines)


def _largest_gain(split: Line, baseline: Sequence[Line], corners: Sequence[float]) -> Gain:
    return max((Gain(_quotient(_lowest(baseline, bps), _at(split, bps)), bps) for bps in corners), key=lambda gain: gain.factor)


def _quotient(baseline_s: float, split_s: float) -> float:
    """A split that takes no time gains nothing over a baseline that takes none either."""
    if split_s > 0:
        return baseline_s / split_s
    return 1.0 if baseline_s <= 0 else float("inf")


def _budget(split: Line, upload_bits: float, baseline: Sequence[Line], corners: Sequence[float]) -> float:
    without_upload = split[0], split[1] - upload_bits
    return max((_lowest(baseline, bps) - _at(without_upload, bps)) * bps for bps in corners) / BITS_PER_BYTE


def _changes_of_side(points: Sequence[float], best: Sequence[int]) -> list[float]:
    """Break points of the baseline at which device-only, which is its first line, begins or ceases to be the better one."""
    return [point for point, below, above in zip(points, best, best[1:], strict=False) if (below == 0) != (above == 0)]


def _windows(
    baseline: Sequence[Line], splits: Sequence[Line], uplink_bps: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """Where the lowest split lies below the baseline: the pieces of the lower envelope of both that splits own."""
    # Equal lines belong to the baseline, which stands first: a split that only ties does not pay.
    points, best = break_points([*baseline, *splits], uplink_bps)
    edges = [uplink_bps[0], *points, uplink_bps[1]]
    windows: list[tuple[float, float]] = []
    for low, high, index in zip(edges, edges[1:], best, strict=False):
        if index < len(baseline):
            continue
        if windows and windows[-1][1] == low:
            windows[-1] = windows[-1][0], high
        else:
            windows.append((low, high))
    return tuple(windows)
