"""In which forms each tensor may cross, and what crossing costs at given prices.

A codec turns a tensor into fewer bytes and takes device time to encode and server time to decode. A crossing tensor uses
the codec that is cheapest at the prices, so what its arc costs is a minimum of a few linear functions of the prices. The
cost of the best placement is then the minimum, over closed sets with a codec for each crossing tensor, of linear functions:
it stays concave and homogeneous in the prices, and everything that `mincut.lower_envelope` proves holds as it stands. At fixed
prices tensors choose independently of each other (a cost is a sum over them), so one minimum cut with the cheapest codec on
every arc finds the best pair of closed set and codecs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mincut.capped import capped, sum_capped
from mincut.errors import BadProblemError

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Codecs:
    """The codecs allowed for tensors 0..m-1: those of tensor e are start[e] .. start[e + 1] - 1, at least one.

    start: int64[m + 1]. wire_bytes, device_ns, server_ns: int64[start[m]], non-negative: what a codec sends, and how long it
        takes to encode on the device and to decode on the server.
    """

    start: IntArray
    wire_bytes: IntArray
    device_ns: IntArray
    server_ns: IntArray

    @property
    def counts(self) -> IntArray:
        """int64[m]: how many codecs each tensor has."""
        return np.diff(self.start)

    @property
    def first_bytes(self) -> IntArray:
        """int64[m]: what each tensor sends under its first codec."""
        return self.wire_bytes[self.start[:-1]]

    def chosen(self, codec: IntArray | None) -> IntArray:
        """Positions of the chosen codecs in the arrays: int64[m]; None chooses the first of each."""
        return self.start[:-1] if codec is None else self.start[:-1] + codec


def make_codecs(rows: Sequence[Sequence[tuple[int, int, int]]]) -> Codecs:
    """From plain lists: for each tensor its codecs as (wire bytes, device ns, server ns).

    Raises:
        BadProblemError: a tensor without a codec.
    """
    empty = next((tensor for tensor, codecs in enumerate(rows) if not codecs), None)
    if empty is not None:
        raise BadProblemError(f"tensor {empty} has no codec; give it one, or say that it may not cross")
    columns = np.asarray([codec for codecs in rows for codec in codecs], dtype=np.int64).reshape(-1, 3)
    start = np.cumsum([0] + [len(codecs) for codecs in rows], dtype=np.int64)
    wire_bytes, device_ns, server_ns = (np.ascontiguousarray(column) for column in columns.T)
    return Codecs(start, wire_bytes, device_ns, server_ns)


def plain_codecs(wire_bytes: IntArray) -> Codecs:
    """One codec for each tensor: it crosses as it is, in no time."""
    nothing = np.zeros_like(wire_bytes)
    return Codecs(np.arange(len(wire_bytes) + 1, dtype=np.int64), wire_bytes, nothing, nothing)


def without(codecs: Codecs, forbidden: Sequence[tuple[int, int]]) -> Codecs:
    """The same codecs with some never used.

    A forbidden one is given the costs of its tensor's first codec, and of equally cheap codecs the first is taken.

    Args:
        forbidden: (tensor, which of its codecs), none of them the first.

    Raises:
        BadProblemError: a codec does not exist, or is the first of its tensor.
    """
    columns = [codecs.wire_bytes.copy(), codecs.device_ns.copy(), codecs.server_ns.copy()]
    counts = codecs.counts
    for tensor, codec in forbidden:
        if not 0 <= tensor < len(counts) or not 0 < codec < counts[tensor]:
            raise BadProblemError(f"codec {codec} of tensor {tensor} cannot be forbidden: only those after the first can")
        for column in columns:
            column[codecs.start[tensor] + codec] = column[codecs.start[tensor]]
    return Codecs(codecs.start, *columns)


def crossing_costs(codecs: Codecs, prices: Sequence[int], limit: int) -> IntArray:
    """What each tensor costs if it crosses: int64[m], the cheapest codec's price, at most `limit`.

    prices: device, server and upload first, as in `mincut.problem.Prices`.
    """
    if not len(codecs.wire_bytes):
        return codecs.wire_bytes
    return np.asarray(np.minimum.reduceat(form_costs(codecs, prices, limit), codecs.start[:-1]), dtype=np.int64)


def cheapest_codecs(codecs: Codecs, prices: Sequence[int], limit: int) -> IntArray:
    """Which codec of each tensor is the cheapest, the first of equally cheap ones: int64[m].

    All that cost `limit` or more count as equal.
    """
    if not len(codecs.wire_bytes):
        return codecs.wire_bytes
    return least_forms(codecs, form_costs(codecs, prices, limit))


def least_forms(codecs: Codecs, amounts: npt.NDArray[Any]) -> IntArray:
    """Which form of each tensor has the least amount, the first of equal ones: int64[m].

    amounts: of each form, [start[m]].
    """
    if not len(amounts):
        return np.zeros(0, dtype=np.int64)
    tensor = np.repeat(np.arange(len(codecs.start) - 1), codecs.counts)
    least = np.flatnonzero(amounts == np.minimum.reduceat(amounts, codecs.start[:-1])[tensor])
    _, first = np.unique(tensor[least], return_index=True)
    return np.asarray(least[first] - codecs.start[:-1], dtype=np.int64)


def form_costs(codecs: Codecs, prices: Sequence[int], limit: int) -> IntArray:
    """What each form costs if its tensor crosses in it: int64[start[m]], at most `limit`."""
    device, server, upload = prices[:3]
    costs = capped(codecs.wire_bytes, upload, limit)
    costs = sum_capped(costs, capped(codecs.device_ns, device, limit), limit)
    return sum_capped(costs, capped(codecs.server_ns, server, limit), limit)
