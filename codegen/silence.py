"""What torch and the packages below it log, warn of and print, silenced where an error of our own says what matters."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any


@contextmanager
def silence(*loggers: str) -> Iterator[None]:
    """Let neither warnings through, nor what the named loggers and those below them say, nor what torch prints.

    Torch logs whole tracebacks, and prints the graph of a model whose export fails. What other code prints is passed on.
    """
    named = [logging.getLogger(name) for name in (*loggers, *_below(loggers))]
    were_disabled = [logger.disabled for logger in named]
    for logger in named:
        logger.disabled = True
    try:
        with warnings.catch_warnings(), redirect_stderr(_WithoutTorch(sys.stderr)), redirect_stdout(_WithoutTorch(sys.stdout)):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was_disabled in zip(named, were_disabled, strict=True):
            logger.disabled = was_disabled


def _below(loggers: tuple[str, ...]) -> list[str]:
    known = [name for name, logger in logging.root.manager.loggerDict.items() if isinstance(logger, logging.Logger)]
    return [name for name in known if name.startswith(tuple(f"{logger}." for logger in loggers))]


class _WithoutTorch:
    """A stream like the one given, without what torch's own code writes to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        is_torch = str(sys._getframe(1).f_globals.get("__name__", "")).partition(".")[0] == "torch"
        return len(text) if is_torch or self._stream is None else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
