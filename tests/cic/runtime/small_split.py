"""What tests with the emitted small model share: a link without delay, and the whole model's answer."""

from __future__ import annotations

import torch

import cic
from cic.decision.conditions import Conditions
from tests.cic.conftest import Project

FAST = Conditions(1e9, 1e9, 0.0)


def whole_answer(project: Project, image: torch.Tensor) -> torch.Tensor:
    return cic.load_cut(project.split, "device-only").head(image)[0]
