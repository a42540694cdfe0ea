"""The limits that every cut of a table keeps within, beside the graph they speak of. Standard library only."""

from __future__ import annotations

from cic.decision.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codegen.checked_json import Fields


class StoredLimits(Frozen):
    """The most bytes that a cut may have; None: as many as it wants. See `cic.compilation.limits.Limits`.

    upload_bytes: sent to the server. memory_bytes: of activations on the device at any moment. weights_bytes: on the device.
    weights: bytes of weights that each op brings to the device, in the order of the graph; empty where they have no limit.
    """

    __slots__ = ("memory_bytes", "upload_bytes", "weights", "weights_bytes")
    upload_bytes: int | None
    memory_bytes: int | None
    weights_bytes: int | None
    weights: tuple[int, ...]

    @property
    def bytes_by_name(self) -> dict[str, int]:
        """Those that there are, named as `Limits` names them."""
        all_of_them = {"upload": self.upload_bytes, "memory": self.memory_bytes, "weights": self.weights_bytes}
        return {name: most for name, most in all_of_them.items() if most is not None}


def read_limits(fields: Fields, ops: int) -> StoredLimits:
    """The limits in a graph of so many ops. Raises ValueError, naming the field."""
    limits = StoredLimits(
        upload_bytes=fields.maybe(fields.count, "upload_bytes"),
        memory_bytes=fields.maybe(fields.count, "memory_bytes"),
        weights_bytes=fields.maybe(fields.count, "weights_bytes"),
        weights=fields.counts("weights"),
    )
    if len(limits.weights) != (0 if limits.weights_bytes is None else ops):
        raise fields.unfit("weights", list(limits.weights), f"a number for each of {ops} ops, or none without a limit")
    return limits
