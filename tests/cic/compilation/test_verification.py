"""A changed codec does not pass, nor one whose stored numbers are missing or of another tensor."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.trust.attack.sound_transforms import on_a_grid, renamed, transform_of
from cic.compilation.verification import verify
from cic.decision.splitting_model import SplittingModel
from cic.errors import ArtifactError


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


def test_numbers_that_codecs_are_made_from_are_there_and_fit_their_tensor(compiled: SplittingModel) -> None:
    tensor, old, shape = on_a_grid(compiled, dimensions=4)
    fits, stored = transform_of(shape[1])
    assert verify(renamed(compiled, tensor, old, fits.name, stored)).cuts == len(compiled.cuts)
    with pytest.raises(ArtifactError, match=rf"cannot send {tensor}: the codec transform-0\.05 needs numbers"):
        verify(renamed(compiled, tensor, old, fits.name, {}))
    other, stored = transform_of(shape[1] + 1)
    with pytest.raises(ArtifactError, match=f"cannot send {tensor}: .* was made for another tensor"):
        verify(renamed(compiled, tensor, old, other.name, stored))
