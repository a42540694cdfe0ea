"""Labels that cannot be a model's classes are refused, whatever is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import cic
from cic.cost.machine import Machine
from cic.precision.labels import check_labels

WEAK, STRONG = Machine("weak", 2e9, 1e9, 1e-5), Machine("strong", 2e11, 2e10, 1e-6)
CLASSES = 10


def answers(classes: torch.Tensor) -> list[tuple[torch.Tensor]]:
    """Scores of a model that answers these classes, one a sample."""
    return [(nn.functional.one_hot(each[None], CLASSES).float(),) for each in classes]


TRUE = torch.arange(200) % CLASSES


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.full((200,), -1), "label -1, the model answers 10 classes"),
        (TRUE + 90, "labels must be from 0 to 9"),
        ((TRUE + 1) % CLASSES, "classes in another order"),
        (TRUE.flip(0), "gets 0.0% of 200 labelled samples right, guessing one of 10 classes gets 10.0%"),
        (TRUE.double() + 0.5, "no whole number"),
        (TRUE.double() * float("nan"), "no whole number"),
        (nn.functional.one_hot(TRUE, CLASSES), "not one-hot rows"),
    ],
)
def test_labels_of_something_else_are_refused(labels: torch.Tensor, message: str) -> None:
    with pytest.raises(cic.CompileError, match=message):
        check_labels(list(labels.split(1)), answers(TRUE))


def test_labels_that_fit_become_whole_numbers_of_the_answer_s_shape() -> None:
    nearly = torch.where(torch.arange(200) < 20, (TRUE + 1) % CLASSES, TRUE)
    for given in (nearly, nearly.float(), nearly.to(torch.uint8), nearly[:, None]):
        checked = check_labels(list(given.split(1)), answers(TRUE))
        assert torch.equal(torch.cat(checked), nearly)
        assert all(label.dtype == torch.int64 and label.shape == (1,) for label in checked)


def test_the_places_of_a_map_are_labelled_in_its_order() -> None:
    scores = torch.rand(1, 3, 4, 6)
    right = scores.argmax(1)
    assert torch.equal(check_labels([right[0]], [(scores,)])[0], right)
    for given in (right.mT, right.reshape(1, 24), right[:, :3]):
        with pytest.raises(cic.CompileError, match=r"the answer's classes have \(1, 4, 6\)"):
            check_labels([given], [(scores,)])


def test_an_answer_that_is_no_scores_needs_no_classes() -> None:
    boxes = torch.rand(1, 4)
    assert check_labels([boxes], [(torch.ones(3),)]) == (boxes,)


class Overflowing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).relu() / (x.amax() < 0.95).float()


def test_what_is_not_finite_cannot_be_measured() -> None:
    x = torch.rand(40, 4, generator=torch.Generator().manual_seed(1)) * 0.9

    def attempt(calibration: list[object]) -> None:
        precision = cic.Precision("int8", calibration)
        cic.compile(Overflowing(), (x[:1],), device=WEAK, server=STRONG, precision=precision)

    for bad in (float("nan"), float("inf")):
        with pytest.raises(cic.CompileError, match="calibration batch 1 holds NaN or infinity"):
            attempt([x, torch.where(x > 0.8, bad, x)])
    with pytest.raises(cic.CompileError, match="answer to calibration sample 7 holds NaN or infinity"):
        attempt([x[:7], torch.ones(1, 4)])
    with pytest.raises(cic.CompileError, match="no tensor of classes"):
        attempt([(x, np.array(["cat"] * 40))])
