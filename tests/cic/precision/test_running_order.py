"""Doubtful samples are run first, all of them are run, and a miss is told sooner than in the order given."""

from __future__ import annotations

import numpy as np
import torch

from cic.precision.accuracy import Answer, parse_target
from cic.precision.early_verdict import sure_miss
from cic.precision.running_order import doubtful_first, running_order
from tests.draws import draws

LEVEL = 0.001


def scored(rows: torch.Tensor) -> list[Answer]:
    return [(row[None],) for row in rows]


def test_the_two_highest_scores_tell_how_sure_an_answer_is() -> None:
    whole = scored(torch.tensor([[5.0, 0.0, 4.0], [1.0, 9.0, 0.0], [2.0, 2.5, 0.0]]))
    assert doubtful_first(whole) == (2, 0, 1)
    labels = [torch.tensor([label]) for label in (0, 1, 0)]
    assert doubtful_first(whole, labels) == (0, 1, 2), "what is wrong already cannot be lost"


def test_of_many_places_the_doubtful_ones_count() -> None:
    sure, part = torch.zeros(1, 2, 10), torch.zeros(1, 2, 10)
    sure[:, 0], part[:, 0] = 5.0, 50.0
    part[:, 0, 3] = 0.1
    assert doubtful_first([(sure,), (part,)]) == (1, 0)


def test_only_a_share_of_classes_says_what_is_doubtful() -> None:
    whole = scored(torch.tensor([[5.0, 0.0], [1.0, 0.0]]))
    integers = [(torch.ones(1, 3, dtype=torch.int64),)] * 2
    assert running_order(parse_target("top1>=0.9"), whole, None) == (1, 0)
    for target, answers in ((None, whole), (parse_target("rel<=0.1"), whole), (parse_target("top1>=0.9"), integers)):
        assert running_order(target, answers, None) == (0, 1)
    assert running_order(parse_target(lambda mine, theirs: True), whole, None) == (0, 1), "a person's lists are not reordered"


def test_noise_is_seen_to_miss_sooner() -> None:
    target, firsts, givens = parse_target("top1>=0.98"), [], []
    for seed in range(draws(20)):
        rng = np.random.default_rng(seed)
        scores = torch.from_numpy(rng.normal(0, 3, (800, 10)))
        whole, answers = scored(scores), scored(scores + torch.from_numpy(rng.normal(0, 0.2, (800, 10))))
        for order, into in ((doubtful_first(whole), firsts), (range(800), givens)):
            missed = sure_miss(target, whole, None, LEVEL, order)
            assert sorted(order) == list(range(800)) and missed is not None
            into.append(next(count for count, number in enumerate(order) if missed([answers[number]])))
    assert sum(firsts) < sum(givens) / 3, (firsts, givens)
