"""Arrays to calibrate with are like those that the model was compiled for."""

from __future__ import annotations

import numpy as np
import pytest

from cic.calibration.example_arrays import example_arrays
from cic.codec.tensors import carrier
from cic.decision.stored_graph import StoredCall, StoredInput
from cic.errors import ArtifactError
from codegen.split import WireTensor


def test_example_arrays_are_of_the_bundle_and_like_those_that_the_model_was_compiled_for() -> None:
    kinds = {"float32": {"mean": 5.0, "deviation": 0.1}, "int64": {"low": 3, "high": 9}, "bfloat16": {"mean": 1.0}, "bool": {}}
    inputs = tuple(
        StoredInput(name=f"x{dtype}", shape=(40, 5), dtype=dtype, values=values, order=None, open_axes=())
        for dtype, values in kinds.items()
    )
    wires = [WireTensor(each.name, each.shape, each.dtype, 200 * carrier(each.dtype).itemsize) for each in inputs]
    call = StoredCall(structure={}, tensors=inputs)
    floats, whole, bits, truths = example_arrays(call, wires)
    assert floats.dtype == np.float32 and abs(float(floats.mean()) - 5) < 0.1
    assert whole.dtype == np.int64 and {int(whole.min()), int(whole.max())} == {3, 9}
    assert bits.dtype == np.uint16 and abs((bits.astype(np.uint32) << 16).view(np.float32).mean() - 1) < 0.3
    assert truths.dtype == np.bool_ and {*truths.ravel().tolist()} == {True, False}
    with pytest.raises(ArtifactError, match="its halves take"):
        example_arrays(call, wires[:2])
