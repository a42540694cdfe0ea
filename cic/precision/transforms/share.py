"""Which calibration samples make transforms. Cuts that use transforms are judged on the other samples alone."""

from __future__ import annotations

import math
import warnings

from cic.codec.transform.transform_codec import TransformWork
from cic.cost.coding_time import transform_seconds
from cic.cost.cost_source import CostSource
from cic.errors import CicWarning, CostError
from cic.graph import Graph, Tensor
from cic.precision.calibration import Calibration
from cic.precision.evidence import EACH_KIND, level_of, samples_needed
from cic.precision.model_runner import ModelRunner
from cic.precision.precision import Precision
from cic.precision.transforms.making import LOSSES, MOST_SAMPLES, Made, make_transforms
from cic.progress import Progress, Tell
from cic.trace.traced import Traced

# One sample in so many makes transforms, and with fewer than the second number none is made.
ONE_IN, FEWEST = 4, 8
# Transforms that may be trained, at most; they share the time for it.
MOST_TRAINED = 3
# Things that a tensor may lose under all other codecs, at most.
_OTHER_STAGES = 10
_NONE = Made({}, {})


def transforms_for(
    traced: Traced,
    runner: ModelRunner,
    calibration: Calibration,
    asked: Precision,
    costs: tuple[CostSource, CostSource],
    tell: Tell,
) -> tuple[Made, Calibration]:
    """Transforms for the tensors of a model that may cross, and the samples that are left to judge cuts that use them.

    None are made, and all samples are left, where these are too few for both. Where none can be made of the samples, all are
    left, too, and those from which it was tried are told. Warns if nothing is known of their times.
    """
    wanted = [tensor for tensor in traced.graph.tensors if tensor.may_cross and tensor.consumers]
    count = samples_to_make_from(len(calibration.samples), len(wanted), asked)
    if not count:
        tell(Progress(f"no transforms are made: {len(calibration.samples)} calibration samples are too few to judge cuts, too"))
        return _NONE, calibration
    try:
        for cost in costs:
            transform_seconds(cost, TransformWork(1, 1), 1)
    except CostError as error:
        warnings.warn(CicWarning(f"no transforms are made, as their times are not known: {error}"), stacklevel=4)
        return _NONE, calibration
    making, judged = calibration.parted(count)
    uplink_bps = usual_uplink_bps(traced.graph, wanted, costs[0])

    def seconds(work: TransformWork, wire_bytes: float) -> float:
        encode_s, decode_s = (transform_seconds(cost, work, round(wire_bytes))[side] for side, cost in enumerate(costs))
        return encode_s + decode_s + wire_bytes * 8 / uplink_bps

    target = asked.target
    of_classes = target is not None and target.least_top1 is not None
    made = make_transforms(runner, wanted, making.samples, seconds, of_classes=of_classes, tell=tell)
    return made, judged if made.codecs else calibration


def samples_to_make_from(samples: int, tensors: int, asked: Precision) -> int:
    """How many of the calibration samples to make transforms from; 0 if too few would be left to show what is asked."""
    target, spared = asked.target, samples // ONE_IN
    if target is not None and target.least_top1 is not None:
        stages = len(LOSSES) * (1 + trained_pairs(asked)) + _OTHER_STAGES
        needed = samples_needed(target.least_top1, level_of(1, tensors * stages, part=EACH_KIND))
        spared = 0 if needed is None else min(spared, samples - needed)
    return min(spared, MOST_SAMPLES) if spared >= FEWEST else 0


def trained_pairs(asked: Precision) -> int:
    """How many trained transforms there could be for each that is made: one for each number of those that share the time."""
    return 0 if asked.train is None else MOST_TRAINED


def usual_uplink_bps(graph: Graph, tensors: list[Tensor], device: CostSource) -> float:
    """A bandwidth at which a split may pay: one bit a value of the inputs takes as long as the whole model on the device."""
    bits = sum(math.prod(tensor.shape) for tensor in tensors if tensor.producer is None)
    return max(bits, 1) / max(sum(device.op_seconds(graph)), 1e-9)
