"""Calibration that cannot be asked for is refused by the batch and the value at fault."""

from __future__ import annotations

import numpy
import pytest
import torch
from torch import nn

import cic
from cic.precision.precision import Precision
from tests.cic.inception import STRONG, WEAK


def test_what_cannot_be_asked_is_refused(network: nn.Module, images: torch.Tensor) -> None:
    def attempt(**options: object) -> None:
        precision = Precision(**options)  # type: ignore[arg-type]
        cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision)

    for options, message in (
        ({"accuracy": "top1>=0.99"}, "nothing to measure it on"),
        ({"accuracy": "top2>=0.99", "calibration": [images]}, "top1>=0.99"),
        ({"accuracy": "top1<=0.99", "calibration": [images]}, "top1>=0.99"),
        ({"accuracy": "top1>=1.5", "calibration": [images]}, "share from 0 to 1"),
        ({"codecs": "int3"}, "int4"),
        ({"codecs": ["int3"]}, "int3"),
        ({"calibration": [images]}, "no codec is allowed"),
        ({"codecs": "int8", "calibration": []}, "no batch"),
        ({"codecs": "int8", "calibration": [images[:, :2]]}, "shape"),
        ({"codecs": "int8", "calibration": [images.double()]}, "float64"),
        ({"codecs": "int8", "calibration": [(images, torch.zeros(23))]}, "24 samples"),
        ({"codecs": "int8", "calibration": [images, (images, torch.zeros(24))]}, "24 of 48"),
        ({"codecs": "int8", "calibration": [{"args": (images, images)}]}, "batch 0"),
        ({"codecs": "int8", "calibration": [{"args": (images,), "label": torch.zeros(24)}]}, "'label'"),
        ({"codecs": "int8", "calibration": [(images, torch.zeros(0))]}, "labels of shape"),
        ({"codecs": "int8", "calibration": [(images[:0], torch.zeros(0))]}, "0.0. times as large"),
        ({"codecs": "int8", "calibration": [images.to("meta")]}, "meta device"),
        ({"codecs": "int8", "calibration": [images.to_sparse()]}, "sparse_coo; give it dense"),
        ({"codecs": "int8", "calibration": [numpy.array(["a cat"])]}, "ndarray of <U5, of which torch can make no tensor"),
        ({"codecs": "int8", "calibration": 3}, "list of batches"),
        ({"accuracy": lambda mine: True, "calibration": [images[:2]]}, "accuracy function <lambda> failed"),
    ):
        with pytest.raises(cic.CicError, match=message):
            attempt(**options)
