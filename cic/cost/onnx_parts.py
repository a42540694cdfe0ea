"""Parts of ONNX graphs as runs to be timed: by ONNX Runtime, with any of its execution providers, or by OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import onnx_ir as ir

from cic.cost.timing import Run
from cic.engine.engine_name import EngineName
from cic.errors import EngineError
from codegen.errors import CodegenError
from codegen.formats.onnx_in_memory import file_of, session_of
from codegen.split import WireTensor

Values = Mapping[str, Any]
"""Values of ONNX Runtime, by name."""

Maker = Callable[[ir.Model, Values], Run]
"""Makes a run of a model on values of its inputs. Raises RuntimeError if the engine cannot run it."""


def onnx_maker(engine: EngineName, threads: int) -> tuple[Maker, str]:
    """What makes runs with an engine, and which version of it that is.

    Raises EngineError if the engine takes no ONNX, or does not have that place here.
    """
    if engine.kind == "openvino":
        return _openvino(engine.place, threads)
    if engine.kind != "onnxruntime":
        raise EngineError(f"ONNX is run by onnxruntime or openvino, not by {engine}; choose one of the two")
    import onnxruntime

    from cic.engine.onnx_runtime import loader

    execution = loader(engine.place, threads).execution

    def made(model: ir.Model, feeds: Values) -> Run:
        try:
            session = session_of(model, str(model.graph.name), execution=execution)
            given = {value.name: feeds[value.name] for value in session.get_inputs()}
            session.run_with_ort_values(None, given)
        except Exception as error:  # onnxruntime has a dozen exception classes without a common root
            raise RuntimeError(first_line(error)) from error
        return partial(session.run_with_ort_values, None, given)

    return made, f"onnxruntime {onnxruntime.__version__}"


def _openvino(place: str, threads: int) -> tuple[Maker, str]:
    import openvino

    from cic.engine.openvino import loader

    opening = loader(place, threads)

    def made(model: ir.Model, feeds: Values) -> Run:
        try:
            arrays = {str(value.name): feeds[str(value.name)].numpy() for value in model.graph.inputs}
            wires = [WireTensor(name, array.shape, array.dtype.name, array.nbytes) for name, array in arrays.items()]
            with file_of(model) as path:
                run = opening.load_beside(path, str(model.graph.name), wires)
            run(*arrays.values())
        except (CodegenError, RuntimeError, TypeError, OSError) as error:
            raise RuntimeError(first_line(error)) from error
        return partial(run, *arrays.values())

    return made, f"openvino {openvino.__version__}"


def first_line(error: Exception) -> str:
    """What an error says first, or its class."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
