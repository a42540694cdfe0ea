"""A changed codec does not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

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
