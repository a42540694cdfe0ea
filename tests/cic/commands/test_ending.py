"""A command that is told to end runs every `finally` on its way out, and says by its code what ended it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from cic.commands.ending import ending_tidily

TOLD = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_DFL) for number in TOLD}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", TOLD)
def test_a_signal_unwinds_the_block_once(number: signal.Signals) -> None:
    tidied = []
    with pytest.raises(SystemExit) as end, ending_tidily():
        try:
            os.kill(os.getpid(), number)
        finally:
            for impatient in TOLD:
                os.kill(os.getpid(), impatient)
            tidied.append(True)
    assert end.value.code == 128 + number and tidied == [True]
    assert all(signal.getsignal(each) is signal.SIG_DFL for each in TOLD)


def test_handlers_of_others_stay() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ending_tidily():
        for number in TOLD:
            os.kill(os.getpid(), number)
    assert heard == [signal.SIGTERM] and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_outside_of_the_main_thread_nothing_changes() -> None:
    seen = []

    def run() -> None:
        with ending_tidily():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
