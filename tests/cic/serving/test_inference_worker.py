"""Jobs are done in order by one thread, no more wait than may, and those that nobody waits for are left out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cic.codec.tensors import Array
from cic.errors import ProtocolError
from cic.protocol.answer import read_answer
from cic.protocol.request import JSON_LENGTH, read_request_head
from cic.serving.inference_worker import Answered, InferenceWorker, Job
from cic.serving.loaded_tails import LoadedTail
from tests.cic.protocol.spoken import TWO, drawn_for, request_bytes

TEXT, PAYLOADS = request_bytes(TWO, drawn_for(TWO.inputs))


@dataclass
class Engine:
    """Answers the same to everything, after `does`; threads: by which it was run."""

    does: Callable[[], object] = lambda: None
    outputs: tuple[Array, ...] = field(default_factory=lambda: drawn_for(TWO.outputs))
    threads: list[int] = field(default_factory=list)
    name: str = "fake"

    def run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        self.threads.append(threading.get_ident())
        self.does()
        return self.outputs


def job(engine: Any) -> Job:
    tail = LoadedTail(TWO, engine, 1000, 1000)
    head = read_request_head(TEXT, len(PAYLOADS), TWO)
    return Job(tail, head, memoryview(bytearray(PAYLOADS)), 5, asyncio.get_running_loop().create_future())


def working(places: int, does: Callable[[InferenceWorker], Awaitable[None]]) -> list[int]:
    """Run a coroutine with a worker, which is stopped afterwards; by which thread it was prepared."""
    worker, prepared = InferenceWorker(places), list[int]()

    async def main() -> None:
        worker.begin(lambda: prepared.append(threading.get_ident()))
        try:
            await does(worker)
        finally:
            worker.stop(5)

    asyncio.run(main())
    return prepared


def test_an_answer_says_what_took_how_long() -> None:
    async def does(worker: InferenceWorker) -> None:
        asked = job(engine)
        worker.submit(asked)
        answered: Answered = await asked.answer
        text, *payloads = map(bytes, answered.buffers)
        assert int(answered.headers[JSON_LENGTH]) == len(text)
        answer = read_answer(text, memoryview(bytearray(b"".join(payloads))), TWO, "17")
        assert answer.times == answered.times and answered.times.receive_us == 5
        np.testing.assert_array_equal(answer.outputs[1], engine.outputs[1])

    engine = Engine()
    assert working(1, does) == engine.threads != [threading.get_ident()]


def test_no_more_wait_than_may() -> None:
    release, begun = threading.Event(), threading.Event()
    engine = Engine(does=lambda: (begun.set(), release.wait(10)))

    async def does(worker: InferenceWorker) -> None:
        jobs = [job(engine) for _ in range(4)]
        worker.submit(jobs[0])
        assert await asyncio.to_thread(begun.wait, 10)
        for each in jobs[1:3]:
            assert not worker.full
            worker.submit(each)
        assert worker.full and worker.waiting == 2
        with pytest.raises(ProtocolError) as caught:
            worker.submit(jobs[3])
        assert caught.value.status == 503
        jobs[1].answer.cancel()
        assert worker.stuck(0) and not worker.stuck(10)
        release.set()
        await jobs[0].answer
        await jobs[2].answer

    working(2, does)
    assert len(engine.threads) == 2


@pytest.mark.parametrize(
    ("fails", "status"), [(ValueError("x"), 500), (MemoryError(), 503), (RecursionError(), 500), (KeyError("k"), 500)]
)
def test_a_failure_is_the_answer_to_its_job_alone(fails: Exception, status: int, capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise fails

    async def does(worker: InferenceWorker) -> None:
        bad, good = job(Engine(does=fail)), job(Engine())
        worker.submit(bad)
        worker.submit(good)
        with pytest.raises(ProtocolError) as caught:
            await bad.answer
        assert caught.value.status == status
        await good.answer

    working(2, does)
    assert type(fails).__name__ in capfd.readouterr().err


def test_what_the_manifest_has_not_is_no_answer() -> None:
    async def does(worker: InferenceWorker) -> None:
        asked = job(Engine(outputs=drawn_for(TWO.outputs)[:1]))
        worker.submit(asked)
        with pytest.raises(ProtocolError, match="the manifest has 2") as caught:
            await asked.answer
        assert caught.value.status == 500

    working(1, does)


def test_all_that_waits_can_be_given_up() -> None:
    release = threading.Event()
    engine = Engine(does=lambda: release.wait(10))

    async def does(worker: InferenceWorker) -> None:
        jobs = [job(engine) for _ in range(3)]
        for each in jobs:
            worker.submit(each)
        worker.give_up_all(ProtocolError("over", 503))
        outcomes = await asyncio.gather(*(each.answer for each in jobs), return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["over"] * 3
        release.set()

    working(5, does)
    assert len(engine.threads) <= 1
