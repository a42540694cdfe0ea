"""What is asked of crossing tensors is refused where it is written down, not minutes later."""

from __future__ import annotations

import pytest

import cic
from cic.precision.precision import Precision, precision_of


@pytest.mark.parametrize("asked", [None, "int8", ["int8+zstd"], ("fp16", "int4"), Precision("int4")])
def test_codecs_alone_stand_for_a_precision(asked: object) -> None:
    precision = precision_of(asked)  # type: ignore[arg-type]
    assert precision is asked or precision.codecs == asked
    assert precision.allows_codecs == (asked is not None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codecs": "int3"}, "one of fp32, fp16, int8, int4"),
        ({"codecs": ["int3"]}, "int3"),
        ({"codecs": 8}, "codecs allowed are 8"),
        ({"accuracy": "top1>=0.99"}, "nothing to measure it on"),
        ({"accuracy": 0.99, "calibration": []}, "the accuracy is 0.99"),
        ({"calibration": [1]}, "no codec is allowed"),
        ({"input": "int8"}, "uint8, png, jpeg90 or webp75"),
        ({"train": "5min"}, "train='5min' trains transforms, and none are made"),
        ({"train": "5min", "codecs": "int4", "calibration": []}, "and none are made"),
        ({"train": "5 days", "accuracy": "rel<=0.1", "calibration": []}, "train is '5 days'; write how long"),
        ({"train": "0.5s", "accuracy": "rel<=0.1", "calibration": []}, "which is 0.5 s; it must lie between 1 s and a week"),
        ({"train": 5, "accuracy": "rel<=0.1", "calibration": []}, "the time for training is 5"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(cic.CicError, match=message):
        Precision(**options)  # type: ignore[arg-type]
    with pytest.raises(cic.ArgumentError, match=r"the precision is 8; give a cic\.Precision"):
        precision_of(8)  # type: ignore[arg-type]
