"""The trained stage: the transforms that the cuts of a first table use are trained, and a second table may use them as well.

What is trained, and for how long, is chosen by cuts that were judged on calibration samples, and the second table is judged on
the same ones. So that what it shows holds beyond them, `pairs_spared` counts every transform that could have been trained, for
every number of them that share the budget, as one that the search may try (`cic.precision.evidence`). Nothing else of a trained
transform depends on these samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from cic.codec.registry import codec
from cic.codec.transform.transform_codec import TransformCodec, digest_in, shown_name
from cic.cost.cost_source import CostSource
from cic.graph import Graph
from cic.precision.examination import Examined
from cic.precision.payloads import wire_forms
from cic.precision.target_search import WithinTarget
from cic.precision.training_budget import budget_seconds
from cic.precision.transforms.share import MOST_TRAINED
from cic.precision.transforms.training import Spent, material_of, trained, until
from cic.precision.wire_form import WireForm
from cic.progress import Progress, Tell
from mincut.problem import Problem

# In a name, what tells a trained transform from the one that it began as: its loss is this much larger.
MARK = 0.0001

Used = tuple[str, str]
"""A tensor and the codec under which it crosses."""


def used_transforms(
    chosen: WithinTarget, problem: Problem, forms: Sequence[Sequence[WireForm]], tensors: Sequence[str]
) -> list[Used]:
    """The transforms that the cuts of a table use, those that most of them use first.

    problem: its tensor j has the name tensors[j] and crosses under forms[j].
    """
    counted: Counter[Used] = Counter()
    for side, codecs in zip(chosen.found.placements, chosen.found.codecs, strict=True):
        assert codecs is not None
        crossing = np.flatnonzero(problem.crossing(side)).tolist()
        counted.update((tensors[tensor], forms[tensor][int(codecs[tensor])].codec) for tensor in crossing)
    return [used for used, _ in counted.most_common() if digest_in(used[1]) is not None]


def with_trained(
    examined: Examined,
    graph: Graph,
    used: Sequence[Used],
    costs: tuple[CostSource, CostSource],
    tell: Tell,
) -> Examined | None:
    """What is known with trained transforms beside the others; None if none gained anything."""
    asked, chosen = examined.asked, used[:MOST_TRAINED]
    if examined.examiner is None or examined.forms is None or asked.train is None or not chosen:
        return None
    budget_s = budget_seconds(asked.train) / len(chosen)
    codecs: dict[str, list[TransformCodec]] = {}
    stored: dict[str, bytes] = {}
    for tensor, name in chosen:
        if (gained := _gained(examined, tensor, name, until(budget_s), budget_s, tell)) is not None:
            used_codec, content = gained
            codecs.setdefault(tensor, []).append(used_codec)
            stored[used_codec.digest] = content
    if not codecs:
        return None
    examiner = examined.examiner
    found = wire_forms(examiner.runner, graph, examiner.calibration.samples, ["raw"], costs, transforms=codecs)
    forms = {name: (*each, *found.get(name, ())[1:]) for name, each in examined.forms.items()}
    added, everything = sum(len(each) - 1 for each in found.values()), {**examined.stored, **stored}
    return replace(
        examined,
        forms=forms,
        examiner=replace(examiner, stored=everything),
        stored=everything,
        pairs_spared=examined.pairs_spared - added,
    )


@torch.inference_mode(False)
def _gained(
    examined: Examined, tensor: str, name: str, spent: Spent, budget_s: float, tell: Tell
) -> tuple[TransformCodec, bytes] | None:
    """A transform trained from another of its tensor, with its content; None if it gains nothing."""
    assert examined.examiner is not None
    first = codec(name, examined.stored)
    assert isinstance(first, TransformCodec)
    what = f"training {shown_name(name)} of {tensor}"
    target = examined.asked.target
    of_classes = target is not None and target.least_top1 is not None
    material = material_of(examined.examiner.runner, tensor, examined.making, of_classes=of_classes)
    if material is None:
        tell(Progress(f"{what} is left out: the answer has no gradient by it"))
        return None
    rate = float(shown_name(name).partition("-")[2]) + MARK
    told = lambda share: tell(Progress(what, round(min(share, 1) * budget_s), round(budget_s)))  # noqa: E731
    gained = trained(material, first, rate, spent, told)
    tell(Progress(f"{what} gained nothing" if gained is None else f"{what} made {shown_name(gained[0].name)}"))
    return gained
