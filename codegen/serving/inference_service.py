"""The manifest with which KServe runs a Triton server on an exported repository of tails: an `InferenceService`."""

from __future__ import annotations

import json
import re

from codegen.errors import CodegenError

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"(pvc|gs|s3|hdfs|https?|file)://[!-~]{1,1000}")


def inference_service(model: str, storage: str) -> str:
    """The manifest as YAML.

    model: what the names of the models in the repository begin with. storage: where the cluster finds the repository, such as
        "pvc://models/repository" or "s3://bucket/repository".
    Raises CodegenError if Kubernetes can have no service of that name, or KServe no such address.
    """
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    if not _NAME.fullmatch(name):
        raise CodegenError(
            f"{model!r} names no service of Kubernetes, which begins with a letter and has at most 63; choose another name"
        )
    if not _ADDRESS.fullmatch(storage):
        raise CodegenError(f"{storage!r:.80} is no address of a repository; give one such as pvc://models/repository")
    return f"""# kubectl apply -f this file. Sessions reach the tails at the address of the service, by Triton's own names.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
spec:
  predictor:
    model:
      modelFormat:
        name: triton
      protocolVersion: v2
      storageUri: {json.dumps(storage)}
      resources:
        requests: {{cpu: "1", memory: 1Gi}}
        limits: {{cpu: "1", memory: 2Gi}}
"""
