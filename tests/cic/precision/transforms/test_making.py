"""Transforms of a small model's tensors: from coarse to fine, the same every time, and good for inputs not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np
import pytest
import torch
from torch import nn

import cic
from cic.codec.crossing import cross
from cic.codec.registry import codec
from cic.codec.transform.transform_codec import TransformWork, shown_name
from cic.graph import Tensor
from cic.precision.model_runner import ModelRunner, See, Tensors, runner_of
from cic.precision.transforms.making import LOSSES, Made, make_transforms
from cic.trace.traced import Traced


def seconds(work: TransformWork, wire_bytes: float) -> float:
    return wire_bytes


@pytest.fixture(scope="module")
def traced() -> Traced:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5)]
    nn.init.normal_(layers[-1].weight)  # answers of a network that was trained are as sure
    return cic.trace_model(nn.Sequential(*layers).eval(), (torch.zeros(1, 3, 16, 16),))


def smooth(count: int, seed: int) -> list[Tensors]:
    """Pictures whose neighbouring places are alike."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.randn(count, 3, 5, 5, generator=generator)
    return [(each[None],) for each in nn.functional.interpolate(small, size=(16, 16), mode="bicubic")]


def wanted(traced: Traced) -> list[Tensor]:
    return [tensor for tensor in traced.graph.tensors if tensor.may_cross and tensor.consumers]


def made_of(traced: Traced, runner: ModelRunner) -> Made:
    return make_transforms(runner, wanted(traced), smooth(24, 0), seconds, of_classes=True, tell=lambda _: None)


class Blind:
    """A runner without gradients."""

    def __init__(self, runner: ModelRunner) -> None:
        self.observe = runner.observe

    def gradients(self, *_: object, **__: object) -> None:
        return None


class Infinite(Blind):
    """A runner of a model that makes infinities of one sample, on the way to an answer that is finite."""

    def __init__(self, runner: ModelRunner, sample: Tensors) -> None:
        def observe(given: Tensors, names: Collection[str], see: See) -> None:
            runner.observe(given, names, lambda name, value: see(name, value / 0 if given is sample else value))

        self.observe = observe


def test_a_finer_transform_loses_less_in_more_bytes_on_inputs_not_seen(traced: Traced) -> None:
    runner = runner_of(traced)
    made = made_of(traced, runner)
    named = {tensor.name: tensor for tensor in wanted(traced)}
    convolved = [name for name in made.codecs if len(named[name].shape) == 4 and named[name].producer]
    assert convolved
    values: dict[str, list[torch.Tensor]] = {name: [] for name in made.codecs}
    for sample in smooth(8, 1):
        runner.observe(sample, made.codecs.keys(), lambda name, value: values[name].append(value))
    for name in convolved:
        sizes, errors = [], []
        for used in made.codecs[name]:
            crossed = [cross(value, used.name, name, made.stored) for value in values[name]]
            sizes.append(sum(size for _, size in crossed))
            errors.append(
                sum(float((back - value).square().sum()) for (back, _), value in zip(crossed, values[name], strict=True))
            )
        assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True), name
        assert errors[-1] < errors[0] and sizes[-1] < sum(value.numel() for value in values[name])


def test_names_tell_losses_and_contents_are_stored(traced: Traced) -> None:
    made = made_of(traced, runner_of(traced))
    for codecs in made.codecs.values():
        losses = [float(shown_name(used.name).partition("-")[2]) for used in codecs]
        assert set(losses) <= set(LOSSES) and losses == sorted(losses, reverse=True)
        assert all(codec(used.name, made.stored) == used for used in codecs)
    assert len(made.stored) == sum(map(len, made.codecs.values()))


def test_the_same_samples_make_the_same_transforms(traced: Traced) -> None:
    runner = runner_of(traced)
    assert made_of(traced, runner).stored == made_of(traced, runner).stored


def test_without_gradients_there_are_transforms_all_the_same(traced: Traced) -> None:
    seeing, blind = made_of(traced, runner_of(traced)), made_of(traced, Blind(runner_of(traced)))  # type: ignore[arg-type]
    assert blind.codecs.keys() == seeing.codecs.keys() and blind.stored != seeing.stored


def test_integers_and_small_tensors_have_none(traced: Traced) -> None:
    runner = runner_of(traced)
    tensors = [dataclasses.replace(tensor, dtype="int64") for tensor in wanted(traced)]
    assert make_transforms(runner, tensors, smooth(24, 0), seconds, of_classes=True, tell=lambda _: None).codecs == {}
    small = [tensor for tensor in wanted(traced) if np.prod(tensor.shape) < 64]
    assert make_transforms(runner, small, smooth(24, 0), seconds, of_classes=True, tell=lambda _: None).codecs == {}


def test_a_tensor_that_is_infinite_in_any_sample_has_none(traced: Traced) -> None:
    samples = smooth(24, 0)
    runner = Infinite(runner_of(traced), samples[-1])
    made = make_transforms(runner, wanted(traced), samples, seconds, of_classes=True, tell=lambda _: None)  # type: ignore[arg-type]
    assert made.codecs == {} and made.stored == {}
