"""Measure the codecs on one core of this machine, and how fast that core is: what codec times of the catalogue scale from.

    python -m benchmarks.codec_times        # writes cic/cost/codec_times.json and benchmarks/results/codec_times.md

The machine's figures are fitted to its own latencies of whole networks, measured as `cic profile` does, in the same way
as those of the catalogue are fitted to published ones. Needs torchvision and scipy; two minutes on one quiet core.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.fit_machines import fit
from cic.codec.registry import codec
from cic.cost.codec_measure import SHIFTS, SIZES, activation, measure_codecs
from cic.cost.codec_time import CodecTime
from cic.cost.host import describe_host
from cic.cost.stopwatch import optimise, seconds_of, torch_threads
from cic.trace.torch_trace import trace
from tests.torchvision_beside_cpu_torch import import_torchvision

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("resnet18", "resnet50", "mobilenet_v2", "squeezenet1_1", "vgg16", "mobilenet_v3_large", "shufflenet_v2_x1_0")
COMMAND = "python -m benchmarks.codec_times"


def main() -> None:
    with torch_threads(1), torch.no_grad():
        machine = fit(*_measured_latencies())
        times = measure_codecs(budget_s=0.05)
        checked = {time.codec: _check(time) for time in times}
    host = asdict(describe_host())
    body = {"command": COMMAND, "host": host, "machine": asdict(machine), "codecs": [asdict(time) for time in times]}
    ROOT.joinpath("cic", "cost", "codec_times.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    text = _table(machine.name, times, checked)
    ROOT.joinpath("benchmarks", "results", "codec_times.md").write_text(text, encoding="utf-8")
    print(text)


def _measured_latencies() -> tuple[dict[str, Any], dict[str, Any]]:
    milliseconds, graphs = {}, {}
    for name in MODELS:
        image = torch.rand(1, 3, 224, 224)
        traced = trace(getattr(import_torchvision().models, name)(weights=None).eval(), (image,), name=name)
        graphs[name] = traced.graph
        milliseconds[name] = seconds_of(optimise(traced.module, [image]), 3.0)[0] * 1e3
    host = describe_host()
    entry = {
        "name": f"{host.processor}, 1 thread",
        "threads": 1,
        "source": f"measured whole networks, {COMMAND}",
        "milliseconds": milliseconds,
    }
    return entry, graphs


def _check(time: CodecTime) -> float:
    """Median relative error of the fitted times, encoding and decoding, measured once more."""
    chosen, errors = codec(time.codec), []
    for tensor in (activation(size, shift) for size in SIZES for shift in SHIFTS):
        payload = bytes(chosen.encode(tensor))
        encode_s = seconds_of(partial(chosen.encode, tensor), 0.02)[0]
        decode_s = seconds_of(partial(chosen.decode, payload, tensor.shape, "float32"), 0.02)[0]
        errors.append(abs(time.encode.seconds(tensor.size, len(payload)) / encode_s - 1))
        errors.append(abs(time.decode.seconds(tensor.size, len(payload)) / decode_s - 1))
    return median(errors)


def _table(machine: str, times: tuple[CodecTime, ...], checked: dict[str, float]) -> str:
    lines = [
        "# Times of the codecs",
        "",
        f"Written by `{COMMAND}` on {machine}. Microseconds, nanoseconds a value, nanoseconds a byte of payload; error: median",
        "over sizes and shares of zeros, measured once more.",
        "",
        "| codec | encode: fixed | a value | a byte | decode: fixed | a value | a byte | error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for time in times:
        cells = [
            f"{rate.fixed_s * 1e6:.1f} | {rate.per_element_s * 1e9:.3f} | {rate.per_byte_s * 1e9:.3f}"
            for rate in (time.encode, time.decode)
        ]
        lines.append(f"| {time.codec} | {' | '.join(cells)} | {checked[time.codec]:.0%} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
