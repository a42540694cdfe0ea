"""The five networks of `examples/trained`, on rendered pictures."""

from __future__ import annotations

import torch

from benchmarks.pay.real_network import RealNetwork
from examples import trained

CALIBRATION, HELD_OUT = 1500, 500


def load(name: str) -> RealNetwork:
    """One of `trained.names()`; it is trained first if its weights are not there."""
    network = trained.load(name, calibration=CALIBRATION, held_out=min(HELD_OUT, 200) if name == "unet" else HELD_OUT)
    calibration, held_out = ([(pictures,) for pictures, _ in part] for part in (network.calibration, network.held_out))
    assert all(isinstance(pictures, torch.Tensor) for (pictures,) in calibration)
    return RealNetwork(name, network.model, network.input, calibration, held_out, None, "classes of rendered pictures")
