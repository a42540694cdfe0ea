"""Samples that make transforms judge no cut, and transforms are made only where enough samples are left."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import cic
from cic.codec.transform.transform_codec import digest_in
from cic.errors import CostError
from cic.precision.accuracy import Reached
from cic.precision.cut_accuracy import Examiner
from cic.precision.precision import Precision
from cic.precision.transforms.making import Made
from cic.precision.transforms.share import samples_to_make_from
from cic.progress import Progress
from tests.cic.inception import STRONG, WEAK


def test_fewer_samples_make_transforms_where_a_target_needs_the_others() -> None:
    anything = Precision("transform", calibration=[])
    assert [samples_to_make_from(count, 10, anything) for count in (4, 31, 40, 400, 4000)] == [0, 0, 10, 100, 128]
    strict = Precision(calibration=[], accuracy="top1>=0.95")
    plenty, few = samples_to_make_from(1000, 10, strict), samples_to_make_from(200, 10, strict)
    assert plenty == 128 and 0 < few < 50
    assert samples_to_make_from(100, 10, strict) == 0
    assert samples_to_make_from(10_000, 10, Precision(calibration=[], accuracy="top1>=1")) == 0


def test_cuts_with_transforms_are_judged_on_the_other_samples_and_those_without_on_all(
    network: nn.Module, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, judged = Examiner.reached, set()

    def seen(examiner: Examiner, nodes: object, codecs: dict[str, str], level: float) -> Reached:
        judged.add((any(digest_in(name) for name in codecs.values()), len(examiner.whole)))
        return reached(examiner, nodes, codecs, level)  # type: ignore[arg-type]

    monkeypatch.setattr(Examiner, "reached", seen)
    batches = [images, images.flip(0) + 0.1]
    asked = Precision("transform", batches, "rel<=0.2")
    compiled = cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=asked)
    assert compiled.information.codecs is not None and compiled.information.codecs.calibration_samples == 36
    assert judged == {(True, 36), (False, 48)}
    used = {digest_in(name) for cut in compiled.cuts for name in cut.codecs} - {None}
    assert used <= compiled.stored_codecs.keys()


def test_a_set_is_judged_at_one_level_whether_or_not_transforms_could_be_made(
    network: nn.Module, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the samples are may not decide at which level they judge; what is left to inputs is left where some are made."""
    reached, levels = Examiner.reached, dict[object, float]()

    def seen(examiner: Examiner, nodes: frozenset[str], codecs: dict[str, str], level: float) -> Reached:
        key = (nodes, tuple(sorted(codecs.items())), len(examiner.whole))
        known = levels.setdefault(key, level)
        assert level == known or (len(codecs) == 1 and "x" in codecs and level < known)
        again.extend([key] if key in before else [])
        return reached(examiner, nodes, codecs, level)

    def none(*arguments: Any, **options: Any) -> Made:
        return Made({}, {}, arguments[2])

    before, again = set[object](), list[object]()
    monkeypatch.setattr(Examiner, "reached", seen)
    asked = Precision("transform", [images, images.flip(0) + 0.1], "rel<=0.2")
    cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=asked)
    before.update(levels)
    monkeypatch.setattr("cic.precision.transforms.share.make_transforms", none)
    cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=asked)
    assert again


def test_too_few_samples_make_none_and_it_is_said(network: nn.Module, images: torch.Tensor) -> None:
    told: list[Progress] = []
    asked = Precision("transform", [images], "rel<=0.2")
    cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=asked, progress=told.append)
    assert any("no transforms are made: 24 calibration samples" in each.text for each in told)


def test_a_machine_without_times_of_transforms_makes_none_with_a_warning(
    network: nn.Module, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> tuple[float, float]:
        raise CostError("the codec 'transform' is not in old.json")

    monkeypatch.setattr("cic.precision.transforms.share.transform_seconds", unknown)
    asked = Precision("transform", [images, images], "rel<=0.2")
    with pytest.warns(cic.CicWarning, match="no transforms are made, as their times are not known: .* is not in old"):
        compiled = cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=asked)
    assert compiled.stored_codecs == {}
