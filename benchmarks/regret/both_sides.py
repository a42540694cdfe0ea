"""A network's server and device process on the testbed, ready to be asked cell by cell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from benchmarks.testbed.testbed import Testbed

PORT = 8000
STARTING_S = 120.0


@dataclass(frozen=True)
class Device:
    """The device's process. url: of the server, as it sees it."""

    process: subprocess.Popen[str]
    testbed: Testbed
    url: str

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Send a line, and wait for the line that answers it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line that the process writes."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the device's process ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def served(share: float, bundle: Path) -> Iterator[tuple[Testbed, str]]:
    """A testbed whose device has this share of a core, and whose server answers for a bundle; and the server's URL."""
    with Testbed(share) as testbed:
        serve = [sys.executable, "-m", "cic", "serve", str(bundle.resolve()), "--host", testbed.address, "--port", f"{PORT}"]
        server = testbed.run_on_server([*serve, "--insecure"], stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        until, said = monotonic() + STARTING_S, ""
        while monotonic() < until:
            line = server.stderr.readline()
            if line.startswith("serving"):
                break
            if not line:
                raise SystemExit(f"the server ended with {server.wait()}: {said}")
            said = line.strip()
            sleep(0.01)
        yield testbed, f"http://{testbed.address}:{PORT}"


@contextmanager
def device(testbed: Testbed, url: str, module: str, arguments: list[str]) -> Iterator[Device]:
    """A process on the device that answers lines with lines; its first line is read already."""
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    process = testbed.run_on_device(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found = Device(process, testbed, url)
    found.answer()
    try:
        yield found
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
