"""From a `.cic` file back to numbers: the problem it was compiled from, and which codecs its cuts use. Needs numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cic.codec.registry import codec
from cic.decision.splitting_model import Cut, SplittingModel
from cic.errors import ArtifactError, CodecError
from cic.precision.wire_form import stage_of
from mincut.codecs import without
from mincut.errors import MincutError
from mincut.problem import BoolArray, IntArray, Problem, make_problem


def stored_problem(model: SplittingModel) -> Problem:
    """The problem that a splitting model was compiled from; op i of it is op i of the model's graph."""
    whole = model.graph()
    download = [0] * len(whole["ops"])
    for tensor in whole["tensors"]:
        if tensor["is_output"] and tensor["producer"] >= 0:
            download[tensor["producer"]] += tensor["wire_bytes"]
    forms = [[tuple(form[1:4]) for form in _forms(tensor)] for tensor in whole["tensors"]]
    return make_problem(
        [op["device_ns"] for op in whole["ops"]],
        [op["server_ns"] for op in whole["ops"]],
        [(tensor["producer"], tensor["consumers"], tensor["wire_bytes"]) for tensor in whole["tensors"]],
        download_bytes=download,
        pinned=[op["pinned"] for op in whole["ops"]],
        may_cross=[tensor["may_cross"] for tensor in whole["tensors"]],
        codecs=forms if any("forms" in tensor for tensor in whole["tensors"]) else None,
    )


def stored_alternatives(model: SplittingModel, problem: Problem) -> list[Problem]:
    """The alternatives of which a placement must be allowed by one (see `cic.precision.target_search`); none if nothing is
    forbidden.

    Raises:
        ArtifactError: they name codecs that do not exist.
    """
    listed = model.graph().get("alternatives", [])
    if problem.codecs is None or not listed:
        return []
    try:
        alternatives = [[(int(tensor), int(form)) for tensor, form in forbidden] for forbidden in listed]
        return [replace(problem, codecs=without(problem.codecs, forbidden)) for forbidden in alternatives]
    except (TypeError, ValueError, MincutError) as error:
        raise ArtifactError(f"{model.name}: its alternatives {listed!r} are not as they are written: {error}") from error


def shown_alternatives(model: SplittingModel, problem: Problem) -> list[Problem]:
    """The alternatives for a placement that need not be in the table: where an accuracy was asked for, it may lose no more than
    some cut of the table, since of other losses nobody knows what they leave; else `stored_alternatives`.

    Raises:
        ArtifactError: a form or a cut names a codec that does not exist.
    """
    if problem.codecs is None or model.information.get("accuracy_target") is None:
        return stored_alternatives(model, problem)
    lossy = _lossy_stages(model)
    lost: set[frozenset[tuple[int, str]]] = {frozenset()}
    for cut, ops in zip(model.cuts, model.graph()["cuts"], strict=True):
        on_device = np.zeros(problem.op_count, dtype=np.bool_)
        on_device[ops] = True
        used, crossing = codecs_of(model, problem, cut, on_device), np.flatnonzero(problem.crossing(on_device))
        assert used is not None
        pairs = ((tensor, int(used[tensor])) for tensor in crossing.tolist())
        lost.add(frozenset((pair[0], lossy[pair]) for pair in pairs if pair in lossy))
    largest = [shown for shown in lost if not any(shown < other for other in lost)]
    forbidden = [[pair for pair, stage in lossy.items() if (pair[0], stage) not in shown] for shown in largest]
    try:
        return [replace(problem, codecs=without(problem.codecs, each)) for each in forbidden]
    except MincutError as error:
        raise ArtifactError(f"{model.name}: a tensor has no form that loses nothing: {error}") from error


def _lossy_stages(model: SplittingModel) -> dict[tuple[int, int], str]:
    """What is lost under each lossy form, by the number of the tensor and that of the form."""
    numbered = [(tensor, form, name) for tensor, names in enumerate(codec_names(model)) for form, name in enumerate(names)]
    try:
        return {(tensor, form): stage_of(name) for tensor, form, name in numbered if not codec(name).lossless}
    except CodecError as error:
        raise ArtifactError(f"{model.name}: {error}") from error


def codec_names(model: SplittingModel) -> list[list[str]]:
    """The codecs of each tensor of the problem, by name, as the problem numbers them."""
    return [[form[0] for form in _forms(tensor)] for tensor in model.graph()["tensors"] if tensor["consumers"]]


def codecs_of(model: SplittingModel, problem: Problem, cut: Cut, on_device: BoolArray) -> IntArray | None:
    """Which of its codecs each tensor crosses under in a cut: int64[m]; None where tensors have no codecs.

    Raises:
        ArtifactError: the cut names a codec that its tensor does not have.
    """
    if problem.codecs is None:
        if any(name != "raw" for name in cut.codecs):
            raise ArtifactError(f"{model.name}: cut {cut.label} names codecs, its tensors have none")
        return None
    names, chosen = codec_names(model), np.zeros(problem.tensor_count, dtype=np.int64)
    crossing = np.flatnonzero(problem.crossing(on_device)).tolist()
    used: Sequence[str] = cut.codecs or ["raw"] * len(crossing)
    if len(used) != len(crossing):
        raise ArtifactError(f"{model.name}: cut {cut.label} names {len(used)} codecs for {len(crossing)} crossing tensors")
    for tensor, name in zip(crossing, used, strict=True):
        if name not in names[tensor]:
            raise ArtifactError(
                f"{model.name}: cut {cut.label} sends a tensor under {name!r}, it has {', '.join(names[tensor])}"
            )
        chosen[tensor] = names[tensor].index(name)
    return chosen


def is_allowed(model: SplittingModel, problem: Problem, on_device: BoolArray, codec: IntArray | None) -> bool:
    """Is a cut's choice of codecs one that some alternative allows?"""
    listed = model.graph().get("alternatives", [])
    if codec is None or not listed:
        return True
    used = {(int(tensor), int(codec[tensor])) for tensor in np.flatnonzero(problem.crossing(on_device))}
    return any(used.isdisjoint(map(tuple, forbidden)) for forbidden in listed)


def _forms(tensor: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    forms: Sequence[Sequence[Any]] = tensor.get("forms") or [["raw", tensor["wire_bytes"], 0, 0]]
    return forms
