"""A session in asyncio: many inferences at once, a stream, and the same errors."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import cic
from cic.engine.engine import Array
from cic.errors import InputError
from cic.session.async_session import AsyncSession
from tests.cic.conftest import Project
from tests.cic.session.small_server import SmallServer


def test_inferences_are_awaited(
    project: Project, model: cic.SplittingModel, server: SmallServer, image: Array, expected: Array
) -> None:
    async def run() -> list[Array]:
        async with AsyncSession(project.split, model, server.url, cuts=["cut-01"], at_once=3) as session:
            await session.warm_up(0.5)
            answers = await asyncio.gather(*(session(image) for _ in range(8)))
            with pytest.raises(InputError):
                await session.infer("no image")
            streamed = [inference.output async for inference in session.stream([image] * 4)]
            return [*answers, *streamed]

    answers = asyncio.run(run())
    assert len(answers) == 12 and all(np.allclose(answer, expected, rtol=1e-4, atol=1e-5) for answer in answers)


def test_a_cancelled_inference_is_not_waited_for(
    project: Project, model: cic.SplittingModel, server: SmallServer, image: Array
) -> None:
    async def run() -> str:
        async with AsyncSession(project.split, model, server.url, cuts=["cut-01"]) as session:
            await session.infer(image)
            server.delay_s = 0.5
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.infer(image), 0.05)
            server.delay_s = 0.0
            return (await session.infer(image)).outcome

    assert asyncio.run(run()) == "remote"


def test_who_awaits_while_the_session_is_closed_is_told(
    project: Project, model: cic.SplittingModel, server: SmallServer, image: Array
) -> None:
    async def run() -> list[object]:
        session = AsyncSession(project.split, model, server.url, at_once=1)
        await session(image)
        waiting = [asyncio.ensure_future(session(image)) for _ in range(20)]
        await asyncio.sleep(0)
        await session.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(InputError, match="is closed"):
            await session(image)
        return outcomes

    outcomes = asyncio.run(run())
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert errors and all(isinstance(error, InputError) and "is closed" in str(error) for error in errors)
