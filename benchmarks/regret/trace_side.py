"""The device of the testbed while the bandwidth follows a trace: one cut, or a session, asked again as soon as it has answered.

Each line of the standard input is a run, as JSON: {"way": a label, or "session", "seconds": how long}; {"way": "parts"} asks
what each cut takes on device and server, and how many bytes it sends. Each is answered with a line.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median
from typing import Any

from benchmarks.regret.device_side import PATIENCE_S, SESSION, SETTLING_S, Given, StaticCut, given
from cic.codec.tensors import Array
from cic.session.session import Session

ROUNDS = 9


def parts(statics: dict[str, StaticCut], inputs: list[Array]) -> dict[str, Any]:
    """Of each cut: medians of the seconds on device and server, and bytes up and down."""
    taken: dict[str, list[tuple[float, float, float]]] = {label: [] for label in statics}
    for _ in range(ROUNDS):
        for label, static in statics.items():
            taken[label].append(static.run(inputs))
    return {
        label: {
            "device_s": median(device_s for device_s, _, _ in rows),
            "server_s": median(server_s for _, server_s, _ in rows),
            "bytes": statics[label].bytes,
        }
        for label, rows in taken.items()
    }


def followed(loaded: Given, seconds: float) -> list[list[Any]]:
    """What a session did: when each inference began, how long it took, by which cut, and with which outcome."""
    with Session(loaded.bundle, loaded.model, loaded.url) as session:
        session.warm_up(SETTLING_S)
        print(json.dumps({"ready": True}), flush=True)
        sys.stdin.readline()
        rows, started = [], time.monotonic()
        while (began := time.monotonic()) < started + seconds:
            inference = session.infer(*loaded.inputs)
            took_s = time.monotonic() - began
            label = f"{inference.record.cut_id} {','.join(inference.record.codecs)}".strip()
            rows.append([round(began - started, 4), round(took_s, 5), label, inference.outcome])
        return rows


def held(static: StaticCut, inputs: list[Array], seconds: float) -> list[list[Any]]:
    """The same of one cut."""
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    rows, started = [], time.monotonic()
    while (began := time.monotonic()) < started + seconds:
        static.run(inputs)
        rows.append([round(began - started, 4), round(time.monotonic() - began, 5)])
    return rows


def main() -> None:
    """Answer lines with lines."""
    loaded = given(sys.argv[1:])
    statics, inputs = loaded.statics, loaded.inputs
    rtt_s = median(loaded.remote.health(PATIENCE_S).last_byte_s for _ in range(ROUNDS))
    print(json.dumps({"cuts": list(statics)}), flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        if told["way"] == "parts":
            answer: Any = {"rtt_s": rtt_s, "parts": parts(statics, inputs)}
        elif told["way"] == SESSION:
            answer = {"rows": followed(loaded, told["seconds"])}
        else:
            answer = {"rows": held(statics[told["way"]], inputs, told["seconds"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
