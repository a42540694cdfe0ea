"""The graph that a splitting model was compiled from, in numbers and names: ops, tensors, and what each cut has on the device.

Built and checked only when it is asked for, which deciding does not. Standard library only.
"""

from __future__ import annotations

from cic.decision.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from cic.decision.stored_calibration import StoredCalibration
    from cic.decision.stored_limits import StoredLimits

Names = tuple[tuple[str, ...], tuple[str, ...]]
"""Of one cut: the ops on the device, in order, and the tensors sent to the server."""


class StoredOp(Frozen):
    """An op. device_ns, server_ns: its time on either side. pinned: 0 free, 1 to the device, 2 to the server."""

    __slots__ = ("device_ns", "kinds", "name", "pinned", "server_ns")
    name: str
    kinds: tuple[str, ...]
    device_ns: int
    server_ns: int
    pinned: int


class StoredForm(Frozen):
    """A form in which a tensor may cross.

    codec: its name. wire_bytes: size of the payload. encode_ns, decode_ns: on the device and on the server. error: relative.
    """

    __slots__ = ("codec", "decode_ns", "encode_ns", "error", "wire_bytes")
    codec: str
    wire_bytes: int
    encode_ns: int
    decode_ns: int
    error: float

    @property
    def features(self) -> tuple[int, int, int]:
        """Wire bytes, device ns, server ns."""
        return self.wire_bytes, self.encode_ns, self.decode_ns

    def row(self) -> list[Any]:
        """A list, since a file has a dozen for each tensor."""
        return list(self.fields().values())


class StoredTensor(Frozen):
    """A tensor between ops. producer: the op that makes it, -1 if the caller gives it. consumers: ops that read it, ascending.

    wire_bytes: as it is. may_cross: may it leave the device? is_output: does the caller get it?
    forms: the plain one first; empty if it crosses as it is only.
    """

    __slots__ = ("consumers", "dtype", "forms", "is_output", "may_cross", "name", "producer", "shape", "wire_bytes")
    name: str
    producer: int
    consumers: tuple[int, ...]
    wire_bytes: int
    shape: tuple[int, ...]
    dtype: str
    may_cross: bool
    is_output: bool
    forms: tuple[StoredForm, ...]

    @property
    def codecs(self) -> tuple[str, ...]:
        """The names of its forms, "raw" alone where it has none."""
        return tuple(form.codec for form in self.forms) or ("raw",)


class StoredInput(Frozen):
    """A tensor of the example call.

    values: "mean" and "deviation" of floats, "low" and "high" of whole numbers, or nothing.
    order: its dimensions from the slowest to the fastest in memory; None if that is the usual order.
    open_axes: along which the batch lies, if that is open.
    """

    __slots__ = ("dtype", "name", "open_axes", "order", "shape", "values")
    name: str
    shape: tuple[int, ...]
    dtype: str
    values: Mapping[str, float]
    order: tuple[int, ...] | None
    open_axes: tuple[int, ...]

    def row(self) -> Any:
        """Without open axes where there are none, as in most files."""
        row = self.fields()
        if not self.open_axes:
            del row["open_axes"]
        return row


class StoredCall(Frozen):
    """The example call. structure: its nesting, as `codegen.calls.structure.describe` writes it. tensors: its leaves."""

    __slots__ = ("structure", "tensors")
    structure: dict[str, Any]
    tensors: tuple[StoredInput, ...]

    def at_batch(self, batch: int | None) -> StoredCall:
        """The call with so many rows along the open axes; None: as it is."""
        if batch is None:
            return self
        resized = [
            [batch if axis in tensor.open_axes else size for axis, size in enumerate(tensor.shape)] for tensor in self.tensors
        ]
        tensors = zip(self.tensors, resized, strict=True)
        return StoredCall(structure=self.structure, tensors=tuple(each.replaced(shape=tuple(shape)) for each, shape in tensors))


class StoredGraph(Frozen):
    """Ops and tensors are known by their places here.

    cuts: the ops on the device, ascending, of each cut of the table.
    alternatives: a choice of codecs must be allowed by one of them. Each is the pairs (place among the tensors that are read,
        which of its forms) that it forbids; empty if nothing is forbidden. See `cic.precision.target_search`.
    inputs: the call that the model was traced with.
    calibration: what the times were before halves were measured and what these took; None if they never were.
    limits: what every cut keeps within; None: nothing was asked for.
    """

    __slots__ = ("alternatives", "calibration", "cuts", "inputs", "limits", "ops", "tensors")
    ops: tuple[StoredOp, ...]
    tensors: tuple[StoredTensor, ...]
    cuts: tuple[tuple[int, ...], ...]
    alternatives: tuple[tuple[tuple[int, int], ...], ...]
    inputs: StoredCall
    calibration: StoredCalibration | None
    limits: StoredLimits | None

    def row(self) -> Any:
        """Without limits where there are none, as in most files."""
        row = self.fields()
        if self.limits is None:
            del row["limits"]
        return row

    @property
    def read(self) -> tuple[StoredTensor, ...]:
        """The tensors that ops read: those which alternatives and a problem count."""
        return tuple(tensor for tensor in self.tensors if tensor.consumers)

    @property
    def has_codecs(self) -> bool:
        return any(tensor.forms for tensor in self.tensors)

    def names(self, on_device: Collection[int]) -> Names:
        """The device ops and the crossing tensors of a cut with these ops on the device."""
        here = frozenset(on_device)
        ops = tuple(op.name for index, op in enumerate(self.ops) if index in here)
        return ops, tuple(tensor.name for tensor in self.crossing(here))

    def crossing(self, on_device: frozenset[int]) -> list[StoredTensor]:
        """The tensors that a cut sends."""
        made = (tensor for tensor in self.tensors if tensor.producer < 0 or tensor.producer in on_device)
        return [tensor for tensor in made if not on_device.issuperset(tensor.consumers)]
