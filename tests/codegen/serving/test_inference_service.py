"""The manifest for KServe names Triton, the protocol and the repository, and nothing breaks out of it."""

from __future__ import annotations

import pytest

from codegen.errors import CodegenError
from codegen.serving.inference_service import inference_service


def test_the_manifest_is_what_kserve_reads():
    yaml = pytest.importorskip("yaml", reason="yaml is not installed")
    made = yaml.safe_load(inference_service("ResNet50.v2", "pvc://models/repository"))
    assert (made["kind"], made["metadata"]["name"]) == ("InferenceService", "resnet50-v2")
    model = made["spec"]["predictor"]["model"]
    assert model["modelFormat"] == {"name": "triton"} and model["protocolVersion"] == "v2"
    assert model["storageUri"] == "pvc://models/repository"


@pytest.mark.parametrize("name", ["", "---", "3d", "a" * 64])
def test_a_name_that_kubernetes_does_not_take_is_refused(name: str):
    with pytest.raises(CodegenError, match="names no service of Kubernetes"):
        inference_service(name, "pvc://models/repository")


@pytest.mark.parametrize("storage", ["", "models", "pvc://", "pvc://a b", "s3://a\nkind: x", "ftp://x"])
def test_an_address_that_is_none_is_refused(storage: str):
    with pytest.raises(CodegenError, match="is no address of a repository"):
        inference_service("model", storage)
