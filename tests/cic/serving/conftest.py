"""A server for all tests that leave it as it is, and ways to make others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cic.protocol.spoken_tail import SpokenTail
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
from tests.cic.serving.talking import OPENED, FakeEngine

MODEL = "mixed_wide-1.2"
USUAL = ServerOptions(port=0, engine="torchscript", header_timeout_s=0.3, body_timeout_s=0.3, idle_timeout_s=5, grace_s=5)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Connections are closed after the test."""
    yield
    OPENED.close()


Serving = Callable[..., TailServer]


@pytest.fixture(scope="session")
def server(mixed_bundle: Path) -> Iterator[TailServer]:
    with TailServer(mixed_bundle, USUAL) as started:
        yield started


@pytest.fixture
def tail(server: TailServer) -> SpokenTail:
    return server.models[MODEL].spoken


@pytest.fixture
def serving(mixed_bundle: Path) -> Iterator[Serving]:
    """Starts a server with other options than the usual ones; `does` is done before each inference of `MODEL`."""
    with ExitStack() as stack:

        def start(does: Callable[[], object] | None = None, **options: Any) -> TailServer:
            started = stack.enter_context(TailServer(mixed_bundle, replace(USUAL, **options)))
            if does is not None:
                tail = started.models[MODEL]
                started.endpoints.tails[MODEL] = replace(tail, engine=FakeEngine(tail.engine, does))
            return started

        yield start
