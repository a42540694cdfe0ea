"""Requests that are wrong in one way each, after Triton's own tests (L0_http, L0_input_validation) and more."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.trust.attack.attacked_server import MIB, Victim
from cic.protocol.request import JSON_LENGTH, coded_inputs, write_request


def lies(server: Victim) -> dict[str, bytes]:
    """Requests that are wrong in one way each."""
    sound = json.loads(
        bytes(
            write_request(
                server.tail,
                "1",
                coded_inputs(server.tail, [np.zeros(each.wire.shape, np.float32) for each in server.tail.inputs]),
            )[1][0]
        )
    )

    def changed(**fields: Any) -> bytes:
        return server.request(json.dumps({**sound, **fields}).encode())

    def of_input(**fields: Any) -> bytes:
        return changed(inputs=[{**sound["inputs"][0], **fields}])

    deep = b"[" * 200_000 + b"]" * 200_000
    size = sound["inputs"][0]["parameters"]["binary_data_size"]
    made = {
        "JSON 200,000 deep": server.request(deep),
        "JSON 200,000 deep within an input": server.request(
            b'{"inputs":[' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"]}"
        ),
        "an empty body": server.request(b"", b""),
        "no JSON": server.request(b"\xff\xfe nonsense"),
        "NaN in JSON": server.request(b'{"inputs":NaN}'),
        "a number of 5,000 digits": server.request(b'{"inputs":[{"shape":[' + b"9" * 5000 + b"]}]}"),
        "no inputs": changed(inputs=[]),
        "an input twice": changed(inputs=sound["inputs"] * 2),
        "another input": of_input(name="x"),
        "no name": of_input(name=None),
        "another dtype": of_input(datatype="INT64"),
        "another shape": of_input(shape=[1, 3, 1, 1]),
        "a shape beyond int64": of_input(shape=[2**31, 2**31, 2**31]),
        "a negative shape": of_input(shape=[-1, 3, 128, 128]),
        "an unknown output": changed(outputs=[{"name": "nothing"}]),
        "another model": changed(parameters={**sound["parameters"], "cic_model": "0" * 16}),
        "an unknown codec": of_input(parameters={"binary_data_size": size, "codec": "../../etc/passwd"}),
        "an id of 1 MB": changed(id="x" * MIB),
        "shared memory": of_input(parameters={"shared_memory_region": "x", "shared_memory_byte_size": size}),
    }
    for number in (-1, 0, 1, size - 1, size + 1, 2**31, 2**63, "1", None, 1e9):
        made[f"binary_data_size {number}"] = of_input(parameters={"binary_data_size": number})
    for text in ("0", "-1", str(2**63), "1e3", "x", str(10**9), "１"):
        made[f"{JSON_LENGTH} {text.encode('ascii', 'backslashreplace').decode()}"] = server.request(
            **{JSON_LENGTH: text.encode().decode("latin-1")}
        )
    lengths = {"Content-Length": "10000000000"}
    made |= {
        "10 GB announced": server.head(lengths),
        "a length twice": server.request().replace(b"Host: x", b"Host: x\r\nContent-Length: 5", 1),
        "length and chunks": server.head({"Content-Length": "5", "Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n0\r\n\r\n",
        "400,000 chunks": server.head({"Transfer-Encoding": "chunked"}) + b"1\r\nx\r\n" * 400_000,
        "a gzip bomb": server.request(**{"Content-Encoding": "gzip"}),
        "a header of 5 MB": server.head({"X": "y" * 5 * MIB}),
        "100,000 headers": server.head({f"X-{number}": "y" for number in range(100_000)}),
        "a path of 1 MB": b"GET /" + b"a" * MIB + b" HTTP/1.1\r\n\r\n",
        "a path upwards": b"GET /v2/models/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        "an unknown method": b"BREW /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
        "another version of HTTP": b"GET /v2 HTTP/9.9\r\nHost: x\r\n\r\n",
        "no HTTP": bytes(range(256)) * 40 + b"\r\n\r\n",
        "a TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(200) + b"\r\n\r\n",
        "load a model": _post("/v2/repository/models/x/load"),
        "shared memory of the system": _post("/v2/systemsharedmemory/region/x/register"),
    }
    return made


def _post(path: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()


# The answer to one who goes on sending may be lost as the connection is closed.
MAY_BE_CLOSED = {"a header of 5 MB", "100,000 headers", "a path of 1 MB", "400,000 chunks"}
