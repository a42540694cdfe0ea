"""The real networks by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.pay import photographs, speech_network, text_networks, trained_pictures
from benchmarks.pay.real_network import RealNetwork
from examples import trained

LOADERS: dict[str, Callable[[Path], RealNetwork]] = {
    "efficientnet-lite0": photographs.load,
    "text-finder": text_networks.load_finder,
    "text-reader": text_networks.load_reader,
    "speech-detector": speech_network.load,
    **{name: partial(lambda name, _: trained_pictures.load(name), name) for name in trained.names()},
}
