"""Fresh processes to verify in, cheaply: forks of an interpreter that has torch and `codegen` loaded and nothing of any model.

    python -m benchmarks.zoo_table.verifier

Reads the name of a request file of `codegen.verify_process` per line, answers one line of JSON: null, or what went
wrong.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from codegen.errors import CodegenError

ROOT = Path(__file__).resolve().parents[2]


class Verifier:
    """The interpreter that is forked; `start` again after a model's process was killed, which may leave it in mid-answer."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, or a new one in place of the old."""
        self.stop()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.zoo_table.verifier"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Kill it and its forks."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            self.process = None

    def run(self, requests: Sequence[Mapping[str, Any]], scratch: Path, progress: Callable[[str], None] | None) -> None:
        """What `codegen.verification.equivalence._run_fresh` does, in forks. Raises CodegenError with what one died of."""
        for request in requests:
            self._run(request, scratch)

    def _run(self, request: Mapping[str, Any], scratch: Path) -> None:
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        path = scratch / f"request-{request['half']}.json"
        path.write_text(json.dumps({**request, "threads": 1}), encoding="utf-8")
        print(path, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        error = json.loads(answer) if answer else "the verifier ended"
        if error is not None:
            raise CodegenError(f"the process that verifies each {request['half']} failed: {error}")


def main() -> None:
    """Serve until the input ends."""
    for module in ("torchscript", "exported_program", "onnx_program"):
        import_module(f"codegen.formats.{module}")
    from codegen.verify_process import answer as verify

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is printed on the way is no answer
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                verify(line.strip())
                loaded = [name for name in sys.modules if name.split(".")[0] in ("torchvision", "transformers", "tests")]
                error = f"the model's own code was imported: {loaded}" if loaded else None
            except BaseException as problem:  # it is told, and the process ends  # noqa: BLE001
                error = f"{type(problem).__name__}: {problem}; {traceback.format_exc(limit=-2)}"[:5000]
            os.write(writing, json.dumps(error).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        print(told or json.dumps(f"it ended with code {os.waitstatus_to_exitcode(status)}"), file=answers, flush=True)


if __name__ == "__main__":
    main()
