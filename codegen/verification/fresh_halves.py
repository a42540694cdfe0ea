"""The fresh process in which halves are verified: started before they are written, since loading torch takes seconds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from codegen.errors import CodegenError
from codegen.fresh_process import fresh_command, fresh_environment

_ahead: list[subprocess.Popen[str]] = []
"""Processes that were started before there was a request."""


@contextmanager
def started_ahead() -> Iterator[None]:
    """Start the next verification's process now: it has torch loaded, which takes seconds, when it gets its request."""
    process = _fresh_process()
    _ahead.append(process)
    try:
        yield
    finally:
        if process in _ahead:
            _ahead.remove(process)
            _end(process)


def _fresh_process() -> subprocess.Popen[str]:
    """A new interpreter that waits for its requests, with as many threads as this one."""
    command, environment = fresh_command("codegen.verify_process", []), fresh_environment(torch.get_num_threads())
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace")


def _end(process: subprocess.Popen[str]) -> None:
    """Kill it and its forks: these hold its output, and use the files of this verification until they are gone."""
    with process:
        process.kill()  # else leaving this block would wait for the rest of its work
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.read()


def run_fresh(requests: Sequence[Mapping[str, Any]], scratch: Path, progress: Callable[[str], None] | None) -> None:
    """Let `codegen.verify_process` answer requests, in order, in a new interpreter or in one that was started ahead.

    progress: is told each line that it prints. Raises CodegenError, naming the half and its last words, if it fails.
    """
    files = [scratch / f"request-{request['half']}.json" for request in requests]
    for request, file in zip(requests, files, strict=True):
        file.write_text(json.dumps({**request, "threads": torch.get_num_threads()}), encoding="utf-8")
    try:
        process = _ahead.pop()
    except IndexError:  # there is none, or another thread was quicker
        process = _fresh_process()
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    finished = 0
    told: list[str] = []
    listener = Thread(target=told.extend, args=(process.stderr,), daemon=True)
    listener.start()
    try:
        with suppress(BrokenPipeError):  # it ended by itself, and its code says more
            print(json.dumps(list(map(str, files))), file=process.stdin, flush=True)
        for line in process.stdout:
            finished += 1
            if progress is not None:
                progress(line.strip())
        process.wait()
        listener.join()
    finally:
        _end(process)
    if process.returncode:
        lines = "".join(told).strip().splitlines()
        raise CodegenError(
            f"the process that verifies each {_half_after(requests, finished)} ended with code {process.returncode}:"
            f" {lines[-1] if lines else 'it said nothing'}"
        )


def _half_after(requests: Sequence[Mapping[str, Any]], finished: int) -> str:
    """Which half is run when so many of all jobs are finished."""
    for request in requests:
        finished -= len(request["jobs"])
        if finished < 0:
            break
    return str(request["half"])
