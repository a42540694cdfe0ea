"""Work of ops that are no product, by what the op is called: one table for both front ends, so that both price alike.

Everything is counted in operations per element, roughly: on the machines CIC is for, these ops are bound by memory, not by
arithmetic. Names are those of torch's operators; `cic.trace.onnx.work` translates ONNX's.
"""

from __future__ import annotations

import math
import re

# Operations per element of the output, exponentials counted as 4.
_PER_OUTPUT = {
    "batch_norm": 2, "layer_norm": 8, "group_norm": 8, "instance_norm": 8, "rms_norm": 6, "normalize": 4,
    "local_response_norm": 8, "softmax": 7, "log_softmax": 7, "sigmoid": 6, "tanh": 8, "silu": 7, "gelu": 12, "mish": 14,
    "elu": 6, "selu": 7, "celu": 6, "softplus": 9, "hardswish": 5, "hardsigmoid": 4, "exp": 4, "log": 4, "pow": 4, "erf": 8,
    "sin": 4, "cos": 4, "sqrt": 2, "rsqrt": 3, "logit": 6, "log_sigmoid": 9,
    "upsample_nearest1d": 0, "upsample_nearest2d": 0, "upsample_nearest3d": 0, "upsample_linear1d": 4,
    "upsample_bilinear2d": 8, "upsample_trilinear3d": 16, "upsample_bicubic2d": 32, "grid_sampler": 16, "roi_align": 32,
    "quantize_linear": 3, "dequantize_linear": 2, "dynamic_quantize_linear": 5,
}  # fmt: skip
# Operations per element of the first input, once each.
_PER_INPUT = re.compile(
    r"reduce_.*|mean|sum|nansum|var|std|var_mean|std_mean|amax|amin|aminmax|max|min|argmax|argmin|norm|linalg_vector_norm|prod"
    r"|cumsum|cumprod|cummax|cummin|logcumsumexp|logsumexp|any|all|count_nonzero|nonzero|adaptive_(avg|max)_pool\dd"
    r"|batch_norm_of_batch|instance_norm_of_batch|histc|bincount|diff|trapezoid|embedding_bag|segment_reduce"
    r"|mean_variance_normalization|hardmax|scatter_add|scatter_reduce|index_add|col2im|fold"
)
# Comparisons: as many as elements times the logarithm of how many are put in order at a time.
_SORTS_NAMES = "sort argsort topk kthvalue median nanmedian msort unique _unique2 unique_consecutive searchsorted"
_SORTS = frozenset(_SORTS_NAMES.split())
_MOVES_NAMES = (
    "cat stack split chunk split_with_sizes unbind select slice narrow expand repeat repeat_interleave index index_select"
    " gather take embedding pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d roll flip tile clone"
    " contiguous to _to_copy view reshape permute transpose flatten squeeze unsqueeze unflatten getitem where masked_fill full"
    " zeros ones arange copy tensor_split im2col unfold pixel_shuffle pixel_unshuffle index_put scatter tril triu diagonal"
    " channel_shuffle identity gather_elements gather_nd space_to_depth depth_to_space shape size constant_of_shape range"
    " reverse_sequence compress dropout cast_like scatter_nd scatter_elements one_hot select_scatter slice_scatter meshgrid"
)
_MOVES = frozenset(_MOVES_NAMES.split())
# Of a table that is only looked things up in, no more is read than comes out.
_LOOK_UPS_NAMES = "embedding embedding_bag index index_select gather take select slice narrow gather_elements gather_nd"
_LOOK_UPS = frozenset(_LOOK_UPS_NAMES.split())
_COMPLEX_OPERATIONS = 4  # a complex product is four real ones and two additions; a sum is two


def moves_only(kind: str) -> bool:
    """Tell whether ops of this kind move or choose data and compute nothing."""
    return kind in _MOVES


def looks_up(kind: str) -> bool:
    """Tell whether ops of this kind read of their first input only what comes out."""
    return kind in _LOOK_UPS


def element_flops(kind: str, made: int, read: int, longest: int = 0) -> int:
    """Operations of an op that makes `made` elements of `read`; `longest`: how many are put in order at a time, if it sorts."""
    name = kind.strip("_")
    if kind in _MOVES or name in _MOVES:
        return 0
    if kind in _SORTS:
        return read * max(1, math.ceil(math.log2(max(longest or read, 2))))
    if _PER_INPUT.fullmatch(name):
        return read
    return made * _PER_OUTPUT.get(name, 1)


def fourier_flops(elements: int, length: int) -> int:
    """Operations of Fourier transforms of `elements` values in all, each over `length` of them: the usual 5 n log2 n."""
    return math.ceil(5 * elements * math.log2(max(length, 2)))


def arithmetic_of(dtype: str) -> str:
    """The type that products of values of `dtype` are calculated in, by name; quantised values all as "int8"."""
    return "int8" if dtype in ("uint8", "int8", "int4", "uint4", "int2", "uint2", "quint8", "qint8") else dtype


def operations_per_flop(dtype: str) -> int:
    """How many real operations one of the given type takes."""
    return _COMPLEX_OPERATIONS if dtype.startswith("complex") else 1
