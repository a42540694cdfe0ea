"""Opens one half of an emitted cut with an engine: the one that is asked for, or the first that suits the emission."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from cic.codec.tensors import carrier
from cic.decision.arguments import check_number, check_path, check_text
from cic.engine.engine import Engine
from cic.engine.engine_name import USUAL_PLACES, EngineName, engine_name
from cic.engine.loaded_half import LoadedHalf
from cic.errors import ArgumentError, ArtifactError, CodecError, EngineError
from codegen.checked_json import shown
from codegen.errors import codegen_error_as, needing
from codegen.formats.emitter import Loader
from codegen.loading import LoadedCut, load_cut
from codegen.manifest import read_manifest
from codegen.split import Half


class _Kind:
    """An engine's module and function, the format of halves that it loads, and the extra that installs it."""

    def __init__(self, module: str, function: str, format_name: str, extra: str) -> None:
        self.module, self.function, self.format, self.extra = module, function, format_name, extra

    def loader(self, name: EngineName, threads: int) -> Loader:
        with needing(f"the engine {name}", self.extra, EngineError):
            made: Loader = getattr(import_module(f"cic.engine.{self.module}"), self.function)(name.place, threads)
        return made


_KINDS = {
    "onnxruntime": _Kind("onnx_runtime", "loader", "onnx", "device"),
    "torchscript": _Kind("torch_programs", "torchscript", "torchscript", "compile"),
    "pt2": _Kind("torch_programs", "exported_program", "exported_program", "compile"),
    "openvino": _Kind("openvino", "loader", "onnx", "openvino"),
}
# Those that are chosen where none is asked for, and what each runs on.
_FIRST = {"onnxruntime": "onnxruntime", "torchscript": "torch", "pt2": "torch"}


def open_half(bundle: str | Path, cut_id: str, half: Half, engine: str | None = None, threads: int = 1) -> Engine:
    """Open the head or the tail of a cut. Its files are compared with the digests of the manifest first.

    Args:
        bundle: the directory of the emitted model.
        engine: see `cic.engine.engine_name`; None: "onnxruntime" if the cut was emitted as ONNX and that is installed, else
            "torchscript", else "pt2".
        threads: of the processor, inside one op.

    Raises:
        EngineError: there is no such engine, it is not installed, or it cannot load this half.
        ArtifactError: the directory is no emitted model or lacks the cut.
    """
    check_path(bundle, "the directory of the emitted model")
    check_text(cut_id, "the id of a cut")
    check_text(half, "the half")
    check_text(engine, "the engine", or_none=True)
    check_number(threads, "threads", 1, 4096, whole=True)
    if half not in ("head", "tail"):
        raise ArgumentError(f"the half is {shown(half)}; give 'head' or 'tail'")
    name = engine_of(bundle, cut_id, engine)
    loader = _KINDS[name.kind].loader(name, int(threads))
    with codegen_error_as(EngineError, f"the {half} of cut {cut_id} cannot be opened with {name}"):
        cut = load_cut(bundle, cut_id, half=half, format_name=loader.format, loader=loader)
    return _loaded(str(name), cut, half)


def engine_of(bundle: str | Path, cut_id: str, engine: str | None = None) -> EngineName:
    """The engine that is asked for, or that a cut is opened with where none is; nothing is loaded.

    Raises EngineError and ArtifactError as `open_half` does.
    """
    with codegen_error_as(ArtifactError):
        formats = read_manifest(Path(bundle)).cut(cut_id).files
    if engine is None:
        fitting = [kind for kind in _FIRST if _KINDS[kind].format in formats]
        if not fitting:
            raise EngineError(f"cut {cut_id} was emitted as {', '.join(formats)}, which no engine takes; emit as onnx")
        installed = [kind for kind in fitting if find_spec(_FIRST[kind]) is not None]
        if not installed and "onnxruntime" not in fitting:
            raise EngineError(
                f"cut {cut_id} was emitted as {', '.join(formats)} alone, which needs torch, and that is not installed; for a"
                " device without torch emit it with `cic emit --format onnx`"
            )
        return engine_name((installed or fitting)[0])
    name = engine_name(engine)
    wanted = _KINDS[name.kind].format
    if wanted not in formats:
        others = [kind for kind in USUAL_PLACES if _KINDS[kind].format in formats]
        raise EngineError(
            f"cut {cut_id} was emitted as {', '.join(formats)}, the engine {name} takes {wanted}; emit it as that too, or"
            f" choose {' or '.join(others)}"
        )
    return name


def _loaded(name: str, cut: LoadedCut, half: Half) -> LoadedHalf:
    inputs, outputs = (cut.manifest.inputs, (*cut.crossing, *cut.kept)) if half == "head" else (cut.crossing, cut.returned)
    try:
        for wire in (*inputs, *outputs):
            carrier(wire.dtype, wire.name)
    except CodecError as error:
        raise EngineError(f"the {half} of cut {cut.id} cannot be run on arrays: {error}") from error
    runner = cut.head_runner if half == "head" else cut.tail_runner
    assert runner is not None, "this half was asked for"
    return LoadedHalf(name, cut, half, inputs, outputs, runner)
