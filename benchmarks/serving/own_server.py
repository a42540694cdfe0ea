"""`cic serve` in a process of its own, and single requests to it, for the benchmarks of serving."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cic.codec.tensors import Array
from cic.protocol.answer import Answer, read_answer
from cic.protocol.request import JSON_LENGTH, coded_inputs, write_request
from cic.protocol.spoken_tail import SpokenTail


@contextmanager
def serving(bundle: Path, engine: str, threads: int = 1) -> Iterator[str]:
    """The URL of a server on loopback that answers for a bundle until the end of the block."""
    told = ["--port", "0", "--engine", engine, "--threads", str(threads)]
    with subprocess.Popen(
        [sys.executable, "-m", "cic", "serve", str(bundle), *told], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        try:
            assert line.startswith("serving "), line + process.stderr.read()
            yield line.split()[-1]
        finally:
            process.terminate()


def ask(link: http.client.HTTPConnection, spoken: SpokenTail, arrays: Sequence[Array]) -> Answer:
    """One request for a tail, and its answer."""
    headers, buffers = write_request(spoken, "1", coded_inputs(spoken, arrays))
    link.request("POST", f"/v2/models/{spoken.name}/infer", iter(buffers), headers)
    with link.getresponse() as response:
        body = response.read()
    assert response.status == 200, body
    length = int(response.headers[JSON_LENGTH])
    return read_answer(body[:length], memoryview(body)[length:], spoken, "1")
