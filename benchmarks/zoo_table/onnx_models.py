"""ONNX files exported from the other families: ONNX in, ONNX halves out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import onnx_ir
import torch

from benchmarks.zoo_table import torchvision_models, transformers_models
from benchmarks.zoo_table.specimen import Built, Call, Specimen
from codegen.calls.structure import describe
from codegen.formats.onnx_program import quiet_exporter

_SOURCES = {
    "resnet50": torchvision_models,
    "mobilenet_v3_large": torchvision_models,
    "googlenet": torchvision_models,
    "efficientnet_b0": torchvision_models,
    "swin_t": torchvision_models,
    "DistilBertModel": transformers_models,
    "GPT2LMHeadModel": transformers_models,
    "T5ForConditionalGeneration": transformers_models,
    "ViTForImageClassification": transformers_models,
    "Wav2Vec2ForCTC": transformers_models,
}


def build(folder: Path, name: str) -> Built:
    """Write the torch model as `folder`/name.onnx, its inputs fixed to the shapes of its example."""
    source = _SOURCES[name].MODELS[name].build(folder)
    args, kwargs = source.random
    path = folder / f"{name}.onnx"
    with quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(source.model, args, kwargs=kwargs, dynamo=True, verbose=False)
        assert program is not None
        onnx_ir.save(program.model, path)
    inputs = [str(value.name) for value in program.model.graph.inputs]
    return Built(path, _by_name(inputs, source.random), _by_name(inputs, source.natural))


def _by_name(inputs: list[str], call: Call) -> Call:
    tensors = describe({"args": call[0], "kwargs": call[1]})[1]
    return (), dict(zip(inputs, tensors, strict=True))


MODELS = {f"{name}.onnx": Specimen(partial(build, name=name), ("onnx",)) for name in _SOURCES}
