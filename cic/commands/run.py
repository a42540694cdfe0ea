"""run: answer with a server, wherever that is fastest; or rehearse a cut over a local link of a given bandwidth."""

from __future__ import annotations

import json
import sys

from cic.commands.arguments import add_inputs, add_link, read_inputs
from cic.commands.decide import CONDITIONS
from cic.commands.run_session import add_session, run_session
from cic.commands.run_tiers import run_tiers
from cic.commands.table import print_table
from cic.decision.conditions import Conditions
from cic.decision.splitting_model import load
from cic.decision.tiered_file import is_tiered
from cic.decision.units import bits_per_second, seconds, show_bandwidth, show_bytes, show_seconds
from cic.engine.roomy_memory import keep_freed_memory
from cic.errors import DecisionError, InputError, LinkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from cic.commands.arguments import Call
    from cic.decision.cut import Cut
    from cic.decision.splitting_model import SplittingModel
    from cic.runtime.rehearsal import Timing

PICTURES = (".jpg", ".jpeg", ".png")
TOLERANCE = 1e-4

SUMMARY = "answer with a server, wherever that is fastest; or rehearse a cut over a local link of a given bandwidth"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="what `cic emit` wrote")
    parser.add_argument("file", metavar="FILE", help="the splitting model it was emitted from")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument(
        "--bandwidth",
        metavar="BANDWIDTH",
        help="rehearse on this machine, in two processes with an uplink such as 20Mbps, and compare with the prediction; of a"
        " tiered model in a process for each machine, with an uplink for each link, such as 20Mbps,1Gbps",
    )
    way.add_argument(
        "--server",
        metavar="URL",
        help="answer with `cic serve` there, such as https://10.0.0.2:8000; or the word none: all on this device",
    )
    add_link(parser)
    parser.add_argument("--batch", type=int, metavar="N", help="answered together, by halves emitted with an open batch")
    parser.add_argument("--cut", metavar="ID", help="run this cut, an id or what `cic decide` names; default: the latter")
    add_inputs(parser, ", a .jpg or .png picture, or the word photo for the photograph that comes with matplotlib")
    parser.add_argument(
        "--repeat",
        type=int,
        default=5,
        metavar="N",
        help="how often to measure; default: 5; with --server 0 is until interrupted",
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each process; default: 1")
    parser.add_argument("--timeout", default="60s", metavar="TIME", help="longest silence of the other side; default: 60s")
    parser.add_argument("--format", metavar="NAME", help="which emitted files to run; default: the first there are")
    parser.add_argument("--check", action="store_true", help="compare the answer with tail(head(x)) in this process")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_session(parser)


def run(arguments: Namespace) -> int:
    if arguments.bandwidth is not None and is_tiered(arguments.file):
        keep_freed_memory()
        return run_tiers(arguments)
    model = load(arguments.file)
    keep_freed_memory()
    if arguments.server is not None:
        return run_session(arguments, model, _array_call(model, arguments.inputs, arguments.batch))
    conditions = _conditions(model, arguments)
    if outside := model.box.outside(conditions):
        _tell(f"cic: outside what was compiled for: {'; '.join(outside)}. Of the cuts there are the best is run")
    cut = _chosen_cut(model, arguments, conditions)
    if arguments.repeat < 1 or arguments.threads < 1:
        raise InputError(f"--repeat {arguments.repeat} and --threads {arguments.threads} must be at least 1")
    patience_s = seconds(arguments.timeout, "--timeout")
    # Only now, as it imports torch, which takes seconds.
    from cic.emission.bundle_check import check_bundle
    from cic.runtime.rehearsal import Rehearsal

    check_bundle(model, arguments.directory, [cut.id])
    args, kwargs = _read_call(model, arguments.inputs, arguments.batch)
    _tell(f"loading {cut.id}")
    with Rehearsal(
        arguments.directory,
        cut,
        conditions,
        threads=arguments.threads,
        patience_s=patience_s,
        format_name=arguments.format,
        codecs=cut.codec_of,
    ) as session:
        inputs = session.flatten(args, kwargs)
        _tell("warming up")
        session.warm_up(inputs)
        timings = []
        for number in range(1, arguments.repeat + 1):
            _tell(f"run {number} of {arguments.repeat}")
            answer, timing = session.infer(inputs)
            timings.append(timing)
        error = session.error_against_one_process(inputs, answer) if arguments.check else None
    _report(arguments, model, cut, conditions, timings, error)
    if error is not None and not error <= TOLERANCE:
        raise LinkError(
            f"{cut.id}: the answer over the link differs from tail(head(x)) by {error:.2e}, allowed is {TOLERANCE:g}"
        )
    return 0


def _conditions(model: SplittingModel, arguments: Namespace) -> Conditions:
    usual = model.default_conditions(bits_per_second(arguments.bandwidth))
    return Conditions(
        usual.uplink_bps,
        usual.downlink_bps if arguments.downlink is None else arguments.downlink,
        usual.rtt_s if arguments.rtt is None else arguments.rtt,
    )


def _chosen_cut(model: SplittingModel, arguments: Namespace, conditions: Conditions) -> Cut:
    # Of the cuts in the table, since a cut that was computed on the spot is not on the disk.
    wanted = [cut for cut in model.cuts if arguments.cut in (None, cut.id, cut.label)]
    if arguments.batch is not None:
        from cic.decision.batch import ratio_of

        ratio_of(arguments.batch, model.table.batch, model.name)
        wanted = [cut.at_batch(arguments.batch, model.table.batch or 1) for cut in wanted]
    if not wanted:
        known = dict.fromkeys(name for cut in model.cuts for name in (cut.id, cut.label))
        raise DecisionError(f"{arguments.file} has no cut {arguments.cut!r}; it has {', '.join(known)}")
    return min(wanted, key=lambda cut: cut.latency_s(conditions))


def _array_call(model: SplittingModel, texts: Sequence[str], batch: int | None) -> Call:
    """The call of a session, in arrays where nothing else is asked for: a device may have no torch."""
    from cic.inputs.array_call import FILES, drawn_call, read_call

    if not texts:
        return drawn_call(model.graph().inputs.at_batch(batch))
    return read_call(texts) if all(text.lower().endswith(FILES) for text in texts) else _read_call(model, texts, batch)


def _read_call(model: SplittingModel, texts: Sequence[str], batch: int | None) -> Call:
    from cic.inputs.example_inputs import make_inputs

    described = model.graph().inputs.at_batch(batch)
    if not texts:
        return make_inputs(described)
    if len(texts) == 1 and (texts[0] == "photo" or texts[0].lower().endswith(PICTURES)):
        from cic.inputs.photo import normalised, read_pixels

        pixels = read_pixels(None if texts[0] == "photo" else texts[0], [tensor.shape for tensor in described.tensors])
        return (pixels if described.tensors[0].dtype == "uint8" else normalised(pixels),), {}
    return _as_pixels(model, read_inputs(texts))


def _as_pixels(model: SplittingModel, call: Call) -> Call:
    """The call with pixels where the model takes those and floats were given."""
    codecs, described = model.information.codecs, model.graph().inputs
    if codecs is None or codecs.input is None:
        return call
    from cic.precision.picture_input import picture_input
    from cic.trace.pixel_inputs import PixelInputs
    from codegen.calls.call import flatten_call
    from codegen.calls.structure import rebuild
    from codegen.errors import codegen_error_as

    with codegen_error_as(InputError, "the inputs given"):
        tensors = flatten_call(described.structure, *call)
    pictures = ["float32" if tensor.dtype == "uint8" and len(tensor.shape) in (3, 4) else None for tensor in described.tensors]
    names = tuple(tensor.name for tensor in described.tensors)
    inputs = PixelInputs(picture_input(codecs.input).normalisation, names, tuple(pictures))
    made = rebuild(described.structure, inputs.pixels(tensors))
    return tuple(made["args"]), dict(made["kwargs"])


def _report(
    arguments: Namespace,
    model: SplittingModel,
    cut: Cut,
    conditions: Conditions,
    timings: Sequence[Timing],
    error: float | None,
) -> None:
    from statistics import median

    parts = ("device_s", "uplink_s", "server_s", "downlink_s", "rtt_s")
    predicted = {**dict(zip(parts, cut.terms(conditions), strict=True)), "latency_s": cut.latency_s(conditions)}
    measured = {part: median(getattr(timing, part) for timing in timings) for part in (*parts, "latency_s")}
    if arguments.json:
        document = {
            "cut": cut.id,
            "codecs": cut.codec_of,
            "conditions": {name: getattr(conditions, name) for name in CONDITIONS},
            "upload_bytes": cut.upload_bytes,
            "download_bytes": cut.download_bytes,
            "predicted": predicted,
            "measured": measured,
            "latencies_s": [timing.latency_s for timing in timings],
            "sent_bytes": timings[-1].sent_bytes,
            "received_bytes": timings[-1].received_bytes,
            "relative_error": error,
        }
        print(json.dumps(document, indent=1))
        return
    rows = [
        [name.removesuffix("_s"), show_seconds(predicted[name]), show_seconds(measured[name])] for name in (*parts, "latency_s")
    ]
    title = (
        f"{cut.label} at {show_bandwidth(conditions.uplink_bps)}, sends {show_bytes(timings[-1].sent_bytes)}; "
        f"median of {len(timings)}"
    )
    print_table(("", "predicted", "measured"), rows, title=title, left=("",))
    device, server = model.information.device.name, model.information.server.name
    print(f"predicted for {device} and {server}, measured on this machine")
    if error is not None:
        print(f"the answer equals tail(head(x)) in one process; relative error {error:.1e}")


def _tell(what: str) -> None:
    print(what, file=sys.stderr)
