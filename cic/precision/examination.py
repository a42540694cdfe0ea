"""A model under codecs: it runs on calibration inputs to find the sizes of its tensors and the accuracy that its cuts keep."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cic.codec.registry import is_lossless as codec_is_lossless
from cic.codec.transform.transform_codec import KIND, digest_in
from cic.cost.cost_source import CostSource
from cic.decision.provenance import CodecProvenance
from cic.errors import CicWarning
from cic.graph import Graph
from cic.precision.accuracy import Reached, are_scores, shares_right
from cic.precision.calibration import calibration_of
from cic.precision.cut_accuracy import Examiner, examiner
from cic.precision.evidence import EACH_KIND, left_to_inputs, level_of, samples_needed, share_shown
from cic.precision.model_runner import Tensors, runner_of
from cic.precision.payloads import wire_forms
from cic.precision.precision import Precision
from cic.precision.target_search import WithinTarget
from cic.precision.transforms.making import Made
from cic.precision.transforms.share import trained_pairs, transforms_for
from cic.precision.wire_form import WireForm, codecs_for, is_lossless
from cic.progress import Progress, Tell
from cic.trace.traced import Traced
from mincut.problem import BoolArray, Problem

Costs = tuple[CostSource, CostSource]


@dataclass(frozen=True, eq=False)
class Examined:
    """What is known about codecs before cuts are chosen.

    forms: in which each tensor may cross, by name; None if all cross as they are. examiner: runs cuts; None: unmeasured.
    of_all: likewise, on all samples, for cuts without transforms; the same one where there are no transforms.
    stored: what the codecs of forms are made from, by digest. making: samples by which transforms were made, or tried to be.
    pairs_spared: how many pairs training may still add, see `cic.precision.trained_stage`.
    """

    asked: Precision
    forms: Mapping[str, Sequence[WireForm]] | None
    examiner: Examiner | None
    of_all: Examiner | None
    stored: Mapping[str, bytes] = field(default_factory=dict)
    making: Sequence[Tensors] = ()
    pairs_spared: int = 0

    @property
    def lossy_pairs(self) -> int:
        """How many pairs of a tensor and something it may lose there may be; see `cic.precision.evidence`."""
        return self.pairs_spared + sum(map(len, self._lossy_stages))

    @property
    def pairs_of_all(self) -> int:
        """How many of them are no transforms."""
        return sum(map(_plain, self._lossy_stages))

    @property
    def _lossy_stages(self) -> list[set[str]]:
        return list(map(_stages, (self.forms or {}).values()))

    def level(self, size: int, readers: Iterable[tuple[int, int]] = (), *, of_all: bool) -> float:
        """At which a set of `size` lossy pairs is tested; of_all: it holds no transform, and is tested on all samples."""
        pairs = self.pairs_of_all if of_all else self.lossy_pairs
        # Samples say whether transforms can be made of them, and so this may not decide at which level they judge.
        return level_of(size, pairs, readers, EACH_KIND if self.making else 1.0)

    def level_of_input(self, inputs: Sequence[str], readers: Iterable[tuple[int, int]] = ()) -> float:
        """At which a set of one pair of one of the model's inputs is tested, if it is no transform."""
        level = self.level(1, readers, of_all=True)
        # Where none could be made of the samples, these pairs may not have more than where some are made.
        if self.lossy_pairs == self.pairs_of_all:
            return level
        of_inputs = sum(_plain(_stages(forms)) for name, forms in (self.forms or {}).items() if name in inputs)
        return level * (1 + left_to_inputs(self.lossy_pairs, self.pairs_of_all, of_inputs) / self.level(1, of_all=True))

    def runner(
        self, graph: Graph, problem: Problem, tensors: Sequence[str]
    ) -> Callable[[BoolArray, dict[int, WireForm]], Reached] | None:
        """A function that measures a placement of ops with the lossy forms of its crossing tensors.

        problem: its op i is the graph's, its tensor j has the name tensors[j].
        """
        if self.examiner is None or self.of_all is None:
            return None
        judged, of_all, members = self.examiner, self.of_all, [op.members for op in graph.ops]

        def run(on_device: BoolArray, lossy: dict[int, WireForm]) -> Reached:
            nodes = frozenset(node for op in np.flatnonzero(on_device) for node in members[op])
            codecs = {tensors[tensor]: form.codec for tensor, form in lossy.items()}
            made = any(digest_in(name) is not None for name in codecs.values())
            readers = reader_counts(problem, lossy, on_device)
            if len(codecs) == 1 and not made and not codecs.keys().isdisjoint(graph.inputs):
                level = self.level_of_input(graph.inputs, readers)
            else:
                level = self.level(len(lossy), readers, of_all=not made)
            return (judged if made else of_all).reached(nodes, codecs, level)

        return run

    @property
    def samples_needed(self) -> int | None:
        """How many samples could show that one lossy tensor keeps the target, if all agree; None if it asks for no top-1."""
        target = self.asked.target
        if target is None or target.least_top1 is None:
            return None
        return samples_needed(target.least_top1, self.level(1, of_all=False))

    @property
    def samples(self) -> int:
        """How many judge a cut, whatever it uses."""
        return 0 if self.examiner is None else len(self.examiner.whole)

    @property
    def enough_samples(self) -> bool | None:
        """Can any lossy codec pass? None if no top-1 is asked for."""
        if self.asked.target is None or self.asked.target.least_top1 is None:
            return None
        return self.samples_needed is not None and self.samples >= self.samples_needed

    @property
    def whole_top1(self) -> float | None:
        """The share of `samples`, if they have labels, that the whole model gets right; None without labels."""
        if self.examiner is None or self.examiner.calibration.labels is None or not are_scores(self.examiner.whole):
            return None
        return float(shares_right(self.examiner.whole, self.examiner.whole, self.examiner.calibration.labels).mean())

    def described(self, chosen: WithinTarget) -> CodecProvenance | None:
        """For the file: what was asked, and on what it was measured. None where tensors cross as they are."""
        if self.forms is None:
            return None
        asked = self.asked
        return CodecProvenance(
            precision=asked.codecs if isinstance(asked.codecs, str | None) else tuple(asked.codecs),
            input=asked.input,
            accuracy_target=None if asked.target is None else asked.target.text,
            calibration_samples=self.samples,
            samples_needed=self.samples_needed,
            enough_samples=self.enough_samples,
            whole_top1=self.whole_top1,
            cuts_run=chosen.runs,
            accuracy_exact=chosen.exact,
        )


def _stages(forms: Iterable[WireForm]) -> set[str]:
    return {form.stage for form in forms if not is_lossless(form)}


def _plain(stages: Iterable[str]) -> int:
    """How many are no transforms."""
    return sum(digest_in(stage) is None for stage in stages)


def reader_counts(problem: Problem, tensors: Iterable[int], on_device: BoolArray) -> list[tuple[int, int]]:
    """How many ops read each of these tensors, and how many of them a placement has on the device."""
    on_sides = [on_device[problem.readers(tensor)] for tensor in tensors]
    return [(len(sides), int(sides.sum())) for sides in on_sides]


def examine(traced: Traced, asked: Precision, costs: Costs, tell: Tell) -> Examined:
    """Measure the payloads of a model's tensors, and get ready to run its cuts.

    Raises:
        CompileError: calibration inputs that do not fit, or with which the model does not run or gives nothing to compare.
        CostError: nothing is known about a codec's time on one of the machines.
    """
    if not asked.allows_codecs:
        return Examined(asked, None, None, None)
    target = asked.target
    usual: str | Sequence[str] = ["raw"] if target is None else KIND
    allowed = usual if asked.codecs is None else asked.codecs
    names = codecs_for(allowed)
    # Without a target nothing tells which quality will do.
    lossy = target is not None and (asked.makes_transforms or not all(map(codec_is_lossless, names)))
    calibration = calibration_of(traced, asked.calibration)
    runner = runner_of(traced)
    made, judged = Made({}, {}), calibration
    if asked.train is not None:
        runner.check_trainable()
    if asked.makes_transforms and asked.calibration is not None:
        made, judged = transforms_for(traced, runner, calibration, asked, costs, tell)
    tell(Progress(f"measuring payloads under {len(names)} codecs"))
    pictures, transforms = asked.pictures, made.codecs
    forms = wire_forms(runner, traced.graph, judged.samples, names, costs, pictures, transforms, lossy_pictures=lossy)
    if asked.calibration is None:
        return Examined(asked, forms, None, None)
    tell(Progress(f"running the whole model on {len(calibration.samples)} calibration samples"))
    spared = trained_pairs(asked) * sum(map(len, made.codecs.values()))
    of_all = examiner(runner, calibration, target)
    judging = (
        of_all if judged is calibration else replace(of_all.part(calibration.others(len(made.samples))), stored=made.stored)
    )
    examined = Examined(asked, forms, judging, of_all, made.stored, made.samples, spared)
    if examined.whole_top1 is not None:
        tell(
            Progress(f"the whole model gets {examined.whole_top1:.2%} of {examined.samples} labelled calibration samples right")
        )
    _warn_of_few_samples(examined)
    return examined


def _warn_of_few_samples(examined: Examined) -> None:
    """Say so where no lossy codec can pass, however well it does, and where many samples are few."""
    if examined.enough_samples is None or not examined.lossy_pairs or examined.examiner is None:
        return
    if examined.enough_samples:
        if 2 * (distinct := examined.examiner.calibration.distinct()) < examined.samples:
            told = CicWarning(
                f"only {distinct} of {examined.samples} calibration samples are distinct; what they show holds beyond them "
                "only if each was drawn by itself, so pass each once"
            )
            warnings.warn(told, stacklevel=5)
        return
    text = "" if examined.asked.target is None else examined.asked.target.text
    if examined.samples_needed is None:
        told = CicWarning(
            f"no number of samples can show that {text!r} is kept beyond them, so tensors cross under lossless codecs only; "
            "ask for less than all"
        )
    else:
        most = share_shown(examined.samples, examined.level(1, of_all=False))
        told = CicWarning(
            f"{examined.samples} calibration samples cannot show that {text!r} is kept beyond them, so tensors cross under "
            f"lossless codecs only: it takes {examined.samples_needed}, even if a cut agrees on all; pass more, or ask "
            f"for at most top1>={math.floor(most * 1000) / 1000:g}"
        )
    warnings.warn(told, stacklevel=5)
