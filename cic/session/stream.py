"""A stream of inferences: while one is on the link or with the server, the device computes the next. Answers come in order.

Uploads take turns, for two at a time would only halve each other; but while the server works on one, the next is sent. In a
session by throughput one may be on the way back, and others wait for the server, besides.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cic.session.inference import Running, Steps
from cic.session.inference_result import Inference

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

# How often a thread that waits for room looks whether anybody still wants its results.
_LOOK_S = 0.1
_END = object()


@dataclass(frozen=True)
class _Sent:
    """An inference that has left the device, and the future of its answer."""

    running: Running
    answered: Future[None]


@dataclass
class _Line:
    """What the thread of the device and the one that asks share. closed: nobody asks any more."""

    steps: Steps
    inputs: Iterator[Any]
    made: queue.Queue[Any]
    link: ThreadPoolExecutor
    turn: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False

    def work(self) -> None:
        """Run heads until the inputs end or nobody asks any more."""
        try:
            for given in self.inputs:
                if not self._put(self._begun(given)):
                    return
        except Exception as error:  # noqa: BLE001 - whatever the source of inputs raises belongs to the one who asks
            self._put(error)
        finally:
            self._put(_END)

    def _begun(self, given: Any) -> Any:
        try:
            running = self.steps.on_device(*_call_of(given))
            return _Sent(running, self.link.submit(self.steps.on_link, running, self.turn))
        except Exception as error:  # noqa: BLE001 - told in its place
            return error

    def _put(self, item: Any) -> bool:
        while not self.closed:
            try:
                self.made.put(item, timeout=_LOOK_S)
                return True
            except queue.Full:
                continue
        return False


class Stream:
    """An iterator of `Inference`. An inference that fails raises its error where its answer would be; `next` goes on behind it.

    Left early it is to be closed, as a `with` statement does. at_once: so many are on the link or with the server at most.
    """

    def __init__(
        self, steps: Steps, inputs: Iterable[Any], ahead: int, finished: Callable[[Inference], Inference], *, at_once: int = 2
    ) -> None:
        self._finished = finished
        self._ended = False
        link = ThreadPoolExecutor(at_once, thread_name_prefix="cic-link")
        self._line = _Line(steps, iter(inputs), queue.Queue(ahead), link)
        self._thread = threading.Thread(target=self._line.work, name="cic-device", daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Inference:
        """The next inference. Raises what `Session.infer` raises, and whatever the iterable of inputs does."""
        item: Any = _END if self._ended else self._line.made.get()
        if item is _END:
            self.close()
            raise StopIteration
        if isinstance(item, Exception):
            raise item
        item.answered.result()
        return self._finished(self._line.steps.finish(item.running))

    def close(self) -> None:
        """Take no more inputs; what is under way is not waited for."""
        self._ended = self._line.closed = True
        self._line.link.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_line"):
            self.close()


def _call_of(given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(given, tuple):
        return given, {}
    return ((), given) if isinstance(given, dict) else ((given,), {})
