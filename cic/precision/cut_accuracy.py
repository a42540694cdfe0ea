"""What a cut answers when its tensors cross under given codecs: head, encode, decode, tail, on calibration inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

import torch

from cic.codec.crossing import cross
from cic.codec.registry import is_lossless
from cic.errors import CompileError
from cic.precision.accuracy import Answer, Reached, Target, judge
from cic.precision.calibration import Calibration
from cic.precision.early_verdict import Missed, sure_miss
from cic.precision.kept_heads import KeptHeads
from cic.precision.labels import check_labels
from cic.precision.model_runner import ModelRunner, Tensors
from cic.precision.running_order import running_order
from codegen.split import Split, WireTensor

# So many samples are run at once, if the model does not mind.
TOGETHER = 16


@dataclass(frozen=True, eq=False)
class Examiner:
    """Runs cuts of one model.

    together: samples run at once. order: their numbers, as they are run (`cic.precision.running_order`).
    whole: the model's answers, as the calibration has its samples.
    stored: what codecs are made from, see `cic.codec.registry.codec`. heads: what they made of the samples.
    """

    runner: ModelRunner
    calibration: Calibration
    target: Target | None
    together: int
    order: tuple[int, ...]
    whole: tuple[Answer, ...]
    stored: Mapping[str, bytes] = field(default_factory=dict)
    heads: KeptHeads = field(default_factory=KeptHeads)

    def reached(self, device_nodes: Collection[str], codecs: Mapping[str, str], level: float) -> Reached:
        """What a cut reaches; it is run until all samples have answered, or the target can be met no more.

        device_nodes: members of the head's ops. codecs: names by crossing tensor; those not named cross as they are. level: see
        `cic.precision.accuracy.judge`.

        Raises CompileError where `cic.precision.accuracy.judge` does, and where answers that are compared are no tensors.
        """
        labels = self.calibration.labels
        answers = self._answers(device_nodes, codecs, sure_miss(self.target, self.whole, labels, level, self.order))
        if len(answers) == len(self.whole):
            return judge(self.target, [answers[number] for number in range(len(answers))], self.whole, labels, level)
        whole = [self.whole[number] for number in answers]
        part = judge(None, list(answers.values()), whole, labels and [labels[number] for number in answers], level)
        return replace(part, met=False)

    def part(self, numbers: Sequence[int]) -> Examiner:
        """One that judges on the calibration samples of these numbers alone."""
        places = {number: place for place, number in enumerate(numbers)}
        return replace(
            self,
            calibration=self.calibration.some(numbers),
            order=tuple(places[number] for number in self.order if number in places),
            whole=tuple(self.whole[number] for number in numbers),
            heads=KeptHeads(),
        )

    def answers(self, device_nodes: Collection[str], codecs: Mapping[str, str]) -> list[Answer]:
        """What a cut answers to each calibration sample, in the order of these."""
        answers = self._answers(device_nodes, codecs, None)
        return [answers[number] for number in range(len(answers))]

    def _answers(self, device_nodes: Collection[str], codecs: Mapping[str, str], enough: Missed | None) -> dict[int, Answer]:
        """What a cut answers to samples by number, in the order of running, up to the piece at which `enough` says so."""
        head, pieces = self.heads.of(device_nodes, self.runner.halves), count()

        def over_the_wire(value: torch.Tensor, wire: WireTensor, samples: int) -> torch.Tensor:
            """Each sample is a message of its own, so each has its own scales."""
            name = codecs.get(wire.name)
            if name is None or is_lossless(name):
                return value
            return _joined([(cross(each, name, wire.name, self.stored)[0],) for each in _apart(value, samples)])[0]

        def run(inputs: Tensors, samples: int) -> Sequence[torch.Tensor]:
            return _through(
                head.halves, self.heads.answered(head, next(pieces), inputs), partial(over_the_wire, samples=samples)
            )

        samples = [self.calibration.samples[number] for number in self.order]
        return dict(zip(self.order, _answers(samples, self.together, run, enough), strict=False))


def examiner(runner: ModelRunner, calibration: Calibration, target: Target | None) -> Examiner:
    """Run the whole model on all calibration inputs, several at once if that gives the same answers.

    Raises:
        CompileError: an answer is not finite, or the labels cannot be those of this model; see `cic.precision.labels`.
    """
    together = runner.most_together(calibration.samples, TOGETHER)
    whole = tuple(_answers(calibration.samples, together, lambda inputs, _: runner.whole(inputs)))
    for number, answer in enumerate(whole):
        if not all(bool(tensor.isfinite().all()) for tensor in answer if tensor.is_floating_point() or tensor.is_complex()):
            raise CompileError(
                f"the whole model's answer to calibration sample {number} holds NaN or infinity, with which nothing can be "
                "compared; leave that sample out, or end the model before it makes them"
            )
    labels = None if calibration.labels is None else check_labels(calibration.labels, whole)
    order = running_order(target, whole, labels)
    return Examiner(runner, replace(calibration, labels=labels), target, together, order, whole)


def _answers(
    samples: Sequence[Tensors],
    together: int,
    run: Callable[[Tensors, int], Sequence[torch.Tensor]],
    enough: Missed | None = None,
) -> list[Answer]:
    """The answer of each sample, up to the piece of them at which `enough` says so."""
    answers: list[Answer] = []
    with torch.no_grad():
        for start in range(0, len(samples), together):
            chunk = samples[start : start + together]
            result = run(_joined(chunk), len(chunk))
            if not result:
                raise CompileError("the model answers no tensor, so there is no accuracy to measure")
            piece = list(zip(*(_apart(tensor, len(chunk)) for tensor in result), strict=True))
            answers.extend(piece)
            if enough is not None and enough(piece):
                break
    return answers


def _through(
    halves: Split, results: Sequence[torch.Tensor], over_the_wire: Callable[[torch.Tensor, WireTensor], torch.Tensor]
) -> Sequence[torch.Tensor]:
    """The answer by what the head answered."""
    sent = results[: len(halves.crossing)]
    received = [over_the_wire(value, wire) for value, wire in zip(sent, halves.crossing, strict=True)]
    returned = halves.tail(*received)
    by_half = {"head": results, "tail": returned}
    return [by_half[source.half][source.position] for source in halves.outputs]


def _joined(chunk: Sequence[Tensors]) -> Tensors:
    return chunk[0] if len(chunk) == 1 else tuple(torch.cat(parts) for parts in zip(*chunk, strict=True))


def _apart(value: torch.Tensor, count: int) -> Sequence[torch.Tensor]:
    return [value] if count == 1 else value.chunk(count)
