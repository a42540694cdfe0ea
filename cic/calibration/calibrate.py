"""`calibrate`: run the halves of a table's cuts, correct the times that the table adds up, and prove it for those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cic.calibration.example_arrays import example_arrays
from cic.calibration.measured_cuts import CutTimes, measured_cuts
from cic.calibration.tails import Tails, TailsHere
from cic.codec.tensors import Array
from cic.compilation.reproof import reproved
from cic.cost.correction import MeasuredOps, corrected_codec_times, corrected_op_times
from cic.cost.host import describe_host
from cic.decision.arguments import check_number, check_path, check_text
from cic.decision.cut import Cut
from cic.decision.off_table.problem import codecs_of, side_of, stored_problem
from cic.decision.splitting_model import SplittingModel
from cic.decision.stored_calibration import MeasuredCut, StoredCalibration, StoredCodecTime
from cic.decision.stored_graph import StoredForm, StoredGraph, StoredTensor
from cic.emission.bundle_check import check_bundle, emitted_cuts
from cic.errors import ArtifactError
from cic.progress import Progress, Tell, teller
from codegen.manifest import read_manifest

REPETITIONS = 15
# A difference of so many standard errors is one: some twenty halves are compared, and a quota makes times come in steps.
_ERRORS = 3.0
NS_PER_S = 1e9
Form = tuple[str, str]
"""A tensor and a codec, by name."""


@dataclass(frozen=True)
class Ran:
    """What was run: cuts with their times, and where. Engines and machines are for people."""

    cuts: Sequence[CutTimes]
    repetitions: int
    device: str
    device_engine: str
    server: str
    server_engine: str


def calibrate(
    bundle: str | Path,
    model: SplittingModel,
    *,
    tails: Tails | None = None,
    inputs: Sequence[Array] | None = None,
    repetitions: int = REPETITIONS,
    engine: str | None = None,
    threads: int = 1,
    progress: Tell | None = None,
) -> SplittingModel:
    """A splitting model with times that were corrected by running its emitted cuts here and, their tails, on a server.

    Args:
        bundle: what was emitted from `model`; its cuts are run. Cuts that can be optimal under the corrected times and were
            not emitted get into the table, too, with sums of corrected op times.
        tails: where tails run; None: in this process, as on a server that is such a machine as this.
        inputs: an array for each flat input; None: drawn from what `model` says of its inputs.
        repetitions: of each cut; medians count. engine, threads: of the heads (`cic.engine`).

    Raises:
        ArtifactError: the bundle was not emitted from `model`, or lacks all of its cuts.
        EngineError, CodecError, LinkError: a half cannot be run. CompileError: the corrected times give no table.
    """
    check_path(bundle, "the directory of the emitted model")
    check_number(repetitions, "repetitions", 1, 10_000, whole=True)
    check_text(engine, "the engine", or_none=True)
    tell, directory = teller(progress), Path(bundle)
    emitted = emitted_cuts(model, directory)
    cuts = [cut for cut in model.cuts if cut.id in emitted]
    if not cuts:
        raise ArtifactError(f"{directory} holds no cut of the splitting model {model.name}; emit it with `cic emit`")
    check_bundle(model, directory, [cut.id for cut in cuts])
    manifest = read_manifest(directory)
    given = inputs or example_arrays(model.graph().inputs, manifest.inputs)
    asked = tails or TailsHere(directory, engine, threads, model.table.batch)
    told = {"repetitions": repetitions, "engine": engine, "threads": threads, "tell": tell}
    times, head_engine = measured_cuts(directory, cuts, given, asked, **told)  # type: ignore[arg-type]
    ran = Ran(times, repetitions, describe_host().processor, head_engine, asked.machine, asked.engine or "none")
    tell(Progress("proving the table for the corrected times"))
    ids = {cut.device_ops: cut.id for cut in manifest.cuts}
    return reproved(model, corrected_graph(model, ran), emitted=ids, progress=tell)


def corrected_graph(model: SplittingModel, ran: Ran) -> StoredGraph:
    """The graph of a model with corrected times of ops and forms, and with what they were predicted to be.

    A model that was calibrated before is corrected from its predictions: an earlier calibration leaves nothing behind.
    """
    graph = predicted_graph(model.graph())
    placed = [(graph.cuts[_place(model, each.cut)], each) for each in ran.cuts]
    # Where tensors have no forms, what packing takes counts with the ops.
    packed = graph.has_codecs
    device_s, server_s = [op.device_ns / NS_PER_S for op in graph.ops], [op.server_ns / NS_PER_S for op in graph.ops]
    heads, tails = [], []
    for ops, each in placed:
        heads.append(_told(ops, each.head_s if packed else each.device_s, each.head_error_s, device_s))
        if each.cut.offloads:
            tail_s = each.server.tail_s if packed else each.server_s
            tails.append(_told(_others(ops, graph), tail_s, each.tail_error_s, server_s))
    device_s, server_s = list(corrected_op_times(device_s, heads)), list(corrected_op_times(server_s, tails))
    ops = tuple(
        op.replaced(device_ns=round(device * NS_PER_S), server_ns=round(server * NS_PER_S))
        for op, device, server in zip(graph.ops, device_s, server_s, strict=True)
    )
    tensors = _with_codec_times(graph, ran.cuts) if packed else graph.tensors
    corrected: StoredGraph = graph.replaced(ops=ops, tensors=tensors, calibration=_recorded(model, graph, tensors, ran))
    return corrected


def _told(ops: Sequence[int], measured_s: float, error_s: float, predicted_s: Sequence[float]) -> MeasuredOps:
    """What a measured half says of its ops: nothing new where it took as long as predicted, as far as can be told."""
    expected_s = sum(predicted_s[op] for op in ops)
    agrees = abs(measured_s - expected_s) <= _ERRORS * error_s
    return MeasuredOps(tuple(ops), expected_s if agrees else measured_s)


def predicted_graph(graph: StoredGraph) -> StoredGraph:
    """The graph as it was before any calibration."""
    before = graph.calibration
    if before is None:
        return graph
    ops = tuple(
        op.replaced(device_ns=device, server_ns=server)
        for op, device, server in zip(graph.ops, before.device_ns, before.server_ns, strict=True)
    )
    known = {(each.tensor, each.codec): (each.encode_ns, each.decode_ns) for each in before.codecs}
    tensors = tuple(_timed(tensor, known) for tensor in graph.tensors)
    restored: StoredGraph = graph.replaced(ops=ops, tensors=tensors, calibration=None)
    return restored


def _place(model: SplittingModel, cut: Cut) -> int:
    return next(place for place, each in enumerate(model.cuts) if each is cut)


def _others(ops: Sequence[int], graph: StoredGraph) -> tuple[int, ...]:
    here = frozenset(ops)
    return tuple(op for op in range(len(graph.ops)) if op not in here)


def _with_codec_times(graph: StoredGraph, cuts: Sequence[CutTimes]) -> tuple[StoredTensor, ...]:
    """Forms that crossed have the times that were measured; others are off as those were."""
    forms = {(tensor.name, form.codec): form for tensor in graph.tensors for form in tensor.forms}
    encode_s: dict[Form, list[float]] = {form: [] for form in forms}
    decode_s: dict[Form, list[float]] = {form: [] for form in forms}
    for each in cuts:
        used = list(each.cut.codec_of.items())
        for form, share in zip(used, _shares([forms[form] for form in used]), strict=True):
            encode_s[form].append(each.encode_s[form[0]])
            decode_s[form].append(each.server.decode_s * share)
    encode = corrected_codec_times({form: each.encode_ns / NS_PER_S for form, each in forms.items()}, encode_s)
    decode = corrected_codec_times({form: each.decode_ns / NS_PER_S for form, each in forms.items()}, decode_s)
    times = {form: (round(encode[form] * NS_PER_S), round(decode[form] * NS_PER_S)) for form in forms}
    return tuple(_timed(tensor, times) for tensor in graph.tensors)


def _shares(forms: Sequence[StoredForm]) -> list[float]:
    """Of what decoding several payloads took together, the part of each: as predicted, and by their bytes where nothing was."""
    weights = [float(form.decode_ns) for form in forms]
    if sum(weights) == 0:
        weights = [form.wire_bytes + 1.0 for form in forms]
    return [weight / sum(weights) for weight in weights]


def _timed(tensor: StoredTensor, times: dict[Form, tuple[int, int]]) -> StoredTensor:
    """A tensor whose forms take these times on device and server, in ns; the others take what they took."""
    forms = tuple(
        form.replaced(encode_ns=found[0], decode_ns=found[1]) if (found := times.get((tensor.name, form.codec))) else form
        for form in tensor.forms
    )
    timed: StoredTensor = tensor.replaced(forms=forms)
    return timed


def _recorded(model: SplittingModel, graph: StoredGraph, tensors: Sequence[StoredTensor], ran: Ran) -> StoredCalibration:
    """graph: as predicted. tensors: as they are now."""
    problem = stored_problem(graph)
    measured = []
    for each in ran.cuts:
        side = side_of(problem, graph.cuts[_place(model, each.cut)])
        features = problem.features(side, codecs_of(graph, problem, each.cut, side))
        measured.append(
            MeasuredCut(
                id=each.cut.id,
                codecs=each.cut.codecs,
                predicted_device_ns=int(features.device_ns),
                measured_device_ns=round(each.device_s * NS_PER_S),
                predicted_server_ns=int(features.server_ns),
                measured_server_ns=round(each.server_s * NS_PER_S),
            )
        )
    changed = [
        StoredCodecTime(tensor=before.name, codec=old.codec, encode_ns=old.encode_ns, decode_ns=old.decode_ns)
        for before, after in zip(graph.tensors, tensors, strict=True)
        for old, new in zip(before.forms, after.forms, strict=True)
        if old != new
    ]
    return StoredCalibration(
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        device=ran.device,
        device_engine=ran.device_engine,
        server=ran.server,
        server_engine=ran.server_engine,
        repetitions=ran.repetitions,
        device_ns=tuple(op.device_ns for op in graph.ops),
        server_ns=tuple(op.server_ns for op in graph.ops),
        codecs=tuple(changed),
        cuts=tuple(measured),
    )
