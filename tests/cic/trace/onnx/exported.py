"""Networks of torchvision exported to ONNX, and the machines that they are compiled for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from codegen.formats.onnx_program import quiet_exporter
from codegen.torchvision_import import import_torchvision
from examples.models.meaningful import make_meaningful
from tests.codegen.onnx_models import constant, model, value

MACHINES = {"device": "raspberry-pi-4b", "server": "i7-13700k"}


@pytest.fixture(scope="session", params=["resnet18", "googlenet", "mobilenet_v3_small"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    torch.manual_seed(0)
    more = {"init_weights": False, "aux_logits": False} if request.param == "googlenet" else {}
    network = getattr(import_torchvision().models, request.param)(num_classes=20, **more)
    network = make_meaningful(network, (torch.randn(4, 3, 64, 64),))
    path = tmp_path_factory.mktemp("exported") / f"{request.param}.onnx"
    with quiet_exporter():
        # ResNet's weights lie beside the file.
        beside = request.param == "resnet18"
        torch.onnx.export(network, (torch.randn(1, 3, 64, 64),), path, dynamo=True, verbose=False, external_data=beside)
    return network, path


def dynamic() -> onnx.ModelProto:
    """An input whose batch and length are open, and a reshape to sizes read off the input."""
    return model(
        [
            onnx.helper.make_node("Shape", ["x"], ["sizes"]),
            onnx.helper.make_node("Gather", ["sizes", "first"], ["batch"]),
            onnx.helper.make_node("Concat", ["batch", "rest"], ["form"], axis=0),
            onnx.helper.make_node("Exp", ["x"], ["grown"]),
            onnx.helper.make_node("Reshape", ["grown", "form"], ["flat"]),
            onnx.helper.make_node("Softmax", ["flat"], ["y"]),
        ],
        [value("x", ["batch", 2, "length"])],
        [value("y", ["batch", "features"])],
        [constant("first", [0], np.int64), constant("rest", [-1], np.int64)],
    )
