"""What tensors of trained networks take on the wire under each codec, and how long coding takes.

The published networks come without weights here, and random weights give other activations than trained ones; so bytes a
value are measured on the trained networks of `examples.trained`, apart for tensors that were rectified (many zeros, none
negative) and for others, and applied to tensors of those kinds in the published networks.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
import torch

from benchmarks.refined_blocks import NS_PER_S, rectified_tensors
from benchmarks.wire import Form, Wire
from cic.codec.registry import codec
from cic.trace.torch_trace import TracedModel, trace
from examples import trained

# Smaller tensors say more about headers than about values.
FEWEST_VALUES = 2_000
TIMED_VALUES = (8_192, 65_536, 262_144, 802_816)
PHOTOGRAPH_QUALITY = 90


@dataclass(frozen=True)
class CodecFigures:
    """Medians over tensors of one kind under one codec.

    bytes_a_value, entropy_bytes_a_value: what it takes, and the empirical entropy of its symbols taken alone (for codecs with
    symbols). encode_ns, decode_ns: (constant, ns a value) on this machine.
    """

    codec: str
    kind: str
    tensors: int
    bytes_a_value: float
    entropy_bytes_a_value: float | None
    encode_ns: tuple[float, float]
    decode_ns: tuple[float, float]

    def form(self, values: int, device_slowdown: float, server_slowdown: float) -> Form:
        """Of a tensor of so many values, on machines so many times slower than this one."""
        (encode_start, encode_each), (decode_start, decode_each) = self.encode_ns, self.decode_ns
        return Form(
            round(self.bytes_a_value * values),
            (encode_start + encode_each * values) * device_slowdown / NS_PER_S,
            (decode_start + decode_each * values) * server_slowdown / NS_PER_S,
        )


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
            encode_ns, decode_ns = _timed(name, chosen)
            ratios = [len(codec(name).encode(array)) / array.size for array in chosen]
            bounds = [bound for array in chosen if (bound := _entropy(name, array)) is not None]
            bound = median(bounds) if bounds else None
            figures.append(CodecFigures(name, kind, len(chosen), median(ratios), bound, encode_ns, decode_ns))
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


def _timed(name: str, arrays: Sequence[np.ndarray[Any, Any]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """(constant, ns a value) of encoding and of decoding: a line through medians at a few sizes of real values."""
    values = np.concatenate([array.reshape(-1) for array in arrays])
    values = np.tile(values, -(-TIMED_VALUES[-1] // len(values)))
    encode, decode = [], []
    for size in TIMED_VALUES:
        array = values[:size].reshape(1, 32, size // 1024, 32)
        payload = codec(name).encode(array)
        encode.append(_median_ns(partial(codec(name).encode, array)))
        decode.append(_median_ns(partial(codec(name).decode, payload, array.shape, "float32")))
    return _line(encode), _line(decode)


def _median_ns(run: Any, rounds: int = 9) -> float:
    times = []
    for _ in range(rounds):
        started = perf_counter_ns()
        run()
        times.append(perf_counter_ns() - started)
    return median(times)


def _line(times_ns: Sequence[float]) -> tuple[float, float]:
    """Least squares of the relative error, neither figure below 0."""
    sizes = np.asarray(TIMED_VALUES, dtype=float)
    weights = 1 / np.asarray(times_ns)
    rows = np.stack([np.ones_like(sizes), sizes], axis=1) * weights[:, None]
    (constant, each), *_ = np.linalg.lstsq(rows, np.ones_like(sizes), rcond=None)
    if constant < 0 or each < 0:
        return 0.0, float(median(np.asarray(times_ns) / sizes))
    return float(constant), float(each)


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
    name: str, figures: Sequence[CodecFigures], codecs: Sequence[str], picture_bytes: Any, slowdowns: tuple[float, float]
) -> Wire:
    """Tensors under the fastest of some codecs, with sizes and times as measured.

    slowdowns: how many times slower device and server code than this machine.
    """
    by_kind = {kind: [figure for figure in figures if figure.kind == kind and figure.codec in codecs] for kind in (*KINDS, ANY)}

    def forms(values: int, rectified: bool | None) -> Sequence[Form]:
        kind = ANY if rectified is None else "rectified" if rectified else "signed"
        return tuple(figure.form(values, *slowdowns) for figure in by_kind[kind])

    return Wire(name, forms, picture_bytes)


def as_rows(figures: Sequence[CodecFigures]) -> list[dict[str, Any]]:
    """Plain values."""
    return [asdict(figure) for figure in figures]
