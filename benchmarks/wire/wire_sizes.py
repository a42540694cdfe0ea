"""What tensors of trained networks take on the wire under each codec.

The published networks come without weights here, and random weights give other activations than trained ones; so bytes a
value are measured on the trained networks of `examples.trained`, apart for tensors that were rectified (many zeros, none
negative) and for others, and applied to tensors of those kinds in the published networks.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.wire.forms import Form, Wire
from benchmarks.wire.refined_blocks import DEVICE, SERVER, rectified_tensors
from cic.codec.registry import codec
from cic.cost.catalogue import machine
from cic.cost.machine import Machine
from cic.cost.predicted_costs import PredictedCosts
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from examples import trained

# Smaller tensors say more about headers than about values.
FEWEST_VALUES = 2_000
PHOTOGRAPH_QUALITY = 90


@dataclass(frozen=True)
class CodecFigures:
    """Medians over tensors of one kind under one codec.

    tensors: how many. bytes_a_value, entropy_bytes_a_value: what it takes, and the empirical entropy of its symbols taken alone
    (for codecs with symbols).
    """

    codec: str
    kind: str
    tensors: int
    bytes_a_value: float
    entropy_bytes_a_value: float | None

    def form(self, values: int, device: Machine, server: Machine) -> Form:
        """Of a tensor of so many values, encoded on one machine and decoded on the other."""
        size = round(self.bytes_a_value * values)
        encode_s, _ = PredictedCosts(device).codec_seconds(self.codec, values, size)
        _, decode_s = PredictedCosts(server).codec_seconds(self.codec, values, size)
        return Form(size, encode_s, decode_s)


KINDS = {"rectified": True, "signed": False}
ANY = "any"


def measure(names: Sequence[str], codecs: Sequence[str], pictures: int = 8) -> list[CodecFigures]:
    """Every codec on the tensors that trained networks make of a few pictures."""
    return figures_of([each for name in names for each in activations(name, pictures)], codecs)


def figures_of(tensors: Sequence[tuple[np.ndarray[Any, Any], bool]], codecs: Sequence[str]) -> list[CodecFigures]:
    """Every codec on tensors of either kind, and on both together. tensors: (values, whether they were rectified)."""
    figures = []
    for name in codecs:
        for kind in (*KINDS, ANY):
            chosen = [array for array, rectified in tensors if kind == ANY or KINDS[kind] == rectified]
            ratios = [len(codec(name).encode(array)) / array.size for array in chosen]
            bounds = [bound for array in chosen if (bound := _entropy(name, array)) is not None]
            bound = median(bounds) if bounds else None
            figures.append(CodecFigures(name, kind, len(chosen), median(ratios), bound))
    return figures


def activations(name: str, pictures: int) -> list[tuple[np.ndarray[Any, Any], bool]]:
    """The tensors that ops of a trained network make of calibration pictures, and whether each was rectified."""
    network = trained.load(name, calibration=pictures, held_out=1)
    traced = trace(network.model, (network.calibration[0][0],), name=name)
    rectified = rectified_tensors(traced.graph)
    wanted = {tensor.name for tensor in traced.graph.tensors if tensor.producer and tensor.bytes >= 4 * FEWEST_VALUES}
    return [
        (value, rectified[tensor])
        for images, _ in network.calibration
        for tensor, value in _values(traced, images)
        if tensor in wanted
    ]


def _values(traced: TracedModel, images: torch.Tensor) -> Iterable[tuple[str, np.ndarray[Any, Any]]]:
    """Every value of the traced module by its node's name."""
    kept: list[tuple[str, np.ndarray[Any, Any]]] = []

    class Recorder(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            value = super().run_node(n)
            if isinstance(value, torch.Tensor) and n.op.startswith("call"):
                kept.append((n.name, np.array(value.numpy())))
            return value

    with torch.inference_mode():
        Recorder(traced.module).run(images)
    return kept


def _entropy(name: str, array: np.ndarray[Any, Any]) -> float | None:
    """Bytes a value of the symbols of an affine codec, each coded alone at its empirical entropy; None for other codecs."""
    plain = name.partition("+")[0]
    if not plain.startswith("int"):
        return None
    # Equal symbols are equal values again after decoding.
    decoded = codec(plain).decode(codec(plain).encode(array), array.shape, "float32")
    _, counts = np.unique(decoded, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum() / 8)


def photograph_bytes(sides: Iterable[int], quality: int = PHOTOGRAPH_QUALITY) -> dict[int, int]:
    """Mean bytes of photographs of so many pixels a side as JPEG: the two that scikit-learn carries, their middle."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    sizes: dict[int, int] = {}
    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    for side in sides:
        lengths = []
        for photograph in photographs:
            edge = min(photograph.size)
            left, top = (photograph.width - edge) // 2, (photograph.height - edge) // 2
            file = io.BytesIO()
            photograph.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + edge, top + edge)).save(
                file, "JPEG", quality=quality
            )
            lengths.append(file.tell())
        sizes[side] = round(sum(lengths) / len(lengths))
    return sizes


def measured_wire(
    name: str, figures: Sequence[CodecFigures], codecs: Sequence[str], picture_bytes: Callable[[int], int]
) -> Wire:
    """Tensors under the fastest of some codecs, with sizes as measured and CIC's own codec times for the published machines."""
    device, server = machine(DEVICE), machine(SERVER)
    by_kind = {kind: [figure for figure in figures if figure.kind == kind and figure.codec in codecs] for kind in (*KINDS, ANY)}

    def forms(values: int, rectified: bool | None) -> Sequence[Form]:
        kind = ANY if rectified is None else "rectified" if rectified else "signed"
        return tuple(figure.form(values, device, server) for figure in by_kind[kind])

    return Wire(name, forms, picture_bytes)


def as_rows(figures: Sequence[CodecFigures]) -> list[dict[str, Any]]:
    """Plain values."""
    return [asdict(figure) for figure in figures]
