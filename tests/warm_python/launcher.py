"""What stands in for an interpreter: hands arguments, directory, environment and open files to the server, and waits.

Signals are passed on. The process ends as the one it stands for: with the same code, or by the same signal.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(address: str, real: str, *arguments: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(60)
        server.connect(address)
        server.settimeout(None)
        told = json.dumps({"arguments": arguments, "directory": os.getcwd(), "environment": dict(os.environ)}).encode()
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: server.sendall(bytes([number])))
        socket.send_fds(server, [len(told).to_bytes(8, "little")], [0, 1, 2])
        server.sendall(told)
        answer = server.recv(4, socket.MSG_WAITALL)
    if len(answer) < 4:
        sys.exit("the warm interpreter ended")
    code = int.from_bytes(answer, "little", signed=True)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def needs_the_real_one(arguments: list[str]) -> bool:
    """Options other than -P, programs from the input, and variables that change the interpreter cannot be imitated."""
    changing = {"PYTHONHOME", "PYTHONOPTIMIZE", "PYTHONHASHSEED", "PYTHONWARNINGS", "PYTHONUTF8", "PYTHONSAFEPATH"}
    given = arguments[arguments[:1] == ["-P"] :]
    return (
        not given
        or (given[0].startswith("-") and given[0] not in ("-m", "-c"))
        or any(name in changing for name in os.environ)
        or os.environ.get("OMP_NUM_THREADS", "1") != "1"
    )


if __name__ == "__main__":
    if needs_the_real_one(sys.argv[3:]):
        os.execv(sys.argv[2], sys.argv[2:])
    main(*sys.argv[1:])
