"""Torchvision's networks for classification, segmentation, video and optical flow, with random weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.zoo_table.inputs import clip, photo
from benchmarks.zoo_table.specimen import ALL_FORMATS, Built, Specimen, several
from codegen.torchvision_import import import_torchvision
from examples.models.meaningful import make_meaningful

import_torchvision()
from torchvision.models.regnet import ResBottleneckBlock  # noqa: E402
from torchvision.models.resnet import BasicBlock, Bottleneck  # noqa: E402

# Heads whose first weights torchvision draws by a slow method.
_SLOW_TO_DRAW = ("googlenet", "inception_v3")
# Each model runs dozens of times, so pictures are small where the network allows it. Its ops are the same whatever their size.
_SIZE, _SIZES = 128, {"maxvit_t": 224, "inception_v3": 160, "vit_h_14": 112}
_CLIP, _CLIPS = (8, 64), {"mvit_v1_b": (16, 224), "mvit_v2_s": (16, 224), "s3d": (16, 224)}
_BIG = (
    *("vit_h_14", "vit_l_16", "vit_l_32", "regnet_y_128gf", "regnet_y_32gf", "regnet_x_32gf", "convnext_large"),
    *("mvit_v1_b", "mvit_v2_s", "s3d", "wide_resnet101_2", "resnext101_64x4d", "regnet_y_16gf", "regnet_x_16gf", "swin_v2_b"),
    *("efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_l", "efficientnet_v2_m", "maxvit_t"),
)
_ALL_FORMATS = (
    *("squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x1_0", "googlenet", "swin_t"),
    *("lraspp_mobilenet_v3_large", "mc3_18"),
)

LEFT_OUT = {
    "torchvision's detection networks (12)": "they need torchvision's compiled operators, which a plain torchvision wheel"
    " beside a torch for processors lacks; `make zoo-detection` tries them ([results](../benchmarks/results/zoo_detection.md))",
    "torchvision's quantised networks (12)": "with `quantize=False` they are the networks below and stubs that do nothing,"
    " with `quantize=True` they run on the packed weights of torch's old quantised engine, which `torch.export` does not know",
}


def image_network(_: Path, name: str) -> Built:
    """A class for one photograph."""
    size = _SIZES.get(name, _SIZE)
    options = {"init_weights": False} if name in _SLOW_TO_DRAW else {}
    if name.startswith("vit_"):
        options["image_size"] = size
    return _built(name, options, (photo(size, size),))


def segmentation(_: Path, name: str) -> Built:
    """A mask of one photograph."""
    return _built(name, {"weights_backbone": None}, (photo(_SIZE, _SIZE),))


def video(_: Path, name: str) -> Built:
    """A class for one short film."""
    frames, size = _CLIPS.get(name, _CLIP)
    return _built(name, {}, (clip(frames, size, size),))


def optical_flow(_: Path, name: str) -> Built:
    """How the second of two pictures differs from the first."""
    film = clip(4, 128, 160)
    return _built(name, {}, (film[:, :, 0].contiguous(), film[:, :, 3].contiguous()))


def _built(name: str, options: dict[str, Any], natural: tuple[torch.Tensor, ...]) -> Built:
    torch.manual_seed(0)
    model: nn.Module = import_torchvision().models.get_model(name, weights=None, **options)
    _calm(model)
    calls = (tuple(map(torch.randn_like, natural)), {}), (natural, {})
    return Built(make_meaningful(model, *several(*calls)), *calls)


def _calm(model: nn.Module) -> None:
    """Let the branches of a ResNet or RegNet add less than its trunk carries, as they do where training begins.

    With random weights of equal strength fifty blocks multiply rounding errors, to more than 1e-4 of the answer: float32 and
    float64 differ by as much, halves or no halves.
    """
    for module in model.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            nn.init.constant_(getattr(module, "bn3", module.bn2).weight, 0.2)
        elif isinstance(module, ResBottleneckBlock):
            nn.init.constant_(module.f.c[1].weight, 0.2)


def _specimens() -> dict[str, Specimen]:
    vision = import_torchvision().models
    kinds = (
        (vision, image_network),
        (vision.segmentation, segmentation),
        (vision.video, video),
        (vision.optical_flow, optical_flow),
    )
    return {
        name: Specimen(partial(build, name=name), ALL_FORMATS if name in _ALL_FORMATS else ("torchscript",), name in _BIG)
        for module, build in kinds
        for name in vision.list_models(module)
    }


MODELS = _specimens()
