"""Torchvision networks with random weights, traced and priced for a device and a server of the catalogue."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import torch

import cic
from cic.compilation.lowering import Lowered, bounds, lower
from cic.cost.pricing import price, resolve
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from codegen.torchvision_import import import_torchvision
from compress.reduction import Reduction
from compress.schedule import compress

DEVICE, SERVER = "raspberry-pi-4b", "tesla-v100"

# One or two of each family that splits differ in: chains, residual and dense blocks, branches, attention.
ZOO = (
    "resnet18",
    "resnet50",
    "resnet152",
    "densenet121",
    "densenet201",
    "googlenet",
    "inception_v3",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "vit_b_16",
    "swin_t",
)
# Twenty with the rest of the families.
TWENTY = (
    *ZOO,
    "alexnet",
    "vgg16",
    "squeezenet1_1",
    "mnasnet1_0",
    "shufflenet_v2_x1_0",
    "regnet_y_400mf",
    "resnext50_32x4d",
    "convnext_tiny",
    "mobilenet_v2",
)


@dataclass(frozen=True)
class ZooModel:
    """A traced network between `DEVICE` and `SERVER`."""

    name: str
    traced: TracedModel

    @cached_property
    def lowered(self) -> Lowered:
        graph = self.traced.graph
        return lower(graph, price(graph, resolve(DEVICE)), price(graph, resolve(SERVER)))

    @cached_property
    def splitting_model(self) -> SplittingModel:
        return cic.compile(self.traced, device=DEVICE, server=SERVER)

    def compressed(self, uncertainty: float = 0.0) -> Reduction:
        """The graph after the rules, exact for op times that are off by up to `uncertainty`."""
        return compress(self.lowered.problem, bounds(Box(), uncertainty)).reduction


def classification_models() -> list[str]:
    """Every classification network that torchvision has."""
    models = import_torchvision().models
    return list(models.list_models(models))


def load(name: str) -> ZooModel:
    """Build a network and trace it on one image."""
    models = import_torchvision().models
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = models.get_model(name, weights=None, **extra).eval()
        image = torch.rand(1, 3, *[299 if name == "inception_v3" else 224] * 2)
        return ZooModel(name, trace(model, (image,), name=name))
