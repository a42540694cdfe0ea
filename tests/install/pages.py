"""The shell lines of README.md and docs, and a machine of their own to run them on as they are written."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.contracts.source_files import ROOT

SERVER = "10.0.0.2"
"""The server's address on all pages; docs/deploy.md calls it SERVER, too."""
_SERVES = re.compile(r"^(\S*/)?cic serve ")
_NEEDS_PACKAGES = re.compile(r"\bpip install\b")


def shell_lines(page: str) -> list[str]:
    """The lines of all `sh` blocks of a page, continued ones as one."""
    blocks = re.findall(r"^```sh\n(.*?)^```", ROOT.joinpath(page).read_text(encoding="utf-8"), flags=re.M | re.S)
    return [line for block in blocks for line in _whole(block)]


def _whole(block: str) -> list[str]:
    lines: list[str] = []
    for line in block.splitlines():
        if lines and _is_open(lines[-1]):
            lines[-1] += f"\n{line}"
        else:
            lines.append(line)
    return lines


def _is_open(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False


@dataclass
class Terminal:
    """Runs lines in a directory. namespace: of a network where both addresses are this machine's, and ports are free.

    ran: the lines that were run, each with what it printed.
    """

    directory: Path
    environment: Mapping[str, str]
    namespace: str
    ran: dict[str, str] = field(default_factory=dict)
    _servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, line: str) -> str:
        """Run one line; a server that it starts goes on until `stop`. Fails unless it ends well."""
        return self._serve(line) if _SERVES.match(line) else self._finish(line)

    def _finish(self, line: str) -> str:
        done = subprocess.run(
            self._command(line), cwd=self.directory, env=dict(self.environment), capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        self.ran[line] = done.stdout
        return done.stdout

    def _serve(self, line: str) -> str:
        self.stop()
        told = self.directory / "served.txt"
        with told.open("w") as file:
            command = self._command(f"exec {line}")
            self._servers.append(
                subprocess.Popen(command, cwd=self.directory, env=dict(self.environment), stdout=file, stderr=file, text=True)
            )
        deadline_s = time.monotonic() + 300
        while " on http" not in told.read_text():
            assert self._servers[-1].poll() is None and time.monotonic() < deadline_s, f"{line}\n{told.read_text()}"
            time.sleep(0.2)
        self.ran[line] = told.read_text()
        return self.ran[line]

    def stop(self) -> None:
        """End the server, as Ctrl-C does; it has to end well."""
        while self._servers:
            server = self._servers.pop()
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=60) == 0

    def _command(self, line: str) -> list[str]:
        inside = [] if _NEEDS_PACKAGES.search(line) else ["ip", "netns", "exec", self.namespace]
        return [*inside, "bash", "-c", line]


@contextmanager
def network() -> Iterator[str]:
    """A network namespace where the server's address and name are this machine's own; its name."""
    name = f"cic-install-{uuid.uuid4().hex[:8]}"
    hosts = Path("/etc/netns") / name
    ip = ["ip", "netns"]
    subprocess.run([*ip, "add", name], check=True)
    try:
        hosts.mkdir(parents=True)
        (hosts / "hosts").write_text(f"127.0.0.1 localhost\n{SERVER} SERVER\n")
        subprocess.run([*ip, "exec", name, "ip", "link", "set", "lo", "up"], check=True)
        subprocess.run([*ip, "exec", name, "ip", "address", "add", f"{SERVER}/32", "dev", "lo"], check=True)
        yield name
    finally:
        subprocess.run([*ip, "delete", name], check=False)
        shutil.rmtree(hosts, ignore_errors=True)


def missing_for_network() -> str | None:
    """Why there can be no such network here; None if there can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    return None if shutil.which("ip") else "there is no ip, of iproute2"
