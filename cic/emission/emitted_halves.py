"""The way back from an emitted model: `load_cut` to run a cut's halves, exports for servers of others.

Nothing here needs torch. A half is run by the runtime of its format alone, one in the format "onnx" by ONNX Runtime with numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cic.decision.answer import Decision
from cic.decision.arguments import check_flag, check_path, check_text, check_texts
from cic.decision.cut import Cut
from cic.emission.emitted_cut import EmittedCut
from cic.engine.engine_name import engine_name
from cic.errors import ArtifactError, EmitError
from cic.inputs.former_names import renamed
from codegen.errors import as_codegen_error, codegen_error_as
from codegen.files.atomic import write_whole
from codegen.loading import export_half as write_half
from codegen.loading import load_cut as load_halves
from codegen.manifest import FileRecord
from codegen.serving.inference_service import inference_service
from codegen.serving.ray_serve import RayApplication, write_ray_application
from codegen.serving.triton_repository import TritonModel, write_triton_repository
from codegen.split import Half


def load_cut(
    directory: str | Path,
    cut_id: str | Cut | Decision,
    *,
    half: Half | None = None,
    format_name: str | None = None,
    optimize: bool = True,
    weights_digest: str | None = None,
) -> EmittedCut:
    """Load an emitted cut: `.head(*args, **kwargs)` gives tensors, `.tail(*tensors)` the model's own output structure.

    Args:
        cut_id: the id of a cut, or the cut or decision that has it.
        half: "head" or "tail" for one of them only, as on a device or on a server; None: both.
        format_name: such as "torchscript" or "onnx"; None: the first format that the cut was emitted in.
        optimize: adapt the program to this machine's processor while it is loaded (slower to load, faster to run).
        weights_digest: of the other half, where that is elsewhere: `EmittedCut.weights_digest`. Halves of two trainings of one
            model fit together, and answer wrongly.

    Raises:
        ArtifactError: the directory is no emitted model, lacks the cut, has other weights than asked for, or a file is
            damaged or cannot be read.
    """
    check_path(directory, "the directory of the emitted model")
    if isinstance(cut_id, Cut):
        cut_id = cut_id.id
    elif isinstance(cut_id, Decision):
        cut_id = cut_id.cut_id
    check_text(cut_id, "the id of a cut")
    check_text(half, "half", or_none=True)
    check_text(format_name, "format_name", or_none=True)
    check_text(weights_digest, "weights_digest", or_none=True)
    check_flag(optimize, "optimize")
    with codegen_error_as(ArtifactError):
        loaded = load_halves(
            directory, cut_id, half=half, format_name=format_name, optimize=optimize, weights_digest=weights_digest
        )
        return EmittedCut(loaded)


def export_half(
    directory: str | Path, cut_id: str, half: Half, destination: str | Path, *, format_name: str | None = None
) -> FileRecord:
    """Write one half of an emitted cut to `destination` as one plain file that its runtime opens without CIC.

    Args:
        half: "head" or "tail".
        format_name: such as "torchscript" or "onnx"; None: the first format that the cut was emitted in.

    Returns:
        The half's record in the manifest, with the size in bytes and the SHA-256 of the file.

    Raises:
        ArtifactError: the directory is no emitted model, lacks the cut, or a file is damaged.
    """
    check_path(directory, "the directory of the emitted model")
    check_text(cut_id, "the id of a cut")
    check_text(half, "the half")
    check_path(destination, "the file to write")
    check_text(format_name, "format_name", or_none=True)
    with codegen_error_as(ArtifactError):
        return write_half(directory, cut_id, half, destination, format_name)


@renamed(model="name")
def export_triton(
    directory: str | Path,
    repository: str | Path,
    *,
    cuts: Sequence[str] | None = None,
    name: str | None = None,
    format_name: str | None = None,
) -> tuple[TritonModel, ...]:
    """Write the tails of an emitted model as a model repository of the Triton Inference Server, one model a cut.

    Args:
        cuts: ids of the cuts; None: all whose tail takes and returns tensors.
        name: what the models' names begin with; None: the model's own, as `cic serve` and sessions have it.
        format_name: "torchscript" or "onnx"; None: the first of the two that the directory has.

    Raises:
        EmitError: the directory is no emitted model, Triton cannot carry one of its tensors, or the repository cannot be
            written.
    """
    check_path(directory, "the directory of the emitted model")
    check_path(repository, "the model repository")
    check_texts(cuts, "the cuts to export")
    check_text(format_name, "format_name", or_none=True)
    check_text(name, "the name of the models", or_none=True)
    with codegen_error_as(EmitError):
        return write_triton_repository(directory, repository, name=name, cuts=cuts, format_name=format_name)


def export_ray_serve(
    directory: str | Path,
    destination: str | Path,
    *,
    name: str | None = None,
    engine: str | None = None,
    format_name: str | None = None,
) -> RayApplication:
    """Write the tails of an emitted model as a directory that Ray Serve deploys, which speaks the protocol of `cic serve`.

    Args:
        destination: a new directory.
        name: what the models' names begin with; None: the model's own, as `cic serve` and sessions have it.
        engine: that runs the tails there, see `cic.engine.engine_name`; None: the first that suits them.
        format_name: the format of the tails; None: the first of each cut.

    Raises:
        EmitError: the directory is no emitted model, or the application cannot be written.
    """
    check_path(directory, "the directory of the emitted model")
    check_path(destination, "the directory of the application")
    check_text(name, "the name of the models", or_none=True)
    check_text(engine, "the engine", or_none=True)
    check_text(format_name, "format_name", or_none=True)
    named = None if engine is None else str(engine_name(engine))
    with codegen_error_as(EmitError):
        return write_ray_application(directory, destination, name=name, engine=named, format_name=format_name)


def export_inference_service(path: str | Path, storage: str, *, model: str) -> None:
    """Write a manifest with which KServe runs a Triton server on an exported repository.

    Args:
        storage: where the cluster finds the repository, such as "pvc://models/repository".
        model: the text that the models' names begin with.

    Raises:
        EmitError: no service can have that name, or the file cannot be written.
    """
    check_path(path, "the manifest")
    check_text(storage, "the storage")
    check_text(model, "model")
    with codegen_error_as(EmitError), as_codegen_error(f"cannot write {path}"):
        write_whole(path, inference_service(model, storage).encode())
