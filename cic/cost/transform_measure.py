"""Measured times of transform codecs: of the numbers they handle, the bytes they make, and their products. Needs numpy."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.optimize import nnls

from cic.codec.transform.integer_transform import Transform
from cic.codec.transform.rans import tables_for
from cic.codec.transform.transform_codec import TransformCodec, transform_codec
from cic.cost.codec_time import PRODUCTS, TRANSFORM, CodecTime, Rate
from cic.cost.timing import Run, take_turns, total_pace

# Values of a block, components, blocks of a tensor, and the mean magnitude of a symbol: small and large ones of each.
EXAMPLES = (
    (16, 16, 1024, 2.0),
    (32, 8, 256, 0.5),
    (40, 40, 784, 0.5),
    (160, 40, 196, 4.0),
    (160, 160, 196, 0.5),
    (512, 128, 64, 1.0),
    (512, 512, 128, 0.2),
    (256, 16, 16, 1.0),
)


def measure_transforms(*, budget_s: float = 0.002) -> tuple[CodecTime, CodecTime]:
    """Times of transforms on this machine, under the names that `cic.cost.coding_time.transform_seconds` asks for."""
    rows, runs = [], list[Run]()
    for values, components, blocks, magnitude in EXAMPLES:
        used, tensor = example(values, components, blocks, magnitude)
        payload = bytes(used.encode(tensor))
        used.decode(payload, tensor.shape, "float32")  # what is compiled or computed once is not measured
        work = used.work(tensor.shape)
        rows.append((1.0, float(work.numbers), float(len(payload)), float(work.products)))
        runs += [partial(used.encode, tensor), partial(used.decode, payload, tensor.shape, "float32")]
    session = take_turns(runs, budget_s * len(runs))
    pace = total_pace([session])
    seconds = [pace.seconds(timing) for timing in session.timings]
    (handled, multiplied), (read, combined) = (_rates(rows, each) for each in (seconds[::2], seconds[1::2]))
    return CodecTime(TRANSFORM, handled, read), CodecTime(PRODUCTS, multiplied, combined)


def example(values: int, components: int, blocks: int, magnitude: float) -> tuple[TransformCodec, np.ndarray]:
    """A transform whose symbols have about that magnitude, and float32[blocks, values] for it; the same every time."""
    draw = np.random.default_rng(values * components)
    directions = np.linalg.qr(draw.standard_normal((values, components)))[0]
    tensor = draw.laplace(0, magnitude, (blocks, components)) @ directions.T
    tables = tables_for(np.rint(draw.laplace(0, magnitude, (components, 4096))).astype(np.int64))
    whole = np.rint(directions * 2.0**14).astype(np.int64)
    shifts = np.full(components, 28)
    transform = Transform(
        (1, values), whole.T, whole, np.zeros(values, np.int64), shifts, np.zeros(components, np.int64), 14, 14, tables
    )
    return transform_codec(1.0, transform)[0], tensor.astype(np.float32)


def _rates(rows: list[tuple[float, float, float, float]], seconds: list[float]) -> tuple[Rate, Rate]:
    """Of numbers and bytes, and of products, with the least sum of squared relative errors."""
    times = np.maximum(np.array(seconds), 1e-9)
    found, _ = nnls(np.array(rows) / times[:, None], np.ones(len(times)))
    fixed_s, number_s, byte_s, product_s = (float(f"{figure:.4g}") for figure in found)
    return Rate(fixed_s, number_s, byte_s), Rate(0.0, product_s, 0.0)
