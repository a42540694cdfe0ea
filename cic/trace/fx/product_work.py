"""Floating-point operations of products in torch: convolution, matrix product, attention, recurrence, and linear algebra.

A formula takes the arguments by name, traced values in place of nodes, and the first result; multiply and add count apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils import flop_counter

from cic.trace.einsum_work import einsum_flops
from cic.trace.element_work import fourier_flops
from cic.trace.recurrent_work import CELLS, LAYERS, cell_flops, layer_flops

Formula = Callable[[dict[str, Any], torch.Tensor], int]


def _convolution(bound: dict[str, Any], out: torch.Tensor) -> int:
    x, weight = bound["input"], bound["weight"]
    transposed = bool(bound.get("transposed", "output_padding" in bound))
    count = flop_counter.conv_flop_count(list(x.shape), list(weight.shape), list(out.shape), transposed=transposed)
    return count + (out.numel() if bound.get("bias") is not None else 0)


def _deformed_convolution(bound: dict[str, Any], out: torch.Tensor) -> int:
    """A convolution whose every sample is interpolated between four values, once for each input channel."""
    weight: torch.Tensor = bound["weight"]
    channels: int = bound["input"].shape[1]
    samples = channels * out.numel() // out.shape[1] * math.prod(weight.shape[2:])
    return 2 * out.numel() * math.prod(weight.shape[1:]) + 8 * samples


def _linear(bound: dict[str, Any], out: torch.Tensor) -> int:
    weight: torch.Tensor = bound["weight"]
    return 2 * out.numel() * weight.shape[-1] + (out.numel() if bound.get("bias") is not None else 0)


def _product(left: str, extra: int) -> Formula:
    """Return the formula for a matrix product whose left factor is the argument `left`, plus `extra` per element."""
    return lambda bound, out: out.numel() * (2 * bound[left].shape[-1] + extra)


def _summed_product(bound: dict[str, Any], out: torch.Tensor) -> int:
    left: torch.Tensor = bound["batch1"]
    batches, _, inner = left.shape
    return 2 * batches * inner * out.numel() + out.numel()


def _bilinear(bound: dict[str, Any], out: torch.Tensor) -> int:
    weight: torch.Tensor = bound["weight"]
    return 2 * out.numel() * math.prod(weight.shape[1:])


def _contraction(bound: dict[str, Any], out: torch.Tensor) -> int:
    inner: int = math.prod(bound["self"].shape[dim] for dim in bound["dims_self"])
    return 2 * out.numel() * inner


def _chain(bound: dict[str, Any], _out: torch.Tensor) -> int:
    """Products from left to right; the best order may need fewer."""
    factors = bound["tensors"] if "tensors" in bound else bound["matrices"]
    rows, total = factors[0].shape[0] if factors[0].dim() > 1 else 1, 0
    for factor in factors[1:]:
        total += 2 * rows * factor.numel()
    return total


def _attention(bound: dict[str, Any], _out: torch.Tensor) -> int:
    query, key, value = (tuple[int, ...](bound[name].shape) for name in ("query", "key", "value"))
    scores = math.prod(query[:-1]) * key[-2]
    return 2 * scores * query[-1] + 7 * scores + 2 * scores * value[-1]


def _einsum(bound: dict[str, Any], _out: torch.Tensor) -> int:
    return einsum_flops(bound["equation"], [tuple(tensor.shape) for tensor in bound["tensors"]])


def _distances(bound: dict[str, Any], out: torch.Tensor) -> int:
    return 3 * out.numel() * int(bound["x1"].shape[-1])


def _fourier(bound: dict[str, Any], out: torch.Tensor) -> int:
    source = bound["self"]
    dims = bound.get("dim", -1)
    dims = range(source.dim()) if dims is None else dims if isinstance(dims, list | tuple) else [dims]
    # The longer of what goes in and out: transforms of real values keep half of the answers.
    longer = source if source.numel() >= out.numel() else out
    return fourier_flops(longer.numel(), math.prod(longer.shape[dim] for dim in dims))


def _short_time_fourier(bound: dict[str, Any], out: torch.Tensor) -> int:
    """Overlapping pieces of one signal, each transformed; a real result shows a complex value as two numbers."""
    length = int(bound["n_fft"])
    values = out.numel() if out.is_complex() else out.numel() // 2
    return fourier_flops(values // (length // 2 + 1) * length, length)


def _decomposition(factor: float) -> Formula:
    """Return the formula for a decomposition of (m, n) matrices: `factor` times m n min(m, n), each of a batch."""

    def count(bound: dict[str, Any], _out: torch.Tensor) -> int:
        matrix = next(value for value in bound.values() if isinstance(value, torch.Tensor))
        rows, columns = matrix.shape[-2:]
        return math.ceil(factor * matrix.numel() * min(rows, columns))

    return count


def _solution(bound: dict[str, Any], out: torch.Tensor) -> int:
    """An LU decomposition, and two substitutions for each right side."""
    matrix: torch.Tensor = bound["A"]
    order = matrix.shape[-1]
    return math.ceil(2 / 3 * matrix.numel() * order) + 2 * order * out.numel()


def _substitution(bound: dict[str, Any], out: torch.Tensor) -> int:
    matrix = bound["A"] if "A" in bound else bound["input2"]
    return int((1 if "A" in bound else 2) * matrix.shape[-1] * out.numel())


# Of LAPACK's algorithms, with vectors where the op returns them; in units of m n min(m, n) (Golub and Van Loan, 4th edition).
_DECOMPOSITIONS = {
    "linalg_cholesky": 1 / 3, "linalg_cholesky_ex": 1 / 3, "cholesky": 1 / 3, "linalg_lu": 2 / 3, "linalg_lu_factor": 2 / 3,
    "linalg_lu_factor_ex": 2 / 3, "linalg_det": 2 / 3, "_linalg_det": 2 / 3, "det": 2 / 3, "linalg_slogdet": 2 / 3,
    "_linalg_slogdet": 2 / 3, "linalg_inv": 2, "linalg_inv_ex": 2, "inverse": 2, "linalg_qr": 4, "linalg_eigh": 9,
    "_linalg_eigh": 9, "linalg_eig": 25, "linalg_svd": 20, "_linalg_svd": 20, "linalg_svdvals": 4, "linalg_pinv": 22,
    "matrix_exp": 16, "linalg_matrix_exp": 16, "linalg_matrix_power": 4, "linalg_lstsq": 4, "linalg_eigvalsh": 4 / 3,
}  # fmt: skip
_TRANSFORMS = "fft_r2c fft_c2r fft_c2c fft_fft fft_ifft fft_rfft fft_irfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn"
_TRANSFORMS += " fft_ifftn fft_rfftn fft_irfftn fft_hfft fft_ihfft"

PRODUCTS: dict[str, Formula] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolution),
    "deform_conv2d": _deformed_convolution,
    "linear": _linear,
    "mm": _product("self", 0),
    "int_mm": _product("self", 0),
    "bmm": _product("self", 0),
    "matmul": _product("self", 0),
    "inner": _product("self", 0),
    "mv": lambda bound, out: 2 * bound["self"].numel(),
    "addmv": lambda bound, out: 2 * bound["mat"].numel() + out.numel(),
    "dot": lambda bound, out: 2 * bound["self"].numel(),
    "vdot": lambda bound, out: 2 * bound["self"].numel(),
    "addmm": _product("mat1", 1),
    "baddbmm": _product("batch1", 1),
    "addbmm": _summed_product,
    "bilinear": _bilinear,
    "tensordot": _contraction,
    **dict.fromkeys(("chain_matmul", "linalg_multi_dot"), _chain),
    "einsum": _einsum,
    **dict.fromkeys(("cdist", "cdist_forward", "_euclidean_dist"), _distances),
    **dict.fromkeys(LAYERS, layer_flops),
    **dict.fromkeys(CELLS, cell_flops),
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(_TRANSFORMS.split(), _fourier),
    "stft": _short_time_fourier,
    **{name.strip("_"): _decomposition(factor) for name, factor in _DECOMPOSITIONS.items()},
    "linalg_solve": _solution,
    "linalg_solve_ex": _solution,
    **dict.fromkeys(("linalg_solve_triangular", "triangular_solve", "cholesky_solve"), _substitution),
}
