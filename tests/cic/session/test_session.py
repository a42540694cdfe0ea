"""A session answers rightly with any cut, with and without a server, from several threads, and keeps records."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cic
from cic.engine.engine import Array
from cic.errors import ArtifactError, CicWarning, InputError, LinkError
from cic.session.record import record_of
from cic.session.session import Session
from tests.cic.conftest import Project
from tests.cic.inception import STRONG, WEAK
from tests.cic.session.conftest import DEVICE_S, Opened, stand_still, until_remote
from tests.cic.session.small_server import SmallServer, small_server
from tests.codegen.unverified import unverified_bundles


def same(answer: Array, expected: Array) -> bool:
    return bool(np.allclose(answer, expected, rtol=1e-4, atol=1e-5))


def test_every_cut_gives_the_answer_of_the_whole(
    opened: Opened, server: SmallServer, model: cic.SplittingModel, image: Array, expected: Array
) -> None:
    for cut in model.cuts:
        session = opened(server.url, cuts=[cut.id])
        for _ in range(3):
            inference = session.infer(image)
            assert same(inference.output, expected) and inference.cut_id == cut.id
            assert inference.outcome == ("remote" if cut.offloads else "local")
            parts = inference.record.measured
            known = (parts.device_s, parts.uplink_s, parts.server_s, parts.downlink_s, parts.rtt_s)
            assert min(part for part in known if part is not None) >= 0
            assert sum(part or 0.0 for part in known) == pytest.approx(parts.latency_s, abs=1e-6)
        if cut.offloads:
            assert inference.record.upload_bytes > cut.upload_bytes
    assert len(server.ids) == len(set(server.ids)) == 3 * (len(model.cuts) - 1)


def test_without_a_server_the_device_answers(opened: Opened, image: Array, expected: Array) -> None:
    session = opened()
    assert same(session(image), expected) and session.infer(image).outcome == "local"
    assert session.warm_up(1.0)
    as_torch = session(torch.from_numpy(image))
    assert isinstance(as_torch, torch.Tensor) and same(as_torch.numpy(), expected)


def test_calls_that_are_not_the_model_s_are_refused(opened: Opened, image: Array) -> None:
    session = opened()
    for call in ((), (image, image), (image[0],), (image.astype(np.float64),), ("picture",), (None,)):
        with pytest.raises(InputError):
            session(*call)
    with pytest.raises(InputError, match="called with"):
        session(picture=image)


def test_what_cannot_be_used_is_refused_when_the_session_is_made(
    opened: Opened, project: Project, tmp_path: Path, model: cic.SplittingModel
) -> None:
    for options in ({"cuts": ["cut-99"]}, {"cuts": "device-only"}, {"url": "ftp://x"}, {"memory_limit": 1000}):
        with pytest.raises(InputError):
            opened(**options)
    with pytest.raises(ArtifactError, match="no server is named"):
        opened(cuts=["server-only"])
    with pytest.raises(ArtifactError, match="not an emitted model"):
        Session(tmp_path, model)
    with pytest.raises(InputError, match="records cannot be written"):
        opened(records=tmp_path / "no" / "records")
    for options in ({"threads": 0}, {"deadline_s": -1.0}, {"memory_limit": "1MB"}):
        with pytest.raises(cic.ArgumentError):
            opened(**options)


def test_the_faster_one_of_both_is_found(opened: Opened, slow_device: None, server: SmallServer, image: Array) -> None:
    session = opened(server.url)
    assert session.warm_up(20.0)
    until_remote(session, image)
    # A server that is slow by now is left for the device, and found again when it is not.
    server.delay_s = 0.3
    outcomes = [session.infer(image).outcome for _ in range(12)]
    assert outcomes[-4:] == ["local"] * 4
    assert sum(outcome != "local" for outcome in outcomes) <= 6
    server.delay_s = 0.0
    until_remote(session, image, 30.0)


def test_a_server_that_comes_later_is_found(
    opened: Opened, slow_device: None, project: Project, image: Array, expected: Array, server: SmallServer
) -> None:
    server.silent = True
    session = opened(server.url)
    began_s = time.monotonic()
    assert same(session(image), expected)
    assert time.monotonic() - began_s < 2 * DEVICE_S
    server.silent = False
    until_remote(session, image, 30.0)


def test_several_threads_are_answered_each_their_own(opened: Opened, slow_device: None, server: SmallServer) -> None:
    session = opened(server.url, remote=True)
    images = [np.random.default_rng(seed).random((1, 3, 64, 64), np.float32) for seed in range(4)]
    expected = [session(image) for image in images]

    def ask(number: int) -> bool:
        return all(same(session(images[number]), expected[number]) for _ in range(25))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(4)))
    own = [each for each in server.ids if each != "probe"]
    assert len(own) == len(set(own)) >= 5


def test_records_say_what_happened(
    opened: Opened, slow_device: None, server: SmallServer, image: Array, tmp_path: Path
) -> None:
    session = opened(server.url, records=tmp_path / "run.jsonl", deadline_s=5.0, remote=True)
    inference = session.infer(image)
    session.close()
    records = [record_of(line) for line in (tmp_path / "run.jsonl").read_bytes().splitlines()]
    assert records[-1] == inference.record
    assert {record.kind for record in records} <= {"local", "remote", "fallback"} and len(records) > 5
    assert len({record.request_id for record in records}) == len(records)
    assert all(record.deadline_s == 5.0 and record.device_only_s and record.server_only_s for record in records)
    assert json.loads((tmp_path / "run.jsonl").read_text().splitlines()[-1])["outcome"] == "remote"
    remote = [record for record in records if record.kind == "remote"][-1]
    assert remote.predicted.latency_s > 0 and remote.upload_bytes > 0


def test_where_the_device_cannot_answer_the_error_is_the_caller_s(
    heads: Path, model: cic.SplittingModel, server: SmallServer, image: Array
) -> None:
    with Session(heads, model, server.url, cuts=["server-only"], deadline_s=0.5) as session:
        session(image)
        server.refuse = (500, "")
        with pytest.raises(LinkError, match="status 500"):
            session(image)
        server.refuse, server.silent = None, True
        began_s = time.monotonic()
        with pytest.raises(LinkError, match="longer than it was given"):
            session(image)
        assert 0.4 < time.monotonic() - began_s < 0.7


def test_no_thread_and_no_connection_outlives_a_session(opened: Opened, server: SmallServer, image: Array) -> None:
    before = {thread.name for thread in threading.enumerate() if thread.name.startswith("cic-")}
    session = opened(server.url)
    session.warm_up()
    session(image)
    session.close()
    session.close()
    left: Sequence[str] = [thread.name for thread in threading.enumerate() if thread.name.startswith("cic-")]
    assert set(left) <= before


def test_a_device_that_was_given_heads_only_falls_back_to_the_whole(
    slow_device: None, server: SmallServer, model: cic.SplittingModel, heads: Path, image: Array, expected: Array
) -> None:
    with Session(heads, model, server.url) as session:
        session.warm_up()
        until_remote(session, image)
        stand_still(session)
        server.refuse = (503, "")
        inference = session.infer(image)
        assert inference.outcome.startswith("fallback") and same(inference.output, expected)


def test_times_of_another_engine_are_warned_of_once(
    opened: Opened, image: Array, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    told = "the times of the {} were measured with openvino, and {} runs its half"
    monkeypatch.setattr("cic.session.session.engine_mismatch", lambda _, side, engine: told.format(side, engine))
    session = opened(None)
    with pytest.warns(CicWarning, match="times of the device were measured with openvino, and torchscript runs"):
        session(image)
    session(image)
    assert not recwarn.list


def asking(session: Session, images: Sequence[Array], expected: Sequence[Array], until_s: float) -> tuple[int, list[str]]:
    """A thread for each image: how many answers were right, and all errors."""
    errors: list[str] = []

    def ask(number: int) -> int:
        right = 0
        while time.monotonic() < until_s:
            try:
                right += same(session(images[number]), expected[number])
            except Exception as error:  # noqa: BLE001 - which one it is, is the question
                errors.append(repr(error))
                time.sleep(0.002)
        return right

    with ThreadPoolExecutor(len(images)) as threads:
        return sum(threads.map(ask, range(len(images)))), errors


@pytest.fixture
def eight(opened: Opened) -> tuple[list[Array], list[Array]]:
    """Images, and what the device answers to each."""
    images = [np.random.default_rng(seed).random((1, 3, 64, 64), np.float32) for seed in range(8)]
    session = opened()
    return images, [session(image) for image in images]


def test_many_threads_are_answered_whatever_happens_to_the_server(
    opened: Opened, slow_device: None, server: SmallServer, eight: tuple[list[Array], list[Array]]
) -> None:
    session, ended = opened(server.url, remote=True), threading.Event()

    def spoil() -> None:
        faults = [{"refuse": (503, "")}, {"reply": lambda _: None}, {"refuse": (500, "")}, {"reply": lambda _: b"no HTTP"}]
        for fault in faults * 2:
            for name, value in fault.items():
                setattr(server, name, value)
            ended.wait(0.03)
            server.refuse, server.reply = None, lambda content: content
            with session._means.lock:
                session._means.breaker.probe_succeeded()
            ended.wait(0.03)

    spoiling = threading.Thread(target=spoil)
    spoiling.start()
    right, errors = asking(session, *eight, time.monotonic() + 0.5)
    spoiling.join()
    assert right >= 16 and not errors


def test_a_session_may_be_closed_while_others_infer(
    opened: Opened, slow_device: None, server: SmallServer, eight: tuple[list[Array], list[Array]], image: Array
) -> None:
    """They are told what happened; nothing is loaded anew, and nothing answers any more."""
    for session in (opened(server.url, remote=True), opened()):
        closing = threading.Timer(0.1, session.close)
        closing.start()
        right, errors = asking(session, *eight, time.monotonic() + 0.3)
        closing.join()
        assert right > 0 and errors
        others = [error for error in errors if "is closed" not in error or not error.startswith(("InputError", "LinkError"))]
        assert not others
        assert not session._means.halves._loaded and not session._means.halves.busy
        with pytest.raises(InputError, match="the session is closed; open another one"):
            session(image)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_opens_a_session_of_its_own(opened: Opened, server: SmallServer, image: Array, expected: Array) -> None:
    """Both would send their requests over the same connections, under the same ids."""
    session, works = opened(server.url), [lambda: session(image), lambda: session.stream([]), lambda: session.conditions]
    session(image)
    with session._means.lock:  # as a thread that is no more may have held it
        child = os.fork()
        if child == 0:
            refused = 0
            for work in (*works, session.warm_up):
                try:
                    work()
                except InputError as error:
                    refused += "open one in each" in str(error)
            session.close()
            os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    assert same(session(image), expected)


def test_what_another_thread_has_told_already_is_no_error(opened: Opened) -> None:
    class Emptied(deque[str]):
        """As it is seen by a thread that was interrupted between a look and its use."""

        def __bool__(self) -> bool:
            return True

    session = opened()
    session._means.news = Emptied()
    session._means.tell_news()


# ------------------------------------------------------------------------------------------------------------- batches


@pytest.fixture(scope="module")
def open_bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, cic.SplittingModel, Path]:
    """A model with an open batch, and its halves."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 16, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 9, 10)
    network, path = nn.Sequential(*layers).eval(), tmp_path_factory.mktemp("batches") / "net.split"
    compiled = cic.compile(network, (torch.randn(2, 3, 18, 18),), device=WEAK, server=STRONG, dynamic={"input_1": {0: "b"}})
    with unverified_bundles():
        cic.emit(network, compiled, path)
    return network, compiled, path


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_calls_of_any_batch_are_answered_with_any_cut(
    open_bundle: tuple[nn.Module, cic.SplittingModel, Path], batch: int
) -> None:
    network, compiled, path = open_bundle
    x = torch.randn(batch, 3, 18, 18)
    with small_server(path) as server:
        for cut in compiled.cuts:
            with Session(path, compiled, server.url, cuts=[cut.id], batch=batch) as session:
                inference = session.infer(x)
                assert inference.outcome == ("remote" if cut.offloads else "local")
                torch.testing.assert_close(inference.output, network(x), rtol=1e-4, atol=1e-5)
                if cut.offloads:
                    assert inference.record.upload_bytes > cut.upload_bytes * batch // 2
                with pytest.raises(InputError, match=r"compiled for float32 of shape .*called with"):
                    session(torch.randn(batch + 1, 3, 18, 18))


def test_a_batch_is_one_that_halves_take(
    open_bundle: tuple[nn.Module, cic.SplittingModel, Path], project: Project, model: cic.SplittingModel
) -> None:
    network, compiled, path = open_bundle
    with Session(path, compiled) as session:
        x = torch.randn(2, 3, 18, 18)
        torch.testing.assert_close(session(x), network(x), rtol=1e-4, atol=1e-5)
    for wrong in (0, 65, 2.0, True):
        with pytest.raises(InputError, match="take a whole number from 1 to 64"):
            Session(path, compiled, batch=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has fixed shapes; compile and emit it with an open batch"):
        Session(project.split, model, batch=2)


class Kept(nn.Module):
    """As many rows as are above the mean of all."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 256), nn.Linear(256, 4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.second(self.first(x).relu())
        kept = torch.where(y[:, 0] > y[:, 0].mean())[0]
        return {"rows": y[kept], "places": kept}


def test_answers_of_any_length_come_back_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Kept().eval()
    compiled = cic.compile(network, (torch.randn(12, 8),), device=WEAK, server=STRONG)
    ends = ["server-only", "device-only"]
    cic.emit(network, compiled, tmp_path / "rows.split", cuts=ends)
    lengths = set()
    with small_server(tmp_path / "rows.split") as server:
        for cut_id in ends:
            with Session(tmp_path / "rows.split", compiled, server.url, cuts=[cut_id]) as session:
                for x in torch.randn(6, 12, 8):
                    inference, expected = session.infer(x), network(x)
                    assert inference.outcome == ("remote" if cut_id == "server-only" else "local")
                    lengths.add(len(expected["rows"]))
                    for name, tensor in expected.items():
                        torch.testing.assert_close(inference.output[name], tensor)
    assert len(lengths) > 1


class Dated(nn.Module):
    """A model that has an argument of the name that a session has, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, deadline: torch.Tensor) -> torch.Tensor:
        return self.first(x) * deadline


def test_a_model_gets_an_argument_of_its_own_that_is_called_deadline(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, x, deadline = Dated().eval(), torch.randn(1, 8), torch.randn(1, 4)
    compiled = cic.compile(network, (x,), {"deadline": deadline}, device=WEAK, server=STRONG)
    with unverified_bundles():
        cic.emit(network, compiled, tmp_path / "dated.split", cuts=["device-only"])
    with Session(tmp_path / "dated.split", compiled, deadline_s=5.0) as session:
        inference = session.infer(x, deadline=deadline)
        torch.testing.assert_close(inference.output, network(x, deadline))
        assert inference.record.deadline_s == 5.0
        with pytest.raises(InputError, match="deadline: compiled for a tensor"):
            session.infer(x, deadline="80ms")
        assert session.decide(deadline="80ms").in_time
