"""`Limits`: the most bytes that a cut may send, and may need on the device; every cut of the table keeps within them."""

from __future__ import annotations

from dataclasses import dataclass

from cic.decision.arguments import check_number
from cic.decision.off_table.limit_rows import Held, LimitRows
from cic.decision.stored_limits import StoredLimits
from cic.decision.units import byte_count
from cic.errors import CompileError
from cic.graph import Graph
from cic.trace.op_weights import op_weights
from cic.trace.traced import Traced

Size = int | str
LARGEST_BYTES = 2**47


@dataclass(frozen=True)
class Limits:
    """Each a number of bytes or a text such as "512MB", or None: no limit.

    upload: of payloads sent for one inference, in whatever form tensors cross.
    memory: of activations on the device at any moment, as `cic.decision.off_table.limit_rows` counts them: model inputs,
        intermediate tensors from their maker to their last reader, all that cross until they are sent, and their payloads.
    weights: of weights on the device.

    Raises:
        UnitError: a text is no number of bytes, or a number is not whole or negative.
    """

    upload: Size | None = None
    memory: Size | None = None
    weights: Size | None = None

    def __post_init__(self) -> None:
        for name in ("upload", "memory", "weights"):
            _bytes_of(getattr(self, name), f"the limit of {name}")

    def stored(self, traced: Traced) -> StoredLimits | None:
        """The limits for a model, with the weights that its ops bring; None if there are none.

        Raises:
            CompileError: the batch is open, as limits are those of one batch.
        """
        upload, memory, weights = (_bytes_of(each, "a limit") for each in (self.upload, self.memory, self.weights))
        if upload is None and memory is None and weights is None:
            return None
        if traced.open_batch is not None:
            raise CompileError(
                "limits are given and the batch is open, yet a larger batch sends and needs more: fix the batch, or drop limits"
            )
        brought = () if weights is None else op_weights(traced)
        return StoredLimits(upload_bytes=upload, memory_bytes=memory, weights_bytes=weights, weights=brought)


def rows_for(graph: Graph, limits: StoredLimits | None) -> LimitRows | None:
    """The bounded rows of a graph's problem."""
    if limits is None:
        return None
    op_id = {op.name: index for index, op in enumerate(graph.ops)}
    held = (
        Held(
            -1 if tensor.producer is None else op_id[tensor.producer],
            op_id[tensor.consumers[-1]] if tensor.consumers else -1,
            tensor.bytes,
            tensor.is_output,
        )
        for tensor in graph.tensors
    )
    return LimitRows(limits, tuple(held))


def _bytes_of(size: Size | None, what: str) -> int | None:
    if size is None:
        return None
    if isinstance(size, str):
        return byte_count(size, what)
    check_number(size, what, 0, LARGEST_BYTES, whole=True)
    return size
