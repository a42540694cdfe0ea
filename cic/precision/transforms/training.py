"""Training of one tensor's transform: its rows go on from where calibration put them, by what the answer says. Needs torch.

The closed form (`cic.precision.transforms.karhunen_loeve`) is best for small errors of normally distributed blocks. Here its
forward and backward rows and its centre are trained for the errors that there are: the loss is how far the answer moves, plus
bits. Rounding has no derivative, so the answer is given rounded symbols and its gradient goes straight through them, while bits
are those of symbols with uniform noise in place of rounding, under a logistic distribution that is trained beside (Ballé,
Laparra and Simoncelli, End-to-end Optimized Image Compression, 2017). The model stays as it is, and no labels are needed.

A trained transform is one like any other. It is offered where, on samples that it was not trained on, it takes fewer bytes than
the one that it began as, and the answer moves no further.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from cic.codec.tensors import array_of, floats_of, tensor_of
from cic.codec.transform.integer_transform import Transform, as_columns
from cic.codec.transform.transform_codec import TransformCodec, transform_codec
from cic.precision.model_runner import Change, ModelRunner, Tensors
from cic.precision.transforms.karhunen_loeve import Reals, in_whole_numbers
from codegen.dtypes import type_name

# One sample in so many is kept aside, to see whether training gained anything.
KEPT_ASIDE = 4
# Samples of a step. How far a step moves components of deviation 1, and the logistic distributions.
_BATCH, _MOVES, _WIDTHS = 4, 7e-4, 1e-2
# How often it is looked at the samples kept aside, and steps of the quantiser that are tried, as parts of the one before.
_LOOKS, _STEPS = 4, (1.3, 1.2, 1.15, 1.1, 1.07, 1.04, 1.02, 1.0, 0.97, 0.94)
# A component of more than this width takes about a bit; no chance is thought smaller than the second.
_ACTIVE, _LEAST_CHANCE = 0.16, 1e-6
# Blocks by which tables are made.
_TABLED = 4096
# Mixtures made for each sample, and the part of the mean loss beyond which that of a sample counts by its logarithm.
_MIXTURES, _EVEN = 3, 0.2
_SEED = 0

Spent = Callable[[int], float]
"""The share of a budget that is spent after so many steps; from 1 on it is used up."""


def until(seconds: float) -> Spent:
    """A budget of time, which begins now."""
    started = perf_counter()
    return lambda _: (perf_counter() - started) / seconds


@dataclass(frozen=True, slots=True)
class Judged:
    """Means over samples: bytes of the payload, and how far the answer moves, see `moved`."""

    wire_bytes: float
    loss: float


@dataclass(frozen=True, eq=False)
class Material:
    """One tensor of a model and samples on which it is trained, or judged. answers: of the whole model to these.

    of_classes: see `cic.precision.transforms.gradients`. together: how many samples may be run as one.
    """

    runner: ModelRunner
    name: str
    samples: Sequence[Tensors]
    answers: Sequence[Sequence[torch.Tensor]]
    of_classes: bool
    together: int

    def some(self, numbers: Sequence[int]) -> Material:
        """With these samples only."""
        return replace(self, samples=[self.samples[each] for each in numbers], answers=[self.answers[each] for each in numbers])

    def mixed(self) -> Material:
        """With mixtures of two samples besides, where their inputs are numbers that can be mixed.

        What few samples show of the answer's sensitivity holds for few others (Zhang, Cissé, Dauphin and Lopez-Paz, mixup:
        Beyond Empirical Risk Minimization, 2018).
        """
        if not all(each.is_floating_point() or each.dtype == torch.uint8 for each in self.samples[0]):
            return self
        draw, samples = np.random.default_rng(_SEED), list(self.samples)
        for _ in range(_MIXTURES):
            others = draw.permutation(len(self.samples))
            shares = draw.uniform(0.3, 0.7, len(others)).tolist()
            samples += [
                tuple(_between(one, other, share) for one, other in zip(self.samples[place], self.samples[each], strict=True))
                for place, (each, share) in enumerate(zip(others, shares, strict=True))
            ]
        mixtures = samples[len(self.samples) :]
        return replace(self, samples=samples, answers=[*self.answers, *map(self.runner.whole, mixtures)])

    def columns(self, block: Sequence[int]) -> Reals:
        """The blocks of the tensor over all samples, float64[D, blocks]."""
        found: list[Reals] = []
        for sample in self.samples:
            self.runner.observe(
                sample,
                {self.name},
                lambda _, value: found.append(as_columns(floats_of(*array_of(value)), block).astype(np.float64)),
            )
        return np.concatenate(found, axis=1)

    def losses(self, numbers: Sequence[int], change: Change) -> torch.Tensor:
        """How far the answers to some samples move where the tensor is changed: one number a sample."""
        inputs, whole = (_joined([each[number] for number in numbers]) for each in (self.samples, self.answers))
        return moved(self.runner.changed(inputs, self.name, change), whole, len(numbers), of_classes=self.of_classes)

    def judged(self, used: TransformCodec) -> Judged:
        """What the tensor takes under a codec that is really used, and how far the answers move."""
        sizes: list[int] = []

        def crossed(value: torch.Tensor) -> torch.Tensor:
            back, dtype = [], type_name(value.dtype)
            for each in value.detach().chunk(count):
                payload = used.encode(each, self.name)
                sizes.append(memoryview(payload).nbytes)
                back.append(tensor_of(used.decode(payload, each.shape, dtype, self.name), dtype))
            return torch.cat(back)

        losses = []
        with torch.no_grad():
            for start in range(0, len(self.samples), self.together):
                numbers = range(start, min(start + self.together, len(self.samples)))
                count = len(numbers)
                losses += self.losses(numbers, crossed).tolist()
        return Judged(float(np.mean(sizes)), float(np.mean(losses)))


def material_of(runner: ModelRunner, name: str, samples: Sequence[Tensors], *, of_classes: bool) -> Material | None:
    """One tensor with samples; None where the answer has no gradient by it."""
    generator = torch.Generator().manual_seed(_SEED)
    if name not in (runner.gradients(samples[0], {name}, generator, of_classes=of_classes) or {}):
        return None
    answers = [runner.whole(sample) for sample in samples]
    return Material(runner, name, samples, answers, of_classes, runner.most_together(samples, _BATCH))


def moved(answer: Sequence[torch.Tensor], whole: Sequence[torch.Tensor], samples: int, *, of_classes: bool) -> torch.Tensor:
    """How far an answer has moved, for each of so many samples that were run as one; float64[samples].

    of_classes: the Kullback-Leibler divergence of the classes of the first tensor, in nats, the mean over rows and places;
    otherwise half the relative squared error of each output tensor, the sum of all but those that were zero.
    """
    if of_classes:
        mine, theirs = (each[0].double().movedim(1, -1).flatten(0, -2).log_softmax(1) for each in (answer, whole))
        divergences = functional.kl_div(mine, theirs, reduction="none", log_target=True).sum(1)
        return divergences.reshape(samples, -1).mean(1)
    total = torch.zeros(samples, dtype=torch.float64)
    for mine, theirs in zip(answer, whole, strict=True):
        if theirs.is_floating_point():
            error, size = ((each.double().square()).reshape(samples, -1).sum(1) for each in (mine - theirs, theirs))
            total = total + torch.where(size > 0, error / torch.where(size > 0, size, 1) / 2, 0)
    return total


def trained(
    material: Material, first: TransformCodec, rate: float, spent: Spent, tell: Callable[[float], None]
) -> tuple[TransformCodec, bytes] | None:
    """A codec that gains on `first`, with the content to store for it; None if none was found before the budget was spent.

    rate: for its name. tell: is told the share of the budget that is spent.
    """
    aside = range(0, len(material.samples), KEPT_ASIDE)
    kept, learnt = material.some(aside), material.some(sorted({*range(len(material.samples))} - {*aside}))
    bar, columns = kept.judged(first), learnt.columns(first.transform.block)
    bottleneck = _Bottleneck(first.transform, columns)
    loss = learnt.judged(first).loss
    # Where bits are as dear as the closed form has them: each bit of a component that has some quarters its loss.
    bit = 2 * math.log(2) * loss * len(learnt.samples) / max(bottleneck.active(columns), 1)
    tabled = columns[:, :: max(1, columns.shape[1] // _TABLED)]
    best: tuple[float, tuple[TransformCodec, bytes]] | None = None
    for _ in _training(learnt.mixed(), bottleneck, loss, bit, spent, tell):
        if (made := _coarsest(bottleneck, tabled, rate, kept, bar.loss)) is not None:
            wire_bytes = kept.judged(made[0]).wire_bytes
            if wire_bytes < (bar.wire_bytes if best is None else best[0]):
                best = wire_bytes, made
    return None if best is None else best[1]


def _coarsest(
    bottleneck: _Bottleneck, columns: Reals, rate: float, kept: Material, most: float
) -> tuple[TransformCodec, bytes] | None:
    """The codec of the largest step that loses no more on samples kept aside; None if the finest loses more."""
    best, low, high = None, 0, len(_STEPS)
    while low < high:
        middle = (low + high) // 2
        made = transform_codec(rate, bottleneck.transform(_STEPS[middle], columns))
        if made[0].transform.components and kept.judged(made[0]).loss <= most:
            best, high = made, middle
        else:
            low = middle + 1
    return best


def _training(
    learnt: Material, bottleneck: _Bottleneck, loss: float, bit: float, spent: Spent, tell: Callable[[float], None]
) -> Iterator[None]:
    """Train until the budget is spent, and stop for a look now and then. loss: at first. bit: what one bit is worth, in loss.

    A few samples of which the model is unsure make most of the mean loss, and would be learnt by heart. So a sample counts by
    the logarithm of its loss, once that is more than some part of the mean.
    """
    generator = torch.Generator().manual_seed(_SEED)
    moves, widths = bottleneck.moves(), bottleneck.widths()
    groups: list[dict[str, Any]] = [{"params": moves}, {"params": widths, "lr": _WIDTHS}]
    optimiser = torch.optim.Adam(groups, lr=_MOVES, betas=(0.9, 0.99))
    order: list[int] = []
    looks = done = 0
    look = 0.0  # the share of the budget that one takes, which is left for the last
    while (share := spent(done)) + look < 1:
        tell(share)
        if share >= (looks + 1) / _LOOKS:
            looks += 1
            yield
            look = spent(done) - share
        if not order:
            order = torch.randperm(len(learnt.samples), generator=generator).tolist()
        numbers, order = order[:_BATCH], order[_BATCH:]
        optimiser.param_groups[0]["lr"] = _MOVES * (1 - share)
        optimiser.zero_grad()
        for start in range(0, len(numbers), learnt.together):
            bits: list[torch.Tensor] = []

            def crossed(value: torch.Tensor, bits: list[torch.Tensor] = bits) -> torch.Tensor:
                back, spent_bits = bottleneck.crossed(value, generator)
                bits.append(spent_bits)
                return back

            losses = learnt.losses(numbers[start : start + learnt.together], crossed)
            felt = loss * (losses + _EVEN * loss).log().sum()
            ((felt + bit * bits[0]) / len(numbers)).backward()
        # Narrow floats overflow, and nothing comes back from NaN.
        if all(each.grad is not None and bool(each.grad.isfinite().all()) for each in (*moves, *widths)):
            optimiser.step()
        done += 1
    if done:
        yield


class _Bottleneck:
    """The rows of a transform while they are trained, as moves between components of the one that they began as.

    columns: float64[D, m], blocks of the samples that it is trained on.
    """

    def __init__(self, first: Transform, columns: Reals) -> None:
        self.first = first
        forward = np.ldexp(first.forward.astype(np.float64), first.value_shift - first.forward_shifts[:, None])
        backward = np.ldexp(first.backward.astype(np.float64), first.lifts - first.backward_shift)
        centre = np.ldexp(first.centre.astype(np.float64), -first.value_shift)
        self.forward, self.backward, self.centre = (torch.tensor(each).float() for each in (forward, backward, centre))
        components = forward @ (columns - centre[:, None])
        deviations = torch.tensor(components.std(axis=1)).float()
        # A strong component moves others by as much as one of deviation 1.
        self.reach = 1 / deviations.clamp_min(1)
        count = len(deviations)
        self.mixed = torch.zeros(count, count, requires_grad=True)
        self.mixed_back = torch.zeros(count, count, requires_grad=True)
        self.shift = torch.zeros(count, requires_grad=True)
        self.middles = torch.tensor(components.mean(axis=1)).float().requires_grad_()
        # A logistic distribution of width s has the deviation s pi / 3^(1/2).
        self.log_widths = (deviations.clamp_min(0.05) * math.sqrt(3) / math.pi).log().requires_grad_()

    def moves(self) -> list[torch.Tensor]:
        return [self.mixed, self.mixed_back, self.shift]

    def widths(self) -> list[torch.Tensor]:
        return [self.middles, self.log_widths]

    def active(self, columns: Reals) -> int:
        """How many components of all these blocks have about a bit or more."""
        active = int(np.count_nonzero(self.log_widths.detach().numpy() > math.log(_ACTIVE)))
        return active * int(columns.shape[1])

    def rows(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Forward, backward, centre, as they are now."""
        forward = self.forward + (self.mixed * self.reach) @ self.forward
        backward = self.backward + self.backward @ (self.mixed_back * self.reach)
        return forward, backward, self.centre + self.backward @ self.shift

    def crossed(self, value: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """A tensor as it arrives, and its bits; both can be differentiated."""
        forward, backward, centre = self.rows()
        components = forward @ (_as_columns(value.float(), self.first.block) - centre[:, None])
        noise = torch.rand(components.shape, generator=generator) - 0.5
        rounded = components + (components.round() - components).detach()
        back = backward @ rounded + centre[:, None]
        return _from_columns(back, self.first.block, value.shape).to(value.dtype), self._bits(components + noise)

    def transform(self, step: float, columns: Reals) -> Transform:
        """The transform in whole numbers, with a step of so much as before. columns: by which its tables are made."""
        forward, backward, centre = (each.detach().double().numpy() for each in self.rows())
        block, shift = self.first.block, self.first.value_shift
        forward = forward / step
        return in_whole_numbers(block, centre, forward, backward * step, shift, forward @ (columns - centre[:, None]))

    def _bits(self, components: torch.Tensor) -> torch.Tensor:
        """What components take under their logistic distributions, each a step wide."""
        away, widths = (components - self.middles[:, None]).abs(), self.log_widths.exp()[:, None]
        chances = torch.sigmoid((0.5 - away) / widths) - torch.sigmoid((-0.5 - away) / widths)
        return -chances.clamp_min(_LEAST_CHANCE).log2().sum()


def _joined(parts: Sequence[Sequence[torch.Tensor]]) -> Tensors:
    """Samples or answers one after another; one alone may have tensors without dimensions."""
    return tuple(parts[0]) if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))


def _between(one: torch.Tensor, other: torch.Tensor, share: float) -> torch.Tensor:
    """A mixture of numbers, or of pixels."""
    if one.is_floating_point():
        return torch.lerp(one, other, share)
    return torch.lerp(one.float(), other.float(), share).round().to(one.dtype)


def _as_columns(value: torch.Tensor, block: Sequence[int]) -> torch.Tensor:
    """As `cic.codec.transform.integer_transform.as_columns`."""
    parts = [each for size, part in zip(value.shape, block, strict=True) for each in (size // part, part)]
    order = (*range(1, len(parts), 2), *range(0, len(parts), 2))
    return value.reshape(parts).permute(order).reshape(math.prod(block), -1)


def _from_columns(columns: torch.Tensor, block: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """As `cic.codec.transform.integer_transform.from_columns`."""
    counts = [size // part for size, part in zip(shape, block, strict=True)]
    order = [place for each in range(len(block)) for place in (len(block) + each, each)]
    return columns.reshape(*block, *counts).permute(order).reshape(tuple(shape))
