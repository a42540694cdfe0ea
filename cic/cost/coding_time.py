"""Seconds to encode and decode one tensor under any codec, a transform made for it included. Needs numpy."""

from __future__ import annotations

from collections.abc import Sequence

from cic.codec.codec import Codec
from cic.codec.tensors import count
from cic.codec.transform.transform_codec import TransformCodec, TransformWork
from cic.cost.codec_time import PRODUCTS, TRANSFORM
from cic.cost.cost_source import CostSource


def coding_seconds(cost: CostSource, used: Codec, shape: Sequence[int], wire_bytes: int) -> tuple[float, float]:
    """Seconds to encode a tensor of that shape on a machine, and to decode it. Raises CostError where nothing is known."""
    if isinstance(used, TransformCodec):
        return transform_seconds(cost, used.work(shape), wire_bytes)
    return cost.codec_seconds(used.name, count(shape), wire_bytes)


def transform_seconds(cost: CostSource, work: TransformWork, wire_bytes: int) -> tuple[float, float]:
    """Seconds of a transform codec that does so much work, each way. Raises CostError where nothing is known of transforms."""
    handled = cost.codec_seconds(TRANSFORM, work.numbers, wire_bytes)
    multiplied = cost.codec_seconds(PRODUCTS, work.products, 0)
    return handled[0] + multiplied[0], handled[1] + multiplied[1]
