"""A calibration in a `.cic` file comes back as it was, and each field that is not as it should be is named."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from benchmarks.harness.random_problems import network_shaped
from cic.decision.conditions import Box
from cic.decision.frozen import plain
from cic.decision.graph_document import read_graph
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.decision.stored_calibration import MeasuredCut, StoredCalibration, StoredCodecTime
from cic.errors import ArtifactError
from tests.cic.hand_made import splitting_model

MODEL = splitting_model(network_shaped(random.Random(2), 12), Box(), 0.01, 2.0)
OPS = MODEL.graph().ops
CALIBRATION = StoredCalibration(
    date="2026-01-02T03:04:05+00:00",
    device="a board",
    device_engine="onnxruntime",
    server="a server",
    server_engine="torchscript",
    repetitions=15,
    device_ns=tuple(op.device_ns + 1 for op in OPS),
    server_ns=tuple(op.server_ns + 2 for op in OPS),
    codecs=(StoredCodecTime(tensor="t0", codec="int8", encode_ns=1, decode_ns=2),),
    cuts=(
        MeasuredCut(
            id="device-only",
            codecs=(),
            predicted_device_ns=1,
            measured_device_ns=2,
            predicted_server_ns=0,
            measured_server_ns=0,
        ),
    ),
)


def read(calibration: Any) -> Any:
    document = json.loads(json.dumps(plain(MODEL.graph()))) | {"calibration": calibration}
    return read_graph(document, len(OPS), [cut.codecs for cut in MODEL.cuts], "here.cic").calibration


def test_a_calibration_comes_back_as_it_was() -> None:
    assert MODEL.graph().calibration is None
    calibrated = SplittingModel(MODEL.table, lambda: MODEL.graph().replaced(calibration=CALIBRATION))
    assert loads(dumps(calibrated)).graph().calibration == CALIBRATION


@pytest.mark.parametrize("value", [KeyError, {"a": 1}, "\ud800", -5, [None], [1]], ids=repr)
def test_every_wrong_field_is_named(value: object) -> None:
    whole = json.loads(json.dumps(plain(CALIBRATION)))
    for holder, path in ((whole, ()), (whole["codecs"][0], ("codecs", 0)), (whole["cuts"][0], ("cuts", 0))):
        for name in holder:
            changed = json.loads(json.dumps(whole))
            inner = changed if not path else changed[path[0]][path[1]]
            if value is KeyError:
                del inner[name]
            else:
                inner[name] = value
            with pytest.raises(ArtifactError, match=f"the graph is not as CIC writes it: .*{name}"):
                read(changed)
