"""The emitted small model, and sessions with it for which the server is the faster one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cic
from cic.decision.cut import DEVICE_ONLY
from cic.engine.engine import Array, Engine
from cic.engine.opening import open_half
from cic.session import loaded_halves
from cic.session.session import Session
from tests.cic.conftest import Project
from tests.cic.session.small_server import SmallServer, small_server

DEVICE_S = 0.06


class SlowEngine:
    """An engine as that of a slower machine."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._engine, self._seconds = engine, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        time.sleep(self._seconds)
        return self._engine.run(arrays)


@pytest.fixture(scope="session")
def model(project: Project) -> cic.SplittingModel:
    return cic.load(project.file)


@pytest.fixture(scope="session")
def image() -> Array:
    return np.random.default_rng(0).random((1, 3, 64, 64), np.float32)


@pytest.fixture(scope="session")
def expected(project: Project, image: Array) -> Array:
    answer: Array = open_half(project.split, DEVICE_ONLY, "head").run([image])[0]
    assert float(np.abs(answer).max()) > 1e-3
    return answer


@pytest.fixture
def heads(project: Project, tmp_path: Path) -> Path:
    """The bundle without its tails, as a device may have been given it."""
    bundle = Path(shutil.copytree(project.split, tmp_path / project.split.name))
    for tail in bundle.rglob("*tail*"):
        tail.unlink()
    return bundle


@pytest.fixture
def server(project: Project) -> Iterator[SmallServer]:
    with small_server(project.split) as running:
        yield running


@pytest.fixture
def slow_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole network takes `DEVICE_S` here, and so does each local tail."""

    def slow_half(bundle: Any, cut_id: str, half: Any, *more: Any) -> Any:
        engine = open_half(bundle, cut_id, half, *more)
        return SlowEngine(engine, DEVICE_S) if cut_id == DEVICE_ONLY or half == "tail" else engine

    monkeypatch.setattr(loaded_halves, "open_half", slow_half)


Opened = Callable[..., Session]


@pytest.fixture
def opened(project: Project, model: cic.SplittingModel, image: Array) -> Iterator[Opened]:
    """Opens sessions that end with the test; with `remote`, one that has found out that the server is faster."""
    sessions = []

    def open_session(url: str | None = None, *, remote: bool = False, **options: Any) -> Session:
        session = Session(project.split, model, url, **options)
        sessions.append(session)
        if remote:
            know_the_slow_device(session)
            session.warm_up()
            until_remote(session, image)
            stand_still(session)
        return session

    yield open_session
    for session in sessions:
        session.close()


def know_the_slow_device(session: Session) -> None:
    """As after some inferences on the device: else a link that is slow for once makes it the faster one."""
    planner = session._means.planner
    label, cut = next((label, cut) for label, cut in planner.cuts.items() if cut.id == DEVICE_ONLY)
    for _ in range(10):
        planner.forecast.saw_device(label, cut, DEVICE_S, time.monotonic())


def stand_still(session: Session) -> None:
    """From here on nothing new is learned, so that faults change what is decided only where they are to.

    What happens then happens to inferences, and to no probe before them.
    """
    assert session._prober is not None
    session._prober.close()
    forecast = session._means.planner.forecast
    for learning in (forecast.link, forecast.device, forecast.server):
        learning.observe = lambda *_: None  # type: ignore[method-assign]
    forecast.link.observe_unfinished = lambda *_: None  # type: ignore[method-assign]


def until_remote(session: Session, image: Array, seconds: float = 10.0) -> None:
    """Ask until the server answers, and has done so a few times."""
    end_s, in_a_row = time.monotonic() + seconds, 0
    while in_a_row < 5:
        in_a_row = in_a_row + 1 if session.infer(image).outcome == "remote" else 0
        assert time.monotonic() < end_s, "the server is never chosen"
