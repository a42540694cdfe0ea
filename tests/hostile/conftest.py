"""One process that runs the halves of all hostile models and never imports their code; one each would take minutes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from codegen.bundle import bundle
from codegen.errors import CodegenError
from codegen.verification import equivalence

ROOT = Path(__file__).resolve().parents[2]
_WORKER = """
import sys, warnings
warnings.simplefilter("ignore")
from codegen.verify_process import answer
for line in sys.stdin:
    try:
        answer(line.strip())
        assert not [name for name in sys.modules if name.startswith("tests")], "the models' own code was imported"
        print("END", flush=True)
    except Exception as error:
        print("END", type(error).__name__, str(error).replace(chr(10), " "), flush=True)
"""


@pytest.fixture(scope="module")
def verifying_process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def one_verifying_process(verifying_process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Send the requests of `codegen.verification.equivalence` to the one process instead of a new one each."""

    def run(requests: Sequence[dict[str, Any]], scratch: Path, progress: Callable[[str], None] | None) -> None:
        for request in requests:
            run_one(request, scratch)

    def run_one(request: dict[str, Any], scratch: Path) -> None:
        path = scratch / f"request-{request['half']}.json"
        path.write_text(json.dumps({**request, "threads": 1}), encoding="utf-8")
        assert verifying_process.stdin is not None and verifying_process.stdout is not None
        print(path, file=verifying_process.stdin, flush=True)
        for line in verifying_process.stdout:
            if line.startswith("END"):
                if line.strip() != "END":
                    raise CodegenError(line)
                return
        raise CodegenError("the verifying process ended")

    monkeypatch.setattr(equivalence, "_run_fresh", run)
    monkeypatch.setattr(bundle, "started_ahead", nullcontext)
