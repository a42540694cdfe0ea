"""The interpreter that is forked: third parties loaded at the first command, one fork a command, none of our code."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
import types
import warnings
from pathlib import Path

THIRD_PARTIES = ("torch", "numpy", "safetensors.torch", "torch.export", "onnx", "onnxruntime")


def serve(listener: socket.socket, directory: Path) -> None:
    """Answer until the input ends, which whoever started this process holds open."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that ended leave nothing behind
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        _load(directory)
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with contextlib.suppress(ConnectionError):
                _answer(connection, directory)
            os._exit(0)
        connection.close()


def _load(directory: Path) -> None:
    """Once; then it does nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in THIRD_PARTIES:
            importlib.import_module(name)
    if sys.dont_write_bytecode:  # then each fork would compile our code anew
        sys.pycache_prefix, sys.dont_write_bytecode = str(directory / "bytecode"), False
    gc.freeze()  # what is loaded stays, so no fork's collector need touch it


def _answer(connection: socket.socket, directory: Path) -> None:
    """Run one command in a fork of its own, pass signals on to it, and kill it when nobody waits any more."""
    size, files, _, _ = socket.recv_fds(connection, 8, 3)
    told = json.loads(connection.recv(int.from_bytes(size, "little"), socket.MSG_WAITALL))
    child = os.fork()
    if not child:
        connection.close()
        sys.executable = str(directory / "python")  # what it starts is warm, too
        _run(files, told)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(child)
    while True:
        ready, _, _ = select.select([connection, ended], [], [])
        if ended in ready:
            break
        number = connection.recv(1)
        os.kill(child, number[0] if number else signal.SIGKILL)
        if not number:
            break
    _, status = os.waitpid(child, 0)
    connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "little", signed=True))


def _run(files: list[int], told: dict) -> None:
    """Become the command: never returns."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    code = 1
    try:
        code = _program(told["arguments"], told["directory"], told["environment"])
    except BaseException:  # whatever it raised, its process has ended  # noqa: BLE001
        traceback.print_exc()
    with contextlib.suppress(BaseException):
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF)


def _program(arguments: list[str], directory: str, environment: dict[str, str]) -> int:
    """Run it as the interpreter would, and return its exit code."""
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    safe = arguments[:1] == ["-P"]
    kind, *rest = arguments[safe:]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    searched = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    first = directory if kind == "-m" else "" if kind == "-c" else str(Path(kind).resolve().parent)
    sys.path[:1] = searched if safe else [first, *searched]
    try:
        if kind == "-m":
            sys.argv = rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), vars(main))
        else:
            sys.argv = [kind, *rest]
            runpy.run_path(kind, run_name="__main__")
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            return ending.code or 0
        print(ending.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 0


if __name__ == "__main__":
    place = Path(sys.argv[1])
    try:
        serve(socket.socket(fileno=int(sys.argv[2])), place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
