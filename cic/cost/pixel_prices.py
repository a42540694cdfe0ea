"""What the ops of a model that takes pixels cost on a machine that was profiled with the model as it is, without normalisation.

A profile of the model with its normalisation in front prices all of it. In one of the bare model the normalisation is missing:
it takes what `cic profile` measured for any picture. A machine of figures predicts both.
"""

from __future__ import annotations

import math

from cic.cost.codec_time import NORMALISATION
from cic.cost.cost_source import CostSource
from cic.errors import CostError
from cic.graph import Graph, Op
from cic.trace.traced import Traced


def pixel_op_seconds(cost: CostSource, traced: Traced, bare: Traced) -> tuple[float, ...]:
    """Seconds of each op of `traced`, which is `bare` with a normalisation in front, or `bare` itself.

    Raises CostError when the source prices neither.
    """
    if traced is bare:
        return cost.op_seconds(bare.graph)
    try:
        return cost.op_seconds(traced.graph)
    except CostError:
        of_bare = cost.op_seconds(bare.graph)
    known = dict(zip((op.name for op in bare.graph.ops), of_bare, strict=True))
    return tuple(known[op.name] if op.name in known else _normalising_s(cost, op, traced.graph) for op in traced.graph.ops)


def _normalising_s(cost: CostSource, op: Op, graph: Graph) -> float:
    elements = sum(math.prod(graph.tensor_by_name[name].shape) for name in op.inputs)
    return cost.codec_seconds(NORMALISATION, elements, elements)[1]
