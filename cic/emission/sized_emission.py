"""`emit_sizes`: the halves of a model at each of its sizes, a bundle each, with every weight they share once on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cic.decision.arguments import check_path
from cic.decision.sized_model import SizedModel
from cic.emission.emission import emit
from cic.errors import ArgumentError, EmitError
from codegen.checked_json import shown
from codegen.errors import as_codegen_error, codegen_error_as
from codegen.manifest import Manifest
from codegen.weights.linked_weights import link_weights


def emit_sizes(
    model: Any,
    sized_model: SizedModel,
    directory: str | Path,
    *,
    each: Mapping[str | int, Mapping[str, Any]] = MappingProxyType({}),
    **options: Any,
) -> dict[str, Manifest]:
    """Write the halves of each size to `directory`/SIZE.split, verified as `cic.emit` does it.

    A directory that is there is added to, so that it may be the one of `SizedModel.save`.

    Args:
        options: as of `cic.emit`, of all sizes; weights are always stored apart from the halves, so that sizes can share them.
        each: options of one size by its name, which come before the others: inputs to verify on, say.

    Returns:
        The manifest of each size's bundle.

    Raises:
        EmitError, TraceError: as of `cic.emit`, for one of the sizes. Bundles of those before it are there, and whole.
    """
    if not isinstance(sized_model, SizedModel):
        raise ArgumentError(f"the sized model is {shown(sized_model)}; give what cic.compile_sizes or cic.load_sizes returns")
    check_path(directory, "the directory to emit to")
    given = {str(size): value for size, value in each.items()}
    if unknown := given.keys() - sized_model.models.keys():
        raise ArgumentError(f"each names the size {min(unknown)}; there are {', '.join(sized_model.models)}")
    place = Path(directory)
    with codegen_error_as(EmitError), as_codegen_error(f"cannot write {place}"):
        place.mkdir(exist_ok=True)
    manifests = {
        size: emit(model, at, place / f"{size}.split", **{**options, **given.get(size, {}), "storage": "shared"})
        for size, at in sized_model.models.items()
    }
    with codegen_error_as(EmitError), as_codegen_error(f"cannot write {place}"):
        link_weights([place / f"{size}.split" for size in sized_model.models])
    return manifests
