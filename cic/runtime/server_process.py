"""The tail's process as seen by the one that starts it."""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
from pathlib import Path

from cic.errors import LinkError
from cic.runtime.onward import Onward
from cic.runtime.paced_link import Pacing
from codegen.fresh_process import fresh_command, fresh_environment

_SECONDS_TO_END = 5.0
# Loading torch and packing a large tail takes longer than any silence on a link.
_SECONDS_TO_START = 120.0
_LAST_BYTES = 1 << 16


class ServerProcess:
    """`python -m cic.runtime.tail_process` for one cut; `stop` it when done.

    pacing: of what it sends, and its patience with what it receives. onward: it runs a part of the tail and passes on the rest.
    Raises LinkError if it cannot be started, as when there is no directory for temporary files.
    """

    def __init__(
        self,
        directory: Path,
        cut_id: str,
        pacing: Pacing,
        *,
        format_name: str | None = None,
        threads: int = 1,
        onward: Onward | None = None,
    ) -> None:
        arguments = ["--directory", str(directory), "--cut", cut_id, "--threads", str(threads)]
        arguments += [] if format_name is None else ["--format", format_name]
        if pacing.bandwidth_bps is not None:
            arguments += ["--downlink-bps", repr(pacing.bandwidth_bps)]
        arguments += ["--delay-s", repr(pacing.delay_s), "--patience-s", repr(pacing.patience_s)]
        arguments += [] if onward is None else onward.options()
        command, environment = fresh_command("cic.runtime.tail_process", arguments), fresh_environment(threads)
        # A file instead of a pipe: nobody reads it while the process runs, and a full pipe would stop it.
        try:
            self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by stop()
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, text=True
            )
        except OSError as error:
            raise LinkError(f"the server's process cannot be started: {error.strerror or error}") from error

    def port(self) -> int:
        """The port it listens on, once its tail is loaded. Raises LinkError if it ends or says nothing for too long."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(_SECONDS_TO_START):
                raise LinkError(f"the server's process did not start within {_SECONDS_TO_START:g} s")
        word, _, number = self._process.stdout.readline().strip().partition(" ")
        if word == "port" and number.isdigit():
            return int(number)
        raise LinkError(f"the server's process did not start: {self.last_words() or 'it said nothing'}")

    def last_words(self) -> str:
        """The last line it wrote on stderr, if it did, or has ended or is about to."""
        deadline = time.monotonic() + 1.0
        while self._process.poll() is None and not self._written() and time.monotonic() < deadline:
            time.sleep(0.01)
        lines = self._written().strip().splitlines()
        if lines:
            return lines[-1]
        return "" if self._process.poll() is None else f"nothing, and ended with code {self._process.returncode}"

    def stop(self) -> None:
        """End the process, which else would wait for the next connection."""
        try:
            self._process.terminate()
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _written(self) -> str:
        """The end of what it wrote on stderr. Read without moving where the process writes, which is shared with it."""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), _LAST_BYTES, max(0, size - _LAST_BYTES)).decode(errors="replace")
