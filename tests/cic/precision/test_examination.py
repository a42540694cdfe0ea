"""What cuts keep is found out on calibration inputs: labels count, and too few samples are said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cic
from cic.codec.registry import codec
from cic.decision.splitting_model import SplittingModel
from cic.precision.calibration import Calibration
from cic.precision.cut_accuracy import examiner
from cic.precision.examination import Examined
from cic.precision.model_runner import runner_of
from cic.precision.precision import Precision
from cic.precision.wire_form import WireForm
from tests.cic.inception import STRONG, WEAK


def test_labels_count_not_just_agreement(network: nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        right = network(images).argmax(1)
    by_label, by_agreement = (
        cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=Precision(None, [batch], "top1>=0.5"))
        for batch in ((images, right), images)
    )
    assert [cut.accuracy for cut in by_label.cuts] == [cut.accuracy for cut in by_agreement.cuts]


def test_too_few_samples_for_a_target_are_said_and_leave_only_lossless_codecs(network: nn.Module, images: torch.Tensor) -> None:
    def kept(target: str) -> SplittingModel:
        precision = Precision(calibration=[images], accuracy=target)
        return cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision)

    with pytest.warns(cic.CicWarning, match=r"24 calibration samples cannot show that 'top1>=0.99'.*it takes \d+") as told:
        careful = kept("top1>=0.99")
    assert all(codec(name).lossless for cut in careful.cuts for name in cut.codecs)
    advice = float(str(told[0].message).partition("top1>=0.99")[2].partition("top1>=")[2])
    lower = kept(f"top1>={advice}")
    assert any(not codec(name).lossless for cut in lower.cuts for name in cut.codecs), "the advice can be followed"
    with pytest.warns(cic.CicWarning, match="no number of samples"):
        kept("top1>=1")


def test_the_whole_model_s_own_accuracy_is_told_and_kept(network: nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        labels = network(images).argmax(1)
    labels[:6] = (labels[:6] + 1) % 10
    told: list[cic.Progress] = []
    precision = Precision("int8", [(images, labels)])
    compiled = cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision, progress=told.append)
    assert compiled.information.codecs is not None and compiled.information.codecs.whole_top1 == 0.75
    assert any("75.00%" in each.text for each in told)
    assert any(each.done == each.of is not None and "accuracy" in each.text for each in told)


def test_the_whole_model_s_accuracy_is_told_of_as_many_samples_as_is_said(network: nn.Module, images: torch.Tensor) -> None:
    """Where some samples made transforms, both figures are of the others."""
    with torch.no_grad():
        labels = network(images).argmax(1)
    labels[:4] = (labels[:4] + 1) % 10
    calibration = Calibration(tuple((image[None],) for image in images), tuple(label[None] for label in labels))
    of_all = examiner(runner_of(cic.trace_model(network, (images[:1],))), calibration, None)
    others = of_all.part(range(2, len(images)))
    examined = Examined(Precision(), None, others, of_all)
    assert (examined.samples, examined.whole_top1) == (len(images) - 2, pytest.approx(1 - 2 / (len(images) - 2)))


def test_an_input_needs_no_more_samples_for_being_beside_transforms() -> None:
    """Else the fastest that is shown to keep a target could be slower for asking for transforms."""
    transforms = [f"transform-{number}@{'0' * 64}" for number in range(1, 9)]
    forms = {
        "image": [WireForm(name, 100, 0.0, 0.0, 0.1) for name in ("raw", "fp16", "int8", "int4")],
        **{f"x{number}": [WireForm(name, 100, 0.0, 0.0, 0.1) for name in ("raw", "int8", "int4")] for number in range(20)},
    }
    without = Examined(Precision(), forms, None, None)
    more = {name: [*each, *(WireForm(one, 9, 0.0, 0.0, 0.1) for one in transforms)] for name, each in forms.items()}
    beside = Examined(Precision(), more, None, None, making=[()])
    assert without.level_of_input(["image"]) == without.level(1, of_all=True)
    assert beside.level_of_input(["image"]) >= without.level_of_input(["image"])
    assert beside.level_of_input(["image"], [(2, 1)]) == pytest.approx(beside.level_of_input(["image"]) / 4)
    other = beside.pairs_of_all - 3
    assert other * beside.level(1, of_all=True) + 3 * beside.level_of_input(["image"]) <= 0.05
