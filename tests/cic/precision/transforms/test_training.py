"""Training on a small model: it gains on a transform that was made badly, and offers nothing that does not gain."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import cic
from cic.codec.registry import codec
from cic.codec.transform.transform_codec import TransformCodec, transform_codec
from cic.precision.model_runner import Tensors, runner_of
from cic.precision.transforms.karhunen_loeve import components_of, transform_of
from cic.precision.transforms.training import Material, material_of, moved, trained, until

SAMPLES = 24


@pytest.fixture(scope="module")
def material() -> Material:
    """A tensor of six channels, of which the answer feels two."""
    torch.manual_seed(0)
    felt = nn.Conv2d(6, 8, 1)
    with torch.no_grad():
        felt.weight[:, 2:] *= 0.05
    layers = [nn.Conv2d(3, 6, 3, 1, 1), felt, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5)]
    nn.init.normal_(layers[-1].weight)  # answers of a network that was trained are as sure
    traced = cic.trace_model(nn.Sequential(*layers).eval(), (torch.zeros(1, 3, 8, 8),))
    generator = torch.Generator().manual_seed(1)
    samples: list[Tensors] = [(torch.randn(1, 3, 8, 8, generator=generator),) for _ in range(SAMPLES)]
    name = next(tensor.name for tensor in traced.graph.tensors if tensor.shape == (1, 6, 8, 8))
    found = material_of(runner_of(traced), name, samples, of_classes=True)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def blind(material: Material) -> TransformCodec:
    """A transform that thinks that the answer feels all channels alike."""
    columns = material.columns((1, 6, 1, 1))
    components = components_of(columns, np.eye(6), (1, 6, 1, 1), 64)
    return transform_codec(0.03, transform_of(components, columns, 0.5))[0]


def test_training_takes_fewer_bytes_and_the_answer_moves_no_further(material: Material, blind: TransformCodec) -> None:
    told: list[float] = []
    gained = trained(material, blind, 0.0301, lambda done: done / 40, told.append)
    assert gained is not None
    used, content = gained
    assert codec(used.name, {used.digest: content}) == used and used.name.startswith("transform-0.0301@")
    aside = material.some(range(0, SAMPLES, 4))
    before, after = aside.judged(blind), aside.judged(used)
    assert after.wire_bytes < before.wire_bytes and after.loss <= before.loss
    assert told == sorted(told) and all(0 <= share < 1 for share in told) and len(told) == 40


def test_the_same_steps_make_the_same_transform(material: Material, blind: TransformCodec) -> None:
    made = [trained(material, blind, 0.0301, lambda done: done / 8, lambda _: None) for _ in range(2)]
    assert made[0] is not None and made[0] == made[1]


def test_what_gains_nothing_is_not_offered(material: Material, blind: TransformCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cic.precision.transforms.training._MOVES", 0.0)
    monkeypatch.setattr("cic.precision.transforms.training._STEPS", (0.5,))
    assert trained(material, blind, 0.0301, lambda done: done / 2, lambda _: None) is None


def test_time_for_the_last_look_is_left_and_no_step_makes_no_offer(material: Material, blind: TransformCodec) -> None:
    assert trained(material, blind, 0.0301, lambda _: 1.0, lambda _: None) is None
    shares, told = iter([0.0, 0.3, 0.7, 0.7]), list[float]()
    trained(material, blind, 0.0301, lambda _: next(shares), told.append)
    assert told == [0.0, 0.3], "a look took 0.4, so that after 0.7 there is no time for another step and a look"


def test_a_budget_of_time_is_spent_by_the_clock() -> None:
    spent = until(1e-12)
    assert spent(0) >= 1
    assert until(1e6)(10**9) < 1


def test_an_answer_that_moves_is_measured_sample_by_sample() -> None:
    scores = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
    other = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
    losses = moved([other], [scores], 2, of_classes=True)
    chances = scores[0].double().softmax(0)
    expected = (chances * (chances.log() - other[0].double().log_softmax(0))).sum()
    assert torch.allclose(losses, torch.stack([expected, expected * 0]))
    relative = moved([other, other], [scores, other], 2, of_classes=False)
    assert torch.allclose(relative, torch.tensor([1 / 5 / 2, 0.0], dtype=torch.float64))


def test_a_part_of_the_answer_that_was_zero_has_no_relative_error() -> None:
    zero, one = torch.zeros(2, 3), torch.ones(2, 3)
    assert moved([one, one], [zero, one], 2, of_classes=False).tolist() == [0.0, 0.0]


class Scaled(nn.Module):
    """Its input and its answer have tensors without dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Linear(4 * 64, 5)

    def forward(self, picture: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self.last(self.first(picture).flatten(1)) * scale
        return scores, scores.sum()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_tensor_has_its_own_type_and_others_may_have_no_dimensions(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    samples: list[Tensors] = [(torch.randn(1, 3, 8, 8, dtype=dtype), torch.tensor(2, dtype=dtype)) for _ in range(8)]
    traced = cic.trace_model(Scaled().to(dtype).eval(), samples[0])
    name = next(tensor.name for tensor in traced.graph.tensors if tensor.shape == (1, 4, 8, 8))
    found = material_of(runner_of(traced), name, samples, of_classes=False)
    assert found is not None
    columns = found.columns((1, 4, 1, 1))
    first, _ = transform_codec(0.03, transform_of(components_of(columns, np.eye(4), (1, 4, 1, 1), 64), columns, 0.5))
    assert 0 < found.judged(first).loss < 1
    trained(found, first, 0.0301, lambda done: done / 2, lambda _: None)


def test_a_step_without_numbers_is_not_taken(material: Material, blind: TransformCodec) -> None:
    answers = [(each[0] * torch.nan,) for each in material.answers]
    assert trained(dataclasses.replace(material, answers=answers), blind, 0.0301, lambda done: done / 2, lambda _: None) is None


def test_a_tensor_without_gradients_is_no_material(material: Material) -> None:
    assert material_of(material.runner, "no such tensor", material.samples, of_classes=True) is None


def test_whole_numbers_are_not_mixed(material: Material) -> None:
    assert len(material.mixed().samples) == 4 * SAMPLES
    whole = dataclasses.replace(material, samples=[(each[0].long(),) for each in material.samples])
    assert whole.mixed() is whole
