"""An address names a model and what is asked of it, with and without the one version that each model has."""

from __future__ import annotations

import pytest

from cic.serving.model_address import ABOUT, model_and_action


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/models/small_cut-0", ("small_cut-0", ABOUT)),
        ("/v2/models/small_cut-0/infer", ("small_cut-0", "infer")),
        ("/v2/models/small_cut-0/versions/1", ("small_cut-0", ABOUT)),
        ("/v2/models/small_cut-0/versions/1/ready", ("small_cut-0", "ready")),
        ("/v2/models/small_cut-0/versions/2/ready", ("small_cut-0", "versions/2/ready")),
        ("/v2/health/live", ("", "")),
        ("/v2/model/small_cut-0", ("", "")),
    ],
)
def test_model_and_action(path: str, expected: tuple[str, str]) -> None:
    assert model_and_action(path) == expected
