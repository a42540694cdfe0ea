"""The problem in numbers, and the only door that checks them.

Ops are 0..n-1 in an order in which every op follows its producers; tensors are 0..m-1. A placement is the set S of ops on
the device; S is closed under predecessors. Its cost is linear in five features,

    cost = prices.device  * sum of device_ns over S
         + prices.server  * sum of server_ns outside S
         + prices.upload  * bytes of the tensors made in S (or fed to the model) that an op outside S reads, each once
         + prices.download* sum of download_bytes outside S
         + prices.offload * (1 if S is not everything else 0)

where a tensor that crosses under a codec (`mincut.codecs`) adds its encoding and decoding to the first two. So one `Problem`
serves all conditions: a condition (bandwidths, round trip, slowdowns) is one vector of integer prices.
Everything is int64 and every product exact; nothing is rounded once a `Problem` and `Prices` exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mincut.codecs import Codecs, make_codecs, plain_codecs
from mincut.errors import BadProblemError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MODEL_INPUT = -1
FREE, ON_DEVICE, ON_SERVER = 0, 1, 2
# Prices and amounts stay below these, so that a total never leaves int64 (see network.price).
LARGEST_AMOUNT = 2**48
LARGEST_COST = 2**60


class Prices(NamedTuple):
    """What one unit of each feature costs: non-negative integers on one common scale."""

    device: int
    server: int
    upload: int
    download: int
    offload: int


class Features(NamedTuple):
    """What a placement uses; its cost is the inner product with `Prices`."""

    device_ns: int
    server_ns: int
    upload_bytes: int
    download_bytes: int
    offloads: int

    def cost(self, prices: Sequence[int]) -> int:
        """Exact cost in the scale of `prices` (Python integers: never wraps)."""
        return sum(int(amount) * int(price) for amount, price in zip(self, prices, strict=True))


@dataclass(frozen=True, eq=False)
class Problem:
    """A priced DAG.

    device_ns, server_ns, download_bytes: int64[n], non-negative; download_bytes = bytes of the model outputs an op makes.
    pinned: int8[n] of FREE, ON_DEVICE, ON_SERVER.
    producer: int64[m], op id or MODEL_INPUT.
    consumer_start: int64[m + 1] and consumers: int64[*]: the readers of tensor e are
        consumers[consumer_start[e]:consumer_start[e + 1]], at least one, strictly ascending, each after its producer.
    wire_bytes: int64[m], non-negative: what a tensor sends if it crosses, under its first codec where it has several.
    codecs: all the forms in which tensors may cross, or None: each crosses as it is.
    may_cross: bool[m]; a tensor with False keeps its readers where its producer is.

    Raises:
        BadProblemError: naming the field and the first offending entry.
    """

    device_ns: IntArray
    server_ns: IntArray
    download_bytes: IntArray
    pinned: npt.NDArray[np.int8]
    producer: IntArray
    consumer_start: IntArray
    consumers: IntArray
    wire_bytes: IntArray
    may_cross: BoolArray
    codecs: Codecs | None = None

    def __post_init__(self) -> None:
        for field, dtype in _DTYPES.items():
            array = getattr(self, field)
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 1:
                raise BadProblemError(f"{field} must be a one-dimensional {np.dtype(dtype)} array, got {array!r}")
        _check_lengths(self)
        _check_ranges(self)
        _check_order(self)
        if self.codecs is not None:
            _check_codecs(self, self.codecs)

    @property
    def op_count(self) -> int:
        return len(self.device_ns)

    @property
    def tensor_count(self) -> int:
        return len(self.wire_bytes)

    @property
    def forms(self) -> Codecs:
        """`codecs`, or what stands for them where every tensor crosses as it is."""
        return plain_codecs(self.wire_bytes) if self.codecs is None else self.codecs

    def readers(self, tensor: int) -> IntArray:
        """Ops that read a tensor, ascending."""
        return self.consumers[self.consumer_start[tensor] : self.consumer_start[tensor + 1]]

    def features(self, on_device: BoolArray, codec: IntArray | None = None) -> Features:
        """The features of a placement, counted from the problem alone (no network, no solver).

        Args:
            on_device: bool[n].
            codec: int64[m], which of its codecs each tensor crosses under, if it crosses; None: its first.
        """
        crossing = self.crossing(on_device)
        device_ns, server_ns = int(self.device_ns[on_device].sum()), int(self.server_ns[~on_device].sum())
        upload_bytes = self.wire_bytes[crossing]
        if self.codecs is not None:
            used = self.codecs.chosen(codec)[crossing]
            device_ns += int(self.codecs.device_ns[used].sum())
            server_ns += int(self.codecs.server_ns[used].sum())
            upload_bytes = self.codecs.wire_bytes[used]
        return Features(
            device_ns,
            server_ns,
            int(upload_bytes.sum()),
            int(self.download_bytes[~on_device].sum()),
            int(not bool(on_device.all())),
        )

    def crossing(self, on_device: BoolArray) -> BoolArray:
        """bool[m]: the tensors that cross in a placement."""
        made_on_device = np.ones(self.tensor_count, dtype=np.bool_)
        from_op = self.producer >= 0
        made_on_device[from_op] = on_device[self.producer[from_op]]
        read_on_server = np.zeros(self.tensor_count, dtype=np.bool_)
        tensor_of_reader = np.repeat(np.arange(self.tensor_count), np.diff(self.consumer_start))
        read_on_server[tensor_of_reader[~on_device[self.consumers]]] = True
        return made_on_device & read_on_server

    def violation(self, on_device: BoolArray) -> str | None:
        """Why a placement is not allowed, or None: pins, closure under predecessors, tensors that may not cross."""
        for op in np.flatnonzero(self.pinned):
            if bool(on_device[op]) != (self.pinned[op] == ON_DEVICE):
                return f"op {op} is pinned to the other side"
        tensor_of_reader = np.repeat(np.arange(self.tensor_count), np.diff(self.consumer_start))
        producer = self.producer[tensor_of_reader]
        made_on_device = np.where(producer >= 0, on_device[np.maximum(producer, 0)], True)
        reader_on_device = on_device[self.consumers]
        backwards = np.flatnonzero(~made_on_device & reader_on_device)
        if len(backwards):
            first = backwards[0]
            return f"op {self.consumers[first]} on the device reads from op {producer[first]} on the server"
        forbidden = np.flatnonzero(made_on_device & ~reader_on_device & ~self.may_cross[tensor_of_reader])
        if len(forbidden):
            return f"tensor {tensor_of_reader[forbidden[0]]} crosses but may not"
        return None


_DTYPES: dict[str, type] = {
    "device_ns": np.int64,
    "server_ns": np.int64,
    "download_bytes": np.int64,
    "pinned": np.int8,
    "producer": np.int64,
    "consumer_start": np.int64,
    "consumers": np.int64,
    "wire_bytes": np.int64,
    "may_cross": np.bool_,
}


def _check_lengths(problem: Problem) -> None:
    ops, tensors = len(problem.device_ns), len(problem.wire_bytes)
    expected = {
        "server_ns": ops,
        "download_bytes": ops,
        "pinned": ops,
        "producer": tensors,
        "consumer_start": tensors + 1,
        "may_cross": tensors,
    }
    for field, length in expected.items():
        if len(getattr(problem, field)) != length:
            raise BadProblemError(f"{field} has {len(getattr(problem, field))} entries, expected {length}")


def _check_ranges(problem: Problem) -> None:
    for field in ("device_ns", "server_ns", "download_bytes", "wire_bytes"):
        array = getattr(problem, field)
        if len(array) and (array.min() < 0 or array.max() >= LARGEST_AMOUNT or int(array.sum(dtype=object)) >= 2**62):
            raise BadProblemError(f"{field} must lie in 0..2^48 and sum below 2^62; it spans {array.min()}..{array.max()}")
    if len(problem.pinned) and not np.isin(problem.pinned, (FREE, ON_DEVICE, ON_SERVER)).all():
        raise BadProblemError(f"pinned must hold 0, 1 or 2, got {np.unique(problem.pinned)}")


def _check_codecs(problem: Problem, codecs: Codecs) -> None:
    for field in ("start", "wire_bytes", "device_ns", "server_ns"):
        array = getattr(codecs, field)
        if not isinstance(array, np.ndarray) or array.dtype != np.int64 or array.ndim != 1:
            raise BadProblemError(f"codecs.{field} must be a one-dimensional int64 array, got {array!r}")
        if field != "start" and len(array) != len(codecs.wire_bytes):
            raise BadProblemError(f"codecs.{field} has {len(array)} entries, codecs.wire_bytes {len(codecs.wire_bytes)}")
        if (
            field != "start"
            and len(array)
            and (array.min() < 0 or array.max() >= LARGEST_AMOUNT or int(array.sum(dtype=object)) >= 2**62)
        ):
            raise BadProblemError(
                f"codecs.{field} must lie in 0..2^48 and sum below 2^62; it spans {array.min()}..{array.max()}"
            )
    start = codecs.start
    if (
        len(start) != problem.tensor_count + 1
        or start[0] != 0
        or start[-1] != len(codecs.wire_bytes)
        or (np.diff(start) < 1).any()
    ):
        raise BadProblemError(
            f"codecs.start must rise from 0 to {len(codecs.wire_bytes)} in {problem.tensor_count} steps, every tensor with at"
            f" least one codec; it is {start}"
        )
    first = codecs.wire_bytes[start[:-1]]
    differ = np.flatnonzero(first != problem.wire_bytes)
    if len(differ):
        tensor = differ[0]
        raise BadProblemError(
            f"tensor {tensor} sends {problem.wire_bytes[tensor]} bytes, its first codec says {first[tensor]}: they must agree"
        )


def _check_order(problem: Problem) -> None:
    start, consumers = problem.consumer_start, problem.consumers
    if start[0] != 0 or start[-1] != len(consumers) or (np.diff(start) < 1).any():
        raise BadProblemError("consumer_start must rise from 0 to len(consumers), every tensor with at least one reader")
    if not len(consumers):
        return
    if problem.producer.min() < MODEL_INPUT or problem.producer.max() >= problem.op_count:
        raise BadProblemError(f"producer must lie in -1..{problem.op_count - 1}, got {problem.producer}")
    if consumers.min() < 0 or consumers.max() >= problem.op_count:
        raise BadProblemError(f"consumers must lie in 0..{problem.op_count - 1}, got {consumers}")
    tensor_of_reader = np.repeat(np.arange(problem.tensor_count), np.diff(start))
    late = np.flatnonzero(consumers <= problem.producer[tensor_of_reader])
    if len(late):
        tensor = tensor_of_reader[late[0]]
        raise BadProblemError(
            f"tensor {tensor} is read by op {consumers[late[0]]} before its producer {problem.producer[tensor]}"
        )
    unsorted = np.flatnonzero((np.diff(consumers) <= 0) & (np.diff(tensor_of_reader) == 0))
    if len(unsorted):
        raise BadProblemError(f"readers of tensor {tensor_of_reader[unsorted[0]]} must be strictly ascending")


def make_problem(
    device_ns: Sequence[int],
    server_ns: Sequence[int],
    tensors: Sequence[tuple[int, Sequence[int], int]],
    *,
    download_bytes: Sequence[int] | None = None,
    pinned: Sequence[int] | None = None,
    may_cross: Sequence[bool] | None = None,
    codecs: Sequence[Sequence[tuple[int, int, int]]] | None = None,
) -> Problem:
    """A `Problem` from plain lists; `tensors` are (producer or MODEL_INPUT, readers, wire bytes).

    codecs: for each tensor the forms it may cross in, as (wire bytes, device ns to encode, server ns to decode); then the wire
    bytes in `tensors` are not looked at. Tensors nobody reads are left out: they never cross.
    """
    ops = len(device_ns)
    read = [index for index, (_, readers, _) in enumerate(tensors) if len(readers)]
    readers = [sorted(set(tensors[index][1])) for index in read]
    forms = None if codecs is None else make_codecs([codecs[index] for index in read])
    return Problem(
        device_ns=np.asarray(device_ns, dtype=np.int64),
        server_ns=np.asarray(server_ns, dtype=np.int64),
        download_bytes=np.asarray([0] * ops if download_bytes is None else download_bytes, dtype=np.int64),
        pinned=np.asarray([FREE] * ops if pinned is None else pinned, dtype=np.int8),
        producer=np.asarray([tensors[index][0] for index in read], dtype=np.int64),
        consumer_start=np.cumsum([0] + [len(names) for names in readers], dtype=np.int64),
        consumers=np.asarray([op for names in readers for op in names], dtype=np.int64),
        wire_bytes=np.asarray([tensors[index][2] for index in read], dtype=np.int64) if forms is None else forms.first_bytes,
        may_cross=np.asarray([True if may_cross is None else may_cross[index] for index in read], dtype=np.bool_),
        codecs=forms,
    )
