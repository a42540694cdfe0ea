"""A call of a model with arrays of numpy, for devices without torch: drawn as its example was, or read from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cic.codec.tensors import carrier, of_floats
from cic.decision.stored_graph import StoredCall, StoredInput
from cic.errors import ArtifactError, CodecError, InputError
from codegen.calls.structure import rebuild
from codegen.errors import CodegenError

SEED = 0
FILES = (".npy", ".npz")
Call = tuple[tuple[Any, ...], dict[str, Any]]


def drawn_call(call: StoredCall) -> Call:
    """A call like the one described: same nesting, shapes and types, values drawn from the same range, seed fixed.

    Raises ArtifactError if the description is damaged.
    """
    draw = np.random.default_rng(SEED)
    try:
        made = rebuild(call.structure, [_drawn(tensor, draw) for tensor in call.tensors])
        return tuple(made["args"]), dict(made["kwargs"])
    except (KeyError, TypeError, ValueError, AttributeError, CodegenError, CodecError) as error:
        raise ArtifactError(f"the description of the inputs is damaged ({error!r}); compile again") from error


def read_call(paths: Sequence[str]) -> Call:
    """The arguments that .npy and .npz files hold, in their order.

    Raises InputError for a file that cannot be read as such, or holds no array.
    """
    arrays: list[NDArray[Any]] = []
    for path in paths:
        try:
            loaded: Any = np.load(Path(path), allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                arrays.append(loaded)
                continue
            with loaded:
                arrays += [loaded[name] for name in loaded.files]
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} cannot be read as arrays of numpy: {error}") from error
    return tuple(arrays), {}


def _drawn(tensor: StoredInput, draw: np.random.Generator) -> NDArray[Any]:
    held, values = carrier(tensor.dtype, tensor.name), tensor.values
    if "low" in values:
        whole: NDArray[Any] = draw.integers(int(values["low"]), int(values["high"]), tensor.shape, endpoint=True).astype(held)
        return whole
    normal = draw.standard_normal(tensor.shape) * values.get("deviation", 1.0) + values.get("mean", 0.0)
    if tensor.dtype == "bfloat16":
        return of_floats(np.ascontiguousarray(normal, np.float32), tensor.dtype)
    if held.name != tensor.dtype:
        return np.zeros(tensor.shape, held)
    drawn: NDArray[Any] = normal.astype(held)
    return drawn
