"""Runs an ONNX file with ONNX Runtime, on the processor unless told; tensors of torch or arrays of numpy in, the same out.

torch is not imported here: a device that holds an `.onnx` head and feeds it arrays needs numpy and onnxruntime alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from codegen.errors import CodegenError
from codegen.files.leftovers import temporary_directory
from codegen.formats.emitter import Runner
from codegen.formats.onnx_values import from_ort, to_ort
from codegen.split import RETURNS_NOTHING, WireTensor
from codegen.weights.onnx_locations import check_beside, check_within
from codegen.weights.onnx_weights import BareGraph, Bytes, graph_beside
from codegen.weights.shared_weights import SMALLEST_BYTES

_ERRORS_ONLY = 3
# Kernels that are made for packed weights, and poor without.
_NEEDS_PACKING = re.compile("Quant|Integer|QLinear|QGemm|NBits|QAttention|MoE|LSTM|GRU|RNN")
_BESIDE = "weights-of-the-optimised-graph"
CAN_SHARE = hasattr(onnxruntime.SessionOptions, "add_external_initializers_from_files_in_memory")
PROCESSOR = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Execution:
    """On what a session runs.

    threads: inside an op; None: one per thread of torch if that is in use, else as many as ONNX Runtime likes.
    providers: execution providers by ONNX Runtime's names, the preferred one first. Ops that none of them has run on the
        processor.
    """

    threads: int | None = None
    providers: tuple[str, ...] = (PROCESSOR,)

    @property
    def on_processor(self) -> bool:
        """Does the processor run every op?"""
        return self.providers == (PROCESSOR,)


def open_session(
    source: Path | bytes, what: str, *, optimize: bool = True, execution: Execution = Execution()
) -> onnxruntime.InferenceSession:
    """Return a session; CodegenError naming `what` if the model cannot be loaded, or not by the preferred provider.

    source: the bytes of a model that holds all its weights, or the path of one with weights beside it. Others are refused.
    """
    if isinstance(source, bytes):
        check_within(source, what)
    else:
        check_beside(source, what)
    options = _options(_level(optimize), execution)
    return _session(source if isinstance(source, bytes) else str(source), what, options, execution)


def open_sharing(
    graph: BareGraph, what: str, *, optimize: bool = True, execution: Execution = Execution()
) -> tuple[onnxruntime.InferenceSession, list[Bytes]]:
    """Return a session that uses the pooled weights themselves, and these, which must outlive it; errors as `open_session`.

    Optimising may put weights into another layout, as it does for convolutions, or merge them. So a first session only
    optimises (`_optimised`), and a second one runs the result as it is; or it optimises the graph again, if there is none.

    With `optimize` the second session packs the weights of matrix products, which ONNX Runtime can share between sessions
    only from C: one copy more of these for each session. Without, it runs on the pooled weights alone.

    A provider other than the processor's optimises for itself, and copies the weights into memory of its own.
    """
    check_within(graph.content, what, graph.files)
    if not execution.on_processor:
        options = _options(_level(optimize), execution, graph)
        return _session(graph.content, what, options, execution), list(graph.files.values())
    rewritten = _optimised(graph, what, _level(optimize))
    level = _level(optimize) if rewritten is None else onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    graph = rewritten or graph
    options = _options(level, execution, graph)
    if not optimize and not any(map(_NEEDS_PACKING.search, graph.op_types())):
        options.add_session_config_entry("session.disable_prepacking", "1")
    # A planned block for all intermediate values makes a session keep twice their size between runs.
    options.enable_mem_pattern = False
    return _session(graph.content, what, options, execution), list(graph.files.values())


def _optimised(graph: BareGraph, what: str, level: onnxruntime.GraphOptimizationLevel) -> BareGraph | None:
    """Return what ONNX Runtime makes of a graph, the weights it made pooled in their turn.

    It is passed on through the directory for temporary files. None if there is no room for the weights, or if the result
    cannot be pooled (`graph_beside`).
    """
    options = _options(level, Execution(), graph)
    entries = {
        "session.optimized_model_external_initializers_file_name": _BESIDE,
        "session.optimized_model_external_initializers_min_size_in_bytes": str(SMALLEST_BYTES),
        "session.disable_prepacking": "1",
    }
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    try:
        with temporary_directory() as directory:
            optimized = directory / "optimized.onnx"
            options.optimized_model_filepath = str(optimized)
            _session(graph.content, what, options, Execution())
            return graph_beside(optimized, optimized.with_name(_BESIDE))
    except (OSError, CodegenError):  # a graph that is no good is found again, and told, by the session that is to run it
        return None


def _level(optimize: bool) -> onnxruntime.GraphOptimizationLevel:
    levels = onnxruntime.GraphOptimizationLevel
    return levels.ORT_ENABLE_ALL if optimize else levels.ORT_ENABLE_BASIC


def _options(
    level: onnxruntime.GraphOptimizationLevel, execution: Execution, graph: BareGraph | None = None
) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = _threads() if execution.threads is None else execution.threads
    options.graph_optimization_level = level
    if graph is not None and graph.files:
        # Without this entry, which older versions do not know, the bytes are copied.
        options.add_session_config_entry("session.use_external_initializer_file_buffers_directly", "1")
        arrays = list(graph.files.values())
        options.add_external_initializers_from_files_in_memory(
            list(graph.files), [array.data for array in arrays], [array.nbytes for array in arrays]
        )
    return options


def _session(
    model: bytes | str, what: str, options: onnxruntime.SessionOptions, execution: Execution
) -> onnxruntime.InferenceSession:
    try:
        session = onnxruntime.InferenceSession(model, options, providers=list(execution.providers))
    except Exception as error:  # onnxruntime has a dozen exception classes without a common root
        where = "on a processor" if execution.on_processor else f"with {execution.providers[0]}"
        raise CodegenError(
            f"{what} is not ONNX that onnxruntime {onnxruntime.__version__} can run {where}: {_first_line(error)}"
        ) from error
    # ONNX Runtime goes on without a provider whose libraries it cannot load.
    if session.get_providers()[0] != execution.providers[0]:
        raise CodegenError(
            f"onnxruntime {onnxruntime.__version__} was asked to run {what} with {execution.providers[0]} and took"
            f" {session.get_providers()[0]}: it cannot load what the former needs, such as its driver; choose the latter"
        )
    return session


def runner_of(
    session: onnxruntime.InferenceSession,
    what: str,
    weights: Sequence[Bytes] = (),
    inputs: Sequence[WireTensor] = (),
    *,
    arrays: bool = False,
) -> Runner:
    """Return a session as a function: positional tensors (or arrays) to a tuple of the same. It keeps `weights`.

    inputs: what the session was made for. ONNX Runtime takes any shape where a graph declares none, as for a 0-d tensor.
    arrays: takes and gives arrays alone, and types that numpy lacks as unsigned integers that hold their bits.
    """
    dtypes = [wire.dtype for wire in inputs] if arrays else [None] * len(session.get_inputs())
    names = [value.name for value in session.get_inputs()]
    scalars = [position for position, wire in enumerate(inputs) if wire.shape == ()]
    returns_nothing = RETURNS_NOTHING in session.get_modelmeta().custom_metadata_map

    def run(*values: Any, _kept: Sequence[Bytes] = tuple(weights)) -> tuple[Any, ...]:
        if len(values) != len(names):
            raise CodegenError(f"{what} takes {len(names)} tensors ({', '.join(names)}), got {len(values)}")
        for position in scalars:
            if tuple(values[position].shape):
                raise CodegenError(f"{what} takes a 0-d {names[position]}, got the shape {tuple(values[position].shape)}")
        feeds = {name: to_ort(value, dtype) for name, value, dtype in zip(names, values, dtypes, strict=True)}
        if returns_nothing:
            return ()
        try:
            results = session.run_with_ort_values(None, feeds)
        except Exception as error:
            raise CodegenError(f"onnxruntime cannot run {what}: {_first_line(error)}") from error
        # Without inputs there is nothing to take after: tensors then, if torch is at hand.
        as_arrays = arrays or (_all_arrays(values) if values else "torch" not in sys.modules)
        given = {value.data_ptr() for value in feeds.values()}
        return tuple(from_ort(result, given, as_array=as_arrays, as_bits=arrays) for result in results)

    return run


def _all_arrays(values: Sequence[Any]) -> bool:
    return all(isinstance(value, np.ndarray) for value in values)


def _threads() -> int:
    """Return torch's number of threads if torch is in use, else let the environment and the runtime choose (0)."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else 0


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
