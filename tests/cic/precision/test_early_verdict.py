"""A cut that can meet its target no more is told so early, and never one that could."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cic.precision.accuracy import Answer, judge, parse_target
from cic.precision.early_verdict import sure_miss
from tests.draws import draws

LEVEL = 0.01
Case = tuple[list[Answer], list[Answer], list[torch.Tensor] | None]


def scores(rng: np.random.Generator, classes: torch.Tensor, lost: float) -> Answer:
    """Scores of the shape (1, 3, places) whose best are these classes but for a share of them; some are not a number."""
    turned = torch.where(torch.from_numpy(rng.random(classes.shape) < lost), (classes + 1) % 3, classes)
    made = torch.nn.functional.one_hot(turned, 3).movedim(-1, 1).float()
    return (torch.full_like(made, torch.nan) if rng.random() < 0.01 else made,)


def drawn(rng: np.random.Generator, places: int) -> Case:
    """Answers of a cut and of the whole model, and labels or none; as good as the targets ask for, or a little worse."""
    count, lost, wrong = int(rng.integers(1, 400)), rng.choice([0.0, 0.01, 0.05, 0.3]), rng.choice([0.0, 0.2])
    labels = [torch.from_numpy(rng.integers(0, 3, (1, places) if places > 1 else (1,))) for _ in range(count)]
    whole = [scores(rng, label, wrong) for label in labels]
    whole = [(each[0].nan_to_num(1.0),) for each in whole]
    answers = [scores(rng, answer[0].argmax(1), lost) for answer in whole]
    return answers, whole, labels if rng.random() < 0.5 else None


@pytest.mark.parametrize("places", [1, 4])
@pytest.mark.parametrize("text", ["top1>=0.9", "top1>=0.5", "top1>=0", "top1>=1", "rel<=0.2", "rel<=0"])
def test_the_verdict_is_that_of_all_samples_in_whatever_order_they_come(text: str, places: int) -> None:
    target, early, met = parse_target(text), 0, 0
    for seed in range(draws(40)):
        rng = np.random.default_rng(seed)
        answers, whole, labels = drawn(rng, places)
        verdict = judge(target, answers, whole, labels, LEVEL).met
        order = rng.permutation(len(answers)).tolist()
        missed = sure_miss(target, whole, labels, LEVEL, order)
        assert missed is not None
        piece = int(rng.integers(1, 20))
        coming = [answers[number] for number in order]
        told = [missed(coming[start : start + piece]) for start in range(0, len(answers), piece)]
        assert told == sorted(told), "what was sure is doubted later"
        assert told[-1] == (not verdict), "with all answers there, both must say the same"
        early += not verdict and told.index(True) < len(told) - 1
        met += verdict
    assert early or met == draws(40), "no draw was told early"


def test_nothing_is_said_of_what_only_all_answers_tell() -> None:
    whole = [(torch.ones(1, 3),)] * 4
    assert sure_miss(None, whole, None, LEVEL) is None
    assert sure_miss(parse_target(lambda mine, theirs: True), whole, None, LEVEL) is None
    no_scores = [(torch.ones(1, dtype=torch.int64),)] * 4
    assert sure_miss(parse_target("top1>=0.9"), no_scores, None, LEVEL) is None, "judge has an error to raise"


def test_an_answer_that_is_not_finite_has_no_small_error() -> None:
    whole = [(torch.ones(1, 3),)] * 4
    missed = sure_miss(parse_target("rel<=0.5"), whole, None, LEVEL)
    assert missed is not None
    assert not missed(whole[:1]) and missed([(torch.full((1, 3), torch.inf),)]) and missed(whole[2:])
