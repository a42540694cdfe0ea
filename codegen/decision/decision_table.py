"""The decision as plain numbers: what a generated look-up needs to know, checked at one door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from codegen.errors import CodegenError

Row = tuple[float, float, float, float, float]
"""Of one cut: device s, server s, upload bit, download bit, and 1.0 if it uses the server."""

Range = tuple[float, float]
"""Low and high, both inside."""

Ranges = tuple[Range, Range, Range, Range, Range]
"""Of uplink bit/s, downlink, rtt s, device slowdown and server slowdown, in this order."""

CONDITIONS = ("uplink_bps", "downlink_bps", "rtt_s", "device_slowdown", "server_slowdown")

# Far beyond any network; below it no sum of products in a look-up can overflow.
LARGEST = 1e30


@dataclass(frozen=True)
class DecisionTable:
    """Every cut that can be optimal, and where it is.

    name: of the model. rows: one per cut, from least to most on the device.
    cut_ids: of each cut the directory of its halves; cuts that differ only in what they send share it.
    sent: of each cut (tensor, codec) for each tensor that crosses, in the order of the halves; the codec with its parameters.
    break_points: ascending uplink bit/s. best_between: indices of cuts, one more than break points.
    box: conditions for which the table is proved optimal; its second range is of downlink / uplink.
    limits: what is believed to be conditions at all; its second range is of the downlink in bit/s.
    default_rtt_s, default_downlink_ratio: assumed when only the uplink is known; both slowdowns are then 1.
    proved: is the table proved optimal in its box?
    facts: what people should read about its origin, as (what, text); any text is allowed.

    Raises:
        CodegenError: the numbers do not fit together, naming the field.
    """

    name: str
    cut_ids: tuple[str, ...]
    sent: tuple[tuple[tuple[str, str], ...], ...]
    rows: tuple[Row, ...]
    break_points: tuple[float, ...]
    best_between: tuple[int, ...]
    box: Ranges
    limits: Ranges
    default_rtt_s: float
    default_downlink_ratio: float
    proved: bool
    facts: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if type(self.name) is not str:
            raise CodegenError(f"the name is {self.name!r}; give a text")
        _check_cuts(self.cut_ids, self.sent)
        if len(self.rows) != len(self.cut_ids):
            raise CodegenError(f"{len(self.cut_ids)} cut_ids but {len(self.rows)} rows; give one row a cut")
        for cut_id, row in zip(self.cut_ids, self.rows, strict=True):
            _check_numbers(row, f"the row of cut {cut_id}")
        _check_numbers(self.break_points, "break_points")
        if len(self.best_between) != len(self.break_points) + 1:
            raise CodegenError(
                f"{len(self.break_points)} break_points need one best_between more, not {len(self.best_between)}"
            )
        if any(type(index) is not int or not 0 <= index < len(self.rows) for index in self.best_between):
            raise CodegenError(f"best_between is {self.best_between}, there are {len(self.rows)} cuts")
        if any(low >= high for low, high in pairwise(self.break_points)):
            raise CodegenError(f"break_points are {self.break_points}; they must ascend")
        for what, ranges in (("box", self.box), ("limits", self.limits)):
            for name, (low, high) in zip(CONDITIONS, ranges, strict=True):
                _check_numbers((low, high), f"{what} of {name}")
                if low > high:
                    raise CodegenError(f"{what} of {name} runs from {low:g} down to {high:g}; give (low, high)")
        _check_numbers((self.default_rtt_s, self.default_downlink_ratio), "defaults")
        if 0 in (self.box[0][0], self.limits[0][0], self.limits[1][0]):
            raise CodegenError("a bandwidth of 0 cannot be divided by; let the ranges of box and limits start above it")

    @property
    def device_only(self) -> int | None:
        """The first cut that does not use the server, None if every one does."""
        return next((index for index, row in enumerate(self.rows) if not row[4]), None)

    @property
    def least_download_bits(self) -> float:
        """What every cut that uses the server downloads at least."""
        return min((row[3] for row in self.rows if row[4]), default=0.0)


def _check_cuts(cut_ids: Sequence[str], sent: Sequence[Sequence[tuple[str, str]]]) -> None:
    if not cut_ids or len(sent) != len(cut_ids):
        raise CodegenError(f"there are {len(cut_ids)} cut_ids and {len(sent)} rows of what is sent; give at least one of each")
    if len(set(zip(cut_ids, map(tuple, sent), strict=True))) != len(cut_ids):
        raise CodegenError(f"cut_ids are {list(cut_ids)}; cuts of one id must differ in what they send")
    for cut_id in cut_ids:
        _check_text(cut_id, "cut id")
    for text in (text for pairs in sent for pair in pairs for text in pair):
        _check_text(text, "tensor or codec")


def _check_text(text: str, what: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CodegenError(f"{what} {text!r} cannot be written as UTF-8: {error.reason}") from error
    if "\0" in text:
        raise CodegenError(f"{what} {text!r} holds a zero character, where a text in C ends")


def _check_numbers(values: Sequence[float], what: str) -> None:
    for value in values:
        if type(value) is not float or not 0 <= value <= LARGEST:
            raise CodegenError(f"{what}: got {value!r} where a float from 0 to {LARGEST:g} belongs")
