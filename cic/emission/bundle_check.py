"""Does an emitted directory belong to a splitting model? Cut ids alone cannot tell. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_codecs import needed_digest
from cic.emission.matching_weights import other_weights
from cic.errors import ArtifactError
from codegen.errors import as_codegen_error, codegen_error_as
from codegen.manifest import Manifest, read_manifest


def check_bundle(model: SplittingModel, directory: str | Path, cut_ids: Sequence[str]) -> None:
    """Raise ArtifactError unless `directory` was emitted from `model` and holds these cuts.

    With other weights than the compiled ones, too, unless `model` has codecs.
    """
    manifest = _manifest_of(model, directory)
    emitted = {cut.id: cut for cut in manifest.cuts}
    for cut_id in cut_ids:
        if cut_id not in emitted:
            raise ArtifactError(
                f"{directory} does not hold the cut {cut_id!r}, only {', '.join(emitted)}; emit it with `cic emit`"
            )
        if emitted[cut_id].device_ops != model.cut_by_id[cut_id].device_ops:
            raise ArtifactError(
                f"the cut {cut_id!r} in {directory} has {len(emitted[cut_id].device_ops)} ops on the device, that of the "
                f"splitting model {len(model.cut_by_id[cut_id].device_ops)}, or others; compiled again since? Emit again"
            )
        needed = {needed_digest(name) for cut in model.cuts if cut.id == cut_id for name in cut.codecs} - {None}
        if missing := sorted(needed.difference(emitted[cut_id].codecs), key=str):
            raise ArtifactError(
                f"the cut {cut_id!r} in {directory} was emitted without the stored codec {missing[0]}, which the"
                " splitting model has for it; compiled again since? Emit again"
            )


def emitted_cuts(model: SplittingModel, directory: str | Path) -> set[str]:
    """Ids of the cuts of `model` that `directory` holds. Raises ArtifactError if it was emitted from another model."""
    manifest = _manifest_of(model, directory)
    return {
        cut.id for cut in manifest.cuts if cut.id in model.cut_by_id and cut.device_ops == model.cut_by_id[cut.id].device_ops
    }


def head_bytes(model: SplittingModel, directory: str | Path) -> dict[str, int]:
    """Bytes of the head of each cut that `emitted_cuts` names, weights included: what it takes in a device's memory at least.

    Of several formats the one with the smallest head counts. Raises ArtifactError as `emitted_cuts`.
    """
    there = emitted_cuts(model, directory)
    cuts = [cut for cut in _manifest_of(model, directory).cuts if cut.id in there]
    return {cut.id: min(files.head.bytes for files in cut.files.values()) for cut in cuts}


def _manifest_of(model: SplittingModel, directory: str | Path) -> Manifest:
    with codegen_error_as(ArtifactError), as_codegen_error(f"cannot read {directory}"):
        manifest = read_manifest(Path(directory))
    compiled = model.information.graph_digest
    if manifest.model_digest != compiled:
        raise ArtifactError(
            f"{directory} was emitted from another model: its graph has digest {manifest.model_digest[:12]}, that of the "
            f"splitting model {model.name} is {compiled[:12]}; emit it with `cic emit`"
        )
    if refusal := other_weights(model, manifest.weights_digest):
        raise ArtifactError(f"{directory}: {refusal}")
    return manifest
