"""A changed codec does not pass, nor one whose stored numbers are missing or of another tensor."""

from __future__ import annotations

from pathlib import Path

import pytest

from cic.compilation.verification import verify
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.errors import ArtifactError
from tests.cic.runtime.stored_transforms import transform_of


def test_a_changed_codec_does_not_pass_verification(compiled: SplittingModel, tmp_path: Path) -> None:
    target = next(cut for cut in compiled.cuts if cut.codecs and cut.codecs[0] != "raw")
    for forged, message in ((("raw", *target.codecs[1:]), "stores the features"), (("int2",), "int2|codecs for")):
        kept = target.codecs
        target.codecs = forged
        try:
            with pytest.raises(ArtifactError, match=message):
                verify(compiled)
        finally:
            target.codecs = kept


def renamed(model: SplittingModel, old: str, tensor: str, new: str, stored: dict[str, bytes]) -> SplittingModel:
    """The same model, in which one codec of one tensor has another name."""
    graph = model.graph()
    tensors = [
        each.replaced(forms=tuple(form.replaced(codec=new) if form.codec == old else form for form in each.forms))
        if each.name == tensor
        else each
        for each in graph.tensors
    ]
    changed = graph.replaced(tensors=tuple(tensors))
    cuts = []
    for cut in model.cuts:
        pairs = cut.codec_of.items() if cut.codecs else ()
        names = [new if (name, used) == (tensor, old) else used for name, used in pairs]
        cuts.append(Cut(cut.id, cut.features, lambda cut=cut: (cut.device_ops, cut.crossing), names, cut.accuracy))
    return SplittingModel(model.table.replaced(cuts=tuple(cuts)), lambda: changed, lambda: stored)


def test_numbers_that_codecs_are_made_from_are_there_and_fit_their_tensor(compiled: SplittingModel) -> None:
    shapes = {tensor.name: tensor.shape for tensor in compiled.graph().tensors}
    tensor, old = next(
        (tensor, name)
        for cut in compiled.cuts
        for tensor, name in cut.codec_of.items()
        if len(shapes[tensor]) == 4 and name.startswith("int")
    )
    fits, stored = transform_of(shapes[tensor][1])
    assert verify(renamed(compiled, old, tensor, fits.name, stored)).cuts == len(compiled.cuts)
    with pytest.raises(ArtifactError, match=rf"cannot send {tensor}: the codec transform-0\.05 needs numbers"):
        verify(renamed(compiled, old, tensor, fits.name, {}))
    other, stored = transform_of(shapes[tensor][1] + 1)
    with pytest.raises(ArtifactError, match=f"cannot send {tensor}: .* was made for another tensor"):
        verify(renamed(compiled, old, tensor, other.name, stored))
