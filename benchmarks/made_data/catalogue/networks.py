"""The networks: those that figures are fitted on and those that judge, each traced from torch or exported to ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.made_data.catalogue.architectures import Detector, Speech, TextReader, UNet, encoder
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from cic.trace.onnx.onnx_model import OnnxModel
from codegen.torchvision_import import import_torchvision

ROOT = Path(__file__).resolve().parents[3]
Built = tuple[nn.Module, tuple[Tensor, ...]]
TORCH, ONNX, QUANTISED = "torch", "onnx", "onnx-int8"


@dataclass(frozen=True)
class Network:
    """name: says what it is. form: traced from torch, exported to ONNX, or exported and quantised. build: model and example."""

    name: str
    form: str
    build: Callable[[], Built]

    @property
    def runtime(self) -> str:
        return "torch" if self.form == TORCH else "onnxruntime"


def vision(name: str, dtype: torch.dtype = torch.float32, size: int = 224) -> Callable[[], Built]:
    def build() -> Built:
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        model = getattr(import_torchvision().models, name)(weights=None, **extra)
        return model.to(dtype).eval(), (torch.rand(1, 3, size, size, dtype=dtype),)

    return build


def module(make: Callable[[], nn.Module], *shape: int, dtype: torch.dtype = torch.float32) -> Callable[[], Built]:
    return lambda: (make().to(dtype).eval(), (torch.rand(shape, dtype=dtype),))


JUDGED = (
    Network("resnet50", TORCH, vision("resnet50")),
    Network("mobilenet_v3_large", TORCH, vision("mobilenet_v3_large")),
    Network("densenet121", TORCH, vision("densenet121")),
    Network("efficientnet_b0", TORCH, vision("efficientnet_b0")),
    Network("vit_b_16", TORCH, vision("vit_b_16")),
    Network("speech, GRU", TORCH, module(lambda: Speech("GRU", 80, 192, 2), 1, 150, 80)),
    Network("U-Net, float16", TORCH, module(lambda: UNet(16), 1, 3, 96, 96, dtype=torch.float16)),
    Network("resnet18", ONNX, vision("resnet18")),
    Network("detector", ONNX, module(lambda: Detector(16), 1, 3, 320, 320)),
    Network("text reader, LSTM", ONNX, module(lambda: TextReader("LSTM", 96), 1, 1, 32, 320)),
    Network("text encoder", ONNX, lambda: encoder(384, 4, 128)),
    Network("mobilenet_v2, int8", QUANTISED, vision("mobilenet_v2")),
)
HALF, BRAIN, DOUBLE = torch.float16, torch.bfloat16, torch.float64
FITTED = (
    *(Network(name, TORCH, vision(name)) for name in ("resnet34", "vgg11", "mobilenet_v2", "squeezenet1_1", "googlenet")),
    *(Network(name, TORCH, vision(name)) for name in ("regnet_y_400mf", "mnasnet1_0", "shufflenet_v2_x1_0", "swin_t")),
    Network("detector, narrow", TORCH, module(lambda: Detector(12), 1, 3, 256, 256)),
    Network("U-Net", TORCH, module(lambda: UNet(24), 1, 3, 128, 128)),
    Network("encoder 256", TORCH, lambda: encoder(256, 4, 96)),
    Network("encoder 512", TORCH, lambda: encoder(512, 3, 128)),
    Network("GRU 64", TORCH, module(lambda: Speech("GRU", 40, 64, 2), 1, 100, 40)),
    Network("GRU 320", TORCH, module(lambda: Speech("GRU", 80, 320, 1), 1, 80, 80)),
    Network("LSTM 128", TORCH, module(lambda: Speech("LSTM", 64, 128, 2), 1, 100, 64)),
    Network("LSTM 320", TORCH, module(lambda: Speech("LSTM", 80, 320, 1), 1, 80, 80)),
    Network("RNN 160", TORCH, module(lambda: Speech("RNN", 80, 160, 2), 1, 100, 80)),
    Network("squeezenet1_1, float16", TORCH, vision("squeezenet1_1", HALF, 128)),
    Network("detector, float16", TORCH, module(lambda: Detector(8), 1, 3, 160, 160, dtype=HALF)),
    Network("encoder, float16", TORCH, lambda: encoder(256, 2, 64, HALF)),
    Network("resnet18, bfloat16", TORCH, vision("resnet18", BRAIN)),
    Network("squeezenet1_1, bfloat16", TORCH, vision("squeezenet1_1", BRAIN)),
    Network("squeezenet1_1, float64", TORCH, vision("squeezenet1_1", DOUBLE)),
    Network("encoder, float64", TORCH, lambda: encoder(256, 3, 96, DOUBLE)),
    *(Network(name, ONNX, vision(name)) for name in ("resnet34", "vgg11", "mobilenet_v2", "squeezenet1_1", "googlenet")),
    *(Network(name, ONNX, vision(name)) for name in ("regnet_y_400mf", "mobilenet_v3_small", "shufflenet_v2_x1_0")),
    Network("U-Net", ONNX, module(lambda: UNet(24), 1, 3, 128, 128)),
    Network("detector, narrow", ONNX, module(lambda: Detector(12), 1, 3, 256, 256)),
    Network("encoder 256", ONNX, lambda: encoder(256, 4, 96)),
    Network("encoder 512", ONNX, lambda: encoder(512, 3, 128)),
    Network("GRU 64", ONNX, module(lambda: Speech("GRU", 40, 64, 2), 1, 100, 40)),
    Network("GRU 320", ONNX, module(lambda: Speech("GRU", 80, 320, 1), 1, 80, 80)),
    Network("LSTM 128", ONNX, module(lambda: Speech("LSTM", 64, 128, 2), 1, 100, 64)),
    Network("LSTM 320", ONNX, module(lambda: Speech("LSTM", 80, 320, 1), 1, 80, 80)),
    Network("RNN 160", ONNX, module(lambda: Speech("RNN", 80, 160, 2), 1, 100, 80)),
    Network("resnet18, float16", ONNX, vision("resnet18", HALF)),
    Network("mobilenet_v3_small, float16", ONNX, vision("mobilenet_v3_small", HALF)),
    Network("encoder, float16", ONNX, lambda: encoder(256, 3, 96, HALF)),
    Network("resnet34, int8", QUANTISED, vision("resnet34")),
    Network("squeezenet1_1, int8", QUANTISED, vision("squeezenet1_1")),
    Network("mobilenet_v3_small, int8", QUANTISED, vision("mobilenet_v3_small")),
    Network("encoder, int8", QUANTISED, lambda: encoder(256, 3, 96)),
)


def traced(network: Network) -> TracedModel | OnnxModel:
    """The network as CIC prices it; an ONNX file lives as long as this process."""
    torch.manual_seed(0)
    model, call = network.build()
    if network.form == TORCH:
        return trace(model, call, name=network.name)
    from cic.trace.onnx.onnx_trace import trace_onnx

    path = exported(model, call)
    if network.form == QUANTISED:
        path = quantised(path, call)
    return trace_onnx(path, call, name=network.name)


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def exported(model: nn.Module, call: tuple[Tensor, ...]) -> Path:
    """The model as `torch.onnx` writes it."""
    from codegen.formats.onnx_program import quiet_exporter

    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="catalogue-"))
    path = Path(_FOLDERS[-1].name) / "model.onnx"
    with quiet_exporter():
        torch.onnx.export(model, call, path, dynamo=True, verbose=False, external_data=False)
    return path


def quantised(path: Path, call: tuple[Tensor, ...]) -> Path:
    """The file with its products in int8 between QuantizeLinear and DequantizeLinear, ranges taken from random inputs."""
    import logging

    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Random(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self.rows: Iterator[dict[str, Any]] = iter([{name: torch.rand_like(call[0]).numpy()} for _ in range(2)])

        def get_next(self) -> dict[str, Any] | None:
            return next(self.rows, None)

    import onnx

    logging.disable(logging.WARNING)
    prepared, result = path.with_name("prepared.onnx"), path.with_name("int8.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    given = onnx.load(str(prepared)).graph.input[0].name
    quantize_static(
        str(prepared), str(result), Random(given), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    logging.disable(logging.NOTSET)
    return result
