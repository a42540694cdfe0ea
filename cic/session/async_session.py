"""`AsyncSession`: a session for asyncio. Inferences run in threads, as they wait for the processor, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from cic.decision.arguments import check_number
from cic.errors import InputError
from cic.session.inference_result import Inference
from cic.session.session import Session

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_DONE = object()
T = TypeVar("T")


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
        self._closed = False

    async def infer(self, *args: Any, **kwargs: Any) -> Inference:
        """See `Session.infer`."""
        return await self._in_thread(partial(self.session.infer, *args, **kwargs))

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's answer; see `Session.infer`."""
        return (await self.infer(*args, **kwargs)).output

    async def stream(self, inputs: Iterable[Any], *, ahead: int | None = None) -> AsyncIterator[Inference]:
        """See `Session.stream`."""
        with self.session.stream(inputs, ahead=ahead) as stream:
            while (inference := await self._in_thread(partial(next, stream, _DONE))) is not _DONE:
                assert isinstance(inference, Inference)
                yield inference

    async def warm_up(self, wait_s: float = 5.0) -> bool:
        """See `Session.warm_up`."""
        return await self._in_thread(partial(self.session.warm_up, wait_s))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # A fork has none of the threads.
        self.session._means.check_process()
        if self._closed:
            raise InputError("the session is closed; open another one")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def close(self) -> None:
        """See `Session.close`."""
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self.session.close)
        # Those that wait for a thread are told that the session is closed. To cancel them would cancel whoever awaits them.
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
