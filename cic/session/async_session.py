"""`AsyncSession`: a session for asyncio. Inferences run in threads, as they wait for the processor, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from cic.decision.arguments import check_number
from cic.session.inference import Inference
from cic.session.session import Session

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_DONE = object()


class AsyncSession:
    """As `cic.Session`, with the same arguments; `at_once` is how many inferences may run at the same time.

        async with cic.AsyncSession("model.split", "model.cic", server="https://10.0.0.2:8000") as session:
            answer = await session(image)

    An inference whose task is cancelled is not waited for; it ends by itself.
    """

    def __init__(self, *arguments: Any, at_once: int = 4, **options: Any) -> None:
        check_number(at_once, "at_once", 1, 1000, whole=True)
        self.session = Session(*arguments, **options)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="cic-inference")

    async def infer(self, *args: Any, **kwargs: Any) -> Inference:
        """See `Session.infer`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(self.session.infer, *args, **kwargs))

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's answer; see `Session.infer`."""
        return (await self.infer(*args, **kwargs)).output

    async def stream(self, inputs: Iterable[Any], *, ahead: int = 2) -> AsyncIterator[Inference]:
        """See `Session.stream`."""
        loop = asyncio.get_running_loop()
        with self.session.stream(inputs, ahead=ahead) as stream:
            while (inference := await loop.run_in_executor(self._threads, next, stream, _DONE)) is not _DONE:
                assert isinstance(inference, Inference)
                yield inference

    async def warm_up(self, wait_s: float = 5.0) -> bool:
        """See `Session.warm_up`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.session.warm_up, wait_s)

    async def close(self) -> None:
        """See `Session.close`."""
        await asyncio.get_running_loop().run_in_executor(None, self.session.close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
