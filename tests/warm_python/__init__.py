"""Fresh processes without the seconds that torch takes to load: forks of an interpreter that has it loaded, nothing of ours.

`executable()` is a stand-in for `sys.executable`. A command that starts with it runs as `python -m …`, `python -c …` or
`python file …` would, in a process of its own that has imported none of our code, with the directory, environment and open
files it was given. Options of the interpreter but -P, or an environment that changes it, lead to the real one.

One server serves a whole test run. It loads torch at the first command, and ends with the process that started it.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

REAL = sys.executable
_VARIABLE = "CIC_TESTS_WARM_PYTHON"
_HERE = Path(__file__).parent


def start() -> subprocess.Popen[bytes] | None:
    """Start the server, unless this process inherited one. It ends when its input does."""
    if _VARIABLE in os.environ:
        return None
    directory = Path(tempfile.mkdtemp(prefix="warm-python-"))
    launcher = shlex.join([REAL, "-IS", str(_HERE / "launcher.py"), str(directory / "socket"), REAL])
    (directory / "python").write_text(f'#!/bin/sh\nexec {launcher} "$@"\n')
    (directory / "python").chmod(0o755)
    os.environ[_VARIABLE] = str(directory)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
        listener.listen(64)  # from now on a command can connect, and waits until the server has started
        command = [REAL, str(_HERE / "server.py"), str(directory), str(listener.fileno())]
        # Its stdout and stderr are for what goes wrong in the server itself; commands have their own.
        return subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and everything it runs."""
    server.communicate()
    del os.environ[_VARIABLE]


def executable() -> str:
    """The path to put in place of `sys.executable`."""
    return str(Path(os.environ[_VARIABLE], "python"))
