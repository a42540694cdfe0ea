"""Targets judge what they say: shares of the whole model's top-1, with a margin, and the error of every output."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from cic.errors import CompileError
from cic.precision.accuracy import Answer, judge, parse_target


def scores(right: list[bool]) -> list[Answer]:
    """Answers of two classes of which the second is right."""
    return [(torch.tensor([[0.0, 1.0] if hit else [1.0, 0.0]]),) for hit in right]


LABEL = torch.tensor([1])
LEVEL = 0.05


def test_a_share_of_the_accuracy_that_is_kept_is_met_with_a_margin() -> None:
    target = parse_target("top1>=0.9")
    whole = [True] * 380 + [False] * 20
    for lost, met in ((0, True), (20, True), (38, False), (60, False)):
        reached = judge(target, scores([False] * lost + whole[lost:]), scores(whole), [LABEL] * 400, LEVEL)
        assert reached.top1 == pytest.approx((380 - lost) / 380)
        assert reached.met == met, "38 of 380 lost is 90 % exactly, which is no evidence of 90 % beyond this sample"
    assert not judge(target, scores([True] * 9 + [False]), scores([True] * 10), [LABEL] * 10, LEVEL).met, (
        "ten samples say little"
    )


def test_what_is_met_on_a_sample_is_mostly_met_by_all() -> None:
    rng, target = random.Random(3), parse_target("top1>=0.95")
    wrongly = 0
    for _ in range(200):
        # Just short of the target: such a cut should rarely pass.
        kept = [rng.random() < 0.94 for _ in range(300)]
        wrongly += judge(target, scores(kept), scores([True] * 300), [LABEL] * 300, LEVEL).met
    assert wrongly <= 20


def test_without_labels_agreement_counts() -> None:
    both = scores([True, False, True, False])
    assert judge(parse_target("top1>=1"), both, both, None, LEVEL).top1 == 1
    assert judge(None, scores([True, True]), scores([True, False]), None, LEVEL).top1 == 0.5
    assert judge(None, scores([True, True]), scores([True, False]), None, LEVEL).met


def test_the_error_is_that_of_the_worst_output() -> None:
    whole = [(torch.full((4,), 2.0), torch.full((3,), 10.0)) for _ in range(5)]
    answers = [(first + 0.02, second + 1.0) for first, second in whole]
    assert judge(None, answers, whole, None, LEVEL).error == pytest.approx(0.1)
    assert judge(parse_target("rel<=0.11"), answers, whole, None, LEVEL).met
    assert not judge(parse_target("rel<=0.09"), answers, whole, None, LEVEL).met
    broken = [(first, second * math.nan) for first, second in whole]
    assert not judge(parse_target("rel<=1e9"), broken, whole, None, LEVEL).met
    turned = [(torch.polar(first, first),) for first, _ in whole]
    assert judge(None, turned, turned, None, LEVEL).error == 0


def test_functions_get_all_answers() -> None:
    def agree(answers: list[Answer], whole: list[Answer]) -> bool:
        return len(answers) == len(whole) == 3 and all(
            torch.equal(mine[0], theirs[0]) for mine, theirs in zip(answers, whole, strict=True)
        )

    target = parse_target(agree)
    assert target is not None and target.text == "agree"
    assert judge(target, scores([True] * 3), scores([True] * 3), None, LEVEL).met
    assert not judge(target, scores([True, True, False]), scores([True] * 3), None, LEVEL).met


def test_scores_of_a_map_are_counted_place_by_place() -> None:
    whole = [(torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)], 1),) for _ in range(3)]
    half = [(torch.where(torch.arange(4) < 2, answer.flip(1), answer),) for (answer,) in whole]
    assert judge(None, half, whole, None, LEVEL).top1 == 0.5
    assert judge(None, half, whole, [torch.zeros(1, 4, 4, dtype=torch.long)] * 3, LEVEL).top1 is None, (
        "the whole model gets nothing right"
    )


def test_a_top1_target_needs_scores() -> None:
    numbers = [(torch.ones(3),)]
    assert judge(None, numbers, numbers, None, LEVEL).top1 is None
    with pytest.raises(CompileError, match="classes along dimension 1"):
        judge(parse_target("top1>=0.5"), numbers, numbers, None, LEVEL)


def test_targets_as_people_write_them() -> None:
    for text, top1, error in (("top1>=0.99", 0.99, None), (" rel <= 1e-2", None, 0.01), ("top1 >= 99%", 0.99, None)):
        target = parse_target(text)
        assert target is not None
        assert (target.least_top1, target.most_error) == (top1, error)
    with pytest.raises(CompileError, match="accuracy"):
        parse_target(0.99)  # type: ignore[arg-type]


@pytest.mark.parametrize("verdict", [True, False, np.True_, np.False_, torch.tensor(True), torch.tensor([False])])
def test_a_function_says_whether_enough_is_kept(verdict: object) -> None:
    target = parse_target(lambda mine, theirs: verdict)  # type: ignore[arg-type, return-value]
    assert judge(target, scores([True]), scores([True]), None, LEVEL).met is bool(verdict)


@pytest.mark.parametrize("verdict", [None, 0.97, 1, "yes", torch.tensor(0.97), torch.tensor([True, False]), np.eye(2)])
def test_what_is_no_verdict_is_none(verdict: object) -> None:
    """A share or a count would pass as true, and nothing, as of a forgotten return, as false."""

    def keeps_enough(mine: object, theirs: object) -> object:
        return verdict

    with pytest.raises(CompileError, match=r"^the accuracy function keeps_enough returned .*; return True if") as raised:
        judge(parse_target(keeps_enough), scores([True]), scores([True]), None, LEVEL)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
