"""A replica of Ray Serve answers as its application does; without ray, it is refused with the extra that brings it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from cic.errors import EmitError
from cic.serving.ray_application import RayTails, application

OPTIONS = {"name": "mixed", "engine": "torchscript"}


def test_without_ray_it_is_refused_with_the_extra(mixed_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EmitError, match=r"a Ray Serve application needs the package ray: pip install 'cic-compiler\[ray\]'"):
        application(mixed_bundle, name="mixed")


def test_a_replica_answers_a_request_of_starlette(mixed_bundle: Path):
    requests = pytest.importorskip("starlette.requests", reason="ray[serve], which brings starlette, is not installed")

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/v2/models/mixed_wide-1.2", "headers": [], "query_string": b""}
    replica = RayTails(str(mixed_bundle), OPTIONS)
    response = asyncio.run(replica(requests.Request(scope, receive)))
    assert response.status_code == 200 and json.loads(response.body)["name"] == "mixed_wide-1.2"
    replica.check_health()


def test_ray_takes_the_application(mixed_bundle: Path):
    pytest.importorskip("ray.serve", reason="ray is not installed")
    assert application(mixed_bundle, name="mixed", threads=2) is not None
