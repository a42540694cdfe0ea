"""Families of ops: kinds that a library computes in the same way, so that figures fitted to some hold for all of them.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

# The first pattern that fits a whole kind names the family.
_FAMILIES = (
    ("convolution", r"conv(_?\dd|olution)?"),
    ("transposed convolution", r"conv_transpose(\dd)?"),
    ("deformable convolution", r".*deform_conv.*"),
    ("matrix product", r"linear|matmul|mm|int_mm|bmm|addmm|baddbmm|addbmm|mv|addmv|dot|vdot|inner|bilinear|tensordot|einsum"),
    ("attention", r".*attention.*"),
    ("lstm", r"lstm|mkldnn_rnn_layer"),
    ("gru", r"gru"),
    ("rnn", r"rnn_(tanh|relu)"),
    ("recurrent cell", r"(lstm|gru|rnn_tanh|rnn_relu)_cell"),
    ("normalisation", r"(layer|group|instance|rms|local_response)_norm|normalize|.*norm_of_batch"),
    ("pooling", r"(max|avg|lp)_pool(\dd)?(_with_indices)?|adaptive_(avg|max)_pool(\dd)?"),
    ("softmax", r"(log_)?softmax"),
    ("reduction", r"reduce_\w+|mean|sum|var|std|var_mean|std_mean|amax|amin|max|min|argmax|argmin|norm|linalg_vector_norm|prod"
                  r"|any|all|logsumexp"),
    ("scaling", r"upsample_(nearest|bilinear|linear)(\dd)?"),
    ("look-up", r"embedding|gather|index|index_select"),
    ("layout", r"cat|stack|split|chunk|split_with_sizes|unbind|select|slice|narrow|expand|repeat|(constant_)?pad(_nd)?|roll"
               r"|flip|tile|clone|contiguous|copy|view|reshape|permute|transpose|flatten|squeeze|unsqueeze|getitem|full|zeros|ones"
               r"|arange|shape|size|range|constant_of_shape|identity|tensor_split|channel_shuffle|pixel_shuffle"
               r"|pixel_unshuffle|depth_to_space|space_to_depth|full_like|zeros_like|ones_like|movedim|unflatten|new_zeros"),
    ("fourier transform", r"fft_\w+|stft|istft"),
    ("linear algebra", r"linalg_\w+|cholesky\w*|matrix_exp|det|inverse|triangular_solve|lu_\w+"),
    ("sorting", r"sort|argsort|topk|kthvalue|median|nanmedian|msort|unique\w*|searchsorted"),
    ("loop", r"loop|scan|while_loop|map_impl|map|associative_scan"),
    ("branch", r"cond"),
)  # fmt: skip
_PATTERNS = tuple((family, re.compile(pattern)) for family, pattern in _FAMILIES)
# One pass over memory, whatever is computed on the way.
_PASSES_NAMES = (
    "batch_norm native_batch_norm_legit_no_training relu relu6 leaky_relu prelu elu selu celu gelu silu mish hardtanh hardswish"
    " hardsigmoid threshold sigmoid tanh softplus softsign log_sigmoid logit dropout add sub rsub mul div true_divide addcmul"
    " addcdiv lerp pow square sqrt rsqrt exp log erf sin cos abs neg sign reciprocal floor ceil round clamp clamp_min clamp_max"
    " clip maximum minimum remainder masked_fill where eq ne lt le gt ge logical_not logical_and logical_or bitwise_not"
    " bitwise_and bitwise_or to type_as quantize_linear dequantize_linear dynamic_quantize_linear quick_gelu in_place"
)
_PASSES = frozenset(_PASSES_NAMES.split())
_PRODUCTS = frozenset(
    ["convolution", "transposed convolution", "deformable convolution", "matrix product", "attention", "lstm", "gru", "rnn",
     "recurrent cell", "linear algebra", "loop", "branch"]
)  # fmt: skip


@lru_cache(maxsize=4096)
def family_of(kind: str) -> str:
    """The family of a kind of op; "one pass" for elementwise ops, and the kind itself where it belongs to none."""
    name = kind.strip("_")
    if kind in _PASSES or name in _PASSES:
        return "one pass"
    return next((family for family, pattern in _PATTERNS if pattern.fullmatch(name)), kind)


def families_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """The families of several kinds, each once, in order."""
    return tuple(dict.fromkeys(family_of(kind) for kind in kinds))


def multiplies(kinds: Iterable[str]) -> bool:
    """Tell whether a run of these kinds is bound by multiplications, so that it matters which type they are done in."""
    return any(family in _PRODUCTS for family in families_of(kinds))
