"""Tails as a Ray Serve application: replicas that scale with the load, each with all tails of a bundle. Needs ray[serve]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cic.engine.roomy_memory import keep_freed_memory
from cic.errors import EmitError
from cic.serving.server_options import ServerOptions
from cic.serving.tail_application import TailApplication
from codegen.errors import needing


class RayTails:
    """One replica. bundle: a directory that every node of the cluster has at this path. options: see `ServerOptions`."""

    def __init__(self, bundle: str, options: dict[str, Any]) -> None:
        keep_freed_memory()
        self._application = TailApplication(Path(bundle), ServerOptions(**options))

    async def __call__(self, request: Any) -> Any:
        """Answer one request, a `starlette.requests.Request`."""
        from starlette.responses import Response  # which comes with ray[serve]

        reply = await self._application.answer(request.method, request.scope["path"], request.headers, request.stream())
        return Response(b"".join(bytes(buffer) for buffer in reply.body), reply.status, dict(reply.headers))

    def check_health(self) -> None:
        """Ray starts a replica anew if this raises."""
        if not self._application.live:
            raise RuntimeError("an inference is stuck")


def application(
    bundle: str | Path,
    *,
    name: str,
    engine: str | None = None,
    threads: int = 1,
    queue: int = 16,
    token_file: str | None = None,
) -> Any:
    """A Ray Serve application for `serve.run` or a configuration file, which says how many replicas there are.

    name: what the names of the models begin with. engine, threads: see `cic.engine.opening.open_half`. queue: requests that
    wait in a replica; more are refused. token_file: with the token that each request must bear, on every node.
    Raises EmitError if ray is not installed.
    """
    with needing("a Ray Serve application", "ray", EmitError):
        from ray import serve

    token = None if token_file is None else Path(token_file)
    options = {"name": name, "engine": engine, "threads": threads, "queue": queue, "token_file": token}
    deployment = serve.deployment(RayTails, name="Tails")
    placed = deployment.options(ray_actor_options={"num_cpus": threads}, max_ongoing_requests=queue + 1)
    return placed.bind(str(bundle), options)
