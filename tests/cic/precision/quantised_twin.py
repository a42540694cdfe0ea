"""The network of `tests.cic.inception` as onnxruntime's own quantiser writes it: small integers between pairs of nodes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives the quantiser one picture after the other."""

    def __init__(self, images: torch.Tensor) -> None:
        self.rest: Iterator[Any] = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self.rest, None)
        return None if image is None else {"image": image[None].numpy()}


def quantise(model: onnx.ModelProto, images: torch.Tensor, folder: Path, *, signed: bool, pairs_per_reader: bool) -> Path:
    """The path of the quantised model. signed: int8 activations, and a scale for each channel of the weights."""
    onnx.save(model, folder / "floats.onnx")
    quantised = folder / f"quantised_{signed}_{pairs_per_reader}.onnx"
    logging.disable(logging.WARNING)  # it advises to optimise the model first
    try:
        quantize_static(
            folder / "floats.onnx",
            quantised,
            Reader(images),
            quant_format=QuantFormat.QDQ,
            per_channel=signed,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"DedicatedQDQPair": pairs_per_reader},
        )
    finally:
        logging.disable(logging.NOTSET)
    return quantised
