"""Measure the codecs on one core of this machine: what codec times of the catalogue are scaled from.

    python -m benchmarks.made_data.codec_times        # writes cic/cost/codec_times.json and benchmarks/results/codec_times.md

Half a minute on one quiet core.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.harness.report import Report, Section, shared_options
from cic.codec.codec import Codec
from cic.codec.registry import codec
from cic.codec.transform.transform_codec import KIND
from cic.cost.codec_measure import PICTURES, examples, measure_codecs
from cic.cost.codec_time import CodecTime, plain_name
from cic.cost.host import describe_host
from cic.cost.stopwatch import torch_threads
from cic.cost.timing import take_turns

ROOT = Path(__file__).resolve().parents[2]
# The machine of the catalogue that stands for this one: a server's core, two generations older.
AS_MACHINE = "epyc-7742-1-thread"
COMMAND = "python -m benchmarks.made_data.codec_times"


def main() -> None:
    options = shared_options(__doc__).parse_args()
    with torch_threads(1):
        times = measure_codecs(budget_s=0.05)
        checked = {time.codec: _check(time) for time in times if not time.codec.startswith(KIND)}
    host = describe_host()
    body = {"command": COMMAND, "host": asdict(host), "as_machine": AS_MACHINE, "codecs": [asdict(time) for time in times]}
    ROOT.joinpath("cic", "cost", "codec_times.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    _report(host.processor, times, checked).publish(options.results)


def _check(time: CodecTime) -> float:
    """Median relative error of the fitted times, encoding and decoding, measured once more."""
    chosen, errors = _codec(time.codec), []
    for tensor in examples(chosen):
        payload = bytes(chosen.encode(tensor))
        encode_s = take_turns([partial(chosen.encode, tensor)], 0.02).seconds[0]
        decode_s = take_turns([partial(chosen.decode, payload, tensor.shape, tensor.dtype.name)], 0.02).seconds[0]
        errors.append(abs(time.encode.seconds(tensor.size, len(payload)) / encode_s - 1))
        errors.append(abs(time.decode.seconds(tensor.size, len(payload)) / decode_s - 1))
    return median(errors)


def _codec(name: str) -> Codec:
    """The codec whose times are kept under that name."""
    pictures = {plain_name(picture): picture for pictures in PICTURES.values() for picture in pictures}
    return codec(pictures.get(name, name))


def _report(machine: str, times: tuple[CodecTime, ...], checked: dict[str, float]) -> Report:
    """The table; error: median over sizes and shares of zeros, measured once more."""
    cells = [
        (
            time.codec,
            *(
                number
                for rate in (time.encode, time.decode)
                for number in (
                    f"{rate.fixed_s * 1e6:.1f}",
                    f"{rate.per_element_s * 1e9:.3f}",
                    f"{rate.per_byte_s * 1e9:.3f}",
                )
            ),
            f"{checked[time.codec]:.0%}" if time.codec in checked else "",
        )
        for time in times
    ]
    columns = ("codec", "encode: fixed", "a value", "a byte", "decode: fixed", "a value", "a byte", "error")
    note = "Microseconds, nanoseconds a value, nanoseconds a byte of payload; error: median over sizes and shares of zeros."
    return Report(
        "codec_times", "Times of the codecs", [Section(f"On {machine}", columns, cells, (note,))], [], {"errors": checked}
    )


if __name__ == "__main__":
    main()
