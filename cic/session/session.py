"""`Session`: a model that answers wherever it is fastest now, on this device or with a server, and always."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cic.decision.arguments import check_number, check_path, check_text
from cic.decision.conditions import Conditions
from cic.decision.cut import DEVICE_ONLY, Cut
from cic.decision.splitting_model import SplittingModel, load
from cic.decision.throughput import Throughput
from cic.decision.units import seconds, shown
from cic.emission.bundle_check import check_bundle, emitted_cuts
from cic.engine.engine_mismatch import engine_mismatch
from cic.engine.opening import engine_of
from cic.errors import ArgumentError, ArtifactError, InputError
from cic.session.expectation import Expectation
from cic.session.forecast import Forecast
from cic.session.inference import Means, Steps
from cic.session.inference_result import Inference
from cic.session.intervals import TOLD
from cic.session.learned_machines import LearnedMachines, learned_machines
from cic.session.learnt_file import LearntFile
from cic.session.link_estimate import LinkEstimate
from cic.session.loaded_halves import LoadedHalves
from cic.session.model_call import ModelCall
from cic.session.planning import Planner
from cic.session.policy import Policy
from cic.session.probing import Prober
from cic.session.record import RecordFile
from cic.session.remote_server import RemoteServer
from cic.session.server_address import server_address
from cic.session.stream import Stream
from cic.session.switching_rule import SwitchingRule, interval_of, latency_of
from codegen.errors import as_codegen_error, codegen_error_as
from codegen.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

USUAL_UPLINK_BPS = 2e6
"""Assumed until something was measured; an inference before that is computed here, if device-only was emitted."""

_DEADLINES_S = 1e-6, 1e6
# Looking takes the time of a planning, which a slow device has better use for while it loads.
_SETTLING_LOOK_S = 0.05


class Session:
    """A model cut in two, the head here and the tail on a server, such that each call is answered as early as possible.

        with cic.Session("model.split", "model.cic", server="https://10.0.0.2:8000") as session:
            answer = session(image)

    Each call is decided anew among the emitted cuts, by what was measured of link and machines. If the server fails, is slow or
    is not there, the device answers. Usable from several threads, not in forks of its process. Nothing of torch is
    imported unless an engine of torch runs the halves; arrays of numpy are answered with such, tensors of torch with tensors.

    Args:
        bundle: the directory that `cic emit` wrote. model: the splitting model, or its file.
        server: its URL; None: all is computed here, which needs the cut "device-only".
        token, ca, certificate: see `cic.session.server_address.server_address`.
        name: what the names of the server's models begin with; None: the name of the directory up to its first dot.
        cuts: ids of the cuts to choose from; None: all that are emitted.
        engine, threads: see `cic.engine.opening.open_half`.
        memory_limit: bytes that loaded halves may have, by the sizes of their files. None: no limit.
        deadline_s: seconds within which each call is to be answered, unless it has another `deadline`. It is risked in one of
            a hundred cases at most where the device can keep it, as far as can be learnt: see `cic.session.deadline_rule`.
        records: a file that a line is appended to for each inference; see `cic.session.record`.
        objective: None: as early an answer as possible; "throughput": as many answers a second as possible, from `stream`, of a
            model that was compiled and emitted with `throughput=True` best of all.
        batch: how many each call asks about together, of a model compiled with an open batch; None: as many as in the example.
        policy: chooses the cut of each call, see `cic.session.policy`; None: the fastest, where that is likely to pay
            (`cic.session.switching_rule`). Its `cost` says what is least, so no objective is named beside it.
        learnt: a file that keeps what was learnt of machines that the splitting model was compiled for as "unknown", see
            `cic.session.learnt_file`. None: the next session learns anew.

    Raises:
        ArtifactError: the directory does not belong to the splitting model, or lacks what is needed.
        EngineError: there is no such engine, or it cannot load a half. InputError: the server's address, a certificate, the
            files of records or of what was learnt, or the limit of memory cannot be used.
    """

    def __init__(
        self,
        bundle: str | Path,
        model: str | Path | SplittingModel,
        server: str | None = None,
        *,
        token: str | None = None,
        ca: str | Path | None = None,
        certificate: str | Path | tuple[str | Path, str | Path] | None = None,
        name: str | None = None,
        cuts: Collection[str] | None = None,
        engine: str | None = None,
        threads: int = 1,
        memory_limit: int | None = None,
        deadline_s: float | None = None,
        records: str | Path | None = None,
        batch: int | None = None,
        objective: Throughput | str | None = None,
        policy: Policy | None = None,
        learnt: str | Path | None = None,
    ) -> None:
        check_path(bundle, "the directory of the emitted model")
        check_text(server, "the server", or_none=True)
        check_text(name, "the name of the model", or_none=True)
        if deadline_s is not None:
            check_number(deadline_s, "deadline_s", *_DEADLINES_S)
        _check_policy(policy, objective)
        if memory_limit is not None:
            check_number(memory_limit, "memory_limit", 1, 2**62, whole=True)
        splitting_model = model if isinstance(model, SplittingModel) else load(model)
        address = None if server is None else server_address(server, token, ca, certificate)
        bundle = Path(bundle)
        chosen = _emitted(splitting_model, bundle, cuts, offloading=address is not None)
        with codegen_error_as(ArtifactError), as_codegen_error(f"cannot read {bundle}"):
            manifest = read_manifest(bundle)
        batch = _batch(splitting_model, manifest, batch)
        if batch is not None and splitting_model.table.batch is not None:
            chosen = {label: cut.at_batch(batch, splitting_model.table.batch) for label, cut in chosen.items()}
        self._by_throughput = _is_throughput(objective)
        learned = learned_machines(splitting_model)
        self._learnt = None if learnt is None else LearntFile(learnt, splitting_model, learned, time.monotonic())
        self._records = None if records is None else RecordFile(records)
        self._prober: Prober | None = None
        kept = DEVICE_ONLY if any(cut.id == DEVICE_ONLY for cut in chosen.values()) else None
        halves = LoadedHalves(bundle, manifest, engine, threads, memory_limit, kept, batch or 1)
        remote = None if address is None else RemoteServer(address, manifest, name or manifest.name, batch)
        rule = _rule(learned, throughput=self._by_throughput) if policy is None else policy
        planner = _planner(splitting_model, chosen, rule, learned)
        self._means = Means(ModelCall(manifest, batch), halves, planner, remote, deadline_s=deadline_s, due_s=deadline_s)
        self._steps = Steps(self._means)
        halves.on_loaded, halves.on_trouble = self._loaded, self._means.news.append
        used = engine_of(bundle, next(iter(chosen.values())).id, engine)
        if (other := engine_mismatch(splitting_model, "device", str(used))) is not None:
            self._means.news.append(other)
        if remote is not None:
            self._prober = Prober(self._means, remote, self._learnt)

    def infer(self, *args: Any, **kwargs: Any) -> Inference:
        """The model's answer to these arguments, and how it came about.

        deadline: besides the model's own arguments: seconds, or a text such as "80ms", in which this call is to be answered;
            None: `deadline_s`. A model with an argument of that name gets it, and its calls have the deadline of the session.

        Raises:
            InputError: the call is not what the model was compiled for, or the session is closed, or was opened by the process
            of which this is a fork. EngineError: the head cannot compute with the values.
            LinkError, CodecError: the server gave no answer, and this device cannot answer by itself.
            UnitError, ArgumentError: the deadline is no time.
        """
        due_s = None if self._means.call.takes("deadline") else _due_s(kwargs.pop("deadline", None))
        running = self._steps.on_device(args, kwargs, due_s)
        self._steps.on_link(running)
        return self._recorded(self._steps.finish(running))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's answer; see `infer`."""
        return self.infer(*args, **kwargs).output

    def decide(self, quantile: float = TOLD, *, deadline: float | str | None = None) -> Expectation:
        """What the next call would be answered with, and within what time with the probability `quantile`.

        deadline: of that call, as of `infer`. Nothing is computed or sent.

        Raises:
            ArgumentError: the quantile is not from 0.01 to 0.9999, or the deadline is no time. UnitError: as of `infer`.
            InputError: in a fork of the process that opened it.
        """
        check_number(quantile, "quantile", 0.01, 0.9999)
        due_s, means = _due_s(deadline), self._means
        means.check_process()
        with means.lock:
            plan = means.planned(time.monotonic(), means.deadline_s if due_s is None else due_s)
            intervals, expected = means.planner.intervals, plan.promise.expected
            upper_s, calibrated = intervals.upper_s(expected, quantile), intervals.enough(expected, quantile)
        return Expectation(
            plan.cut.id, plan.cut.codecs, expected.latency_s, quantile, upper_s, calibrated, plan.in_time, plan.why
        )

    def stream(self, inputs: Iterable[Any], *, ahead: int | None = None) -> Stream:
        """The inferences of many inputs, in their order: while one is on the link, the next is on the device.

        inputs: each a tuple of arguments, or a dict of them by name, or else the only argument. ahead: how many may be on the
        link or wait for it; so many more inputs are taken than answers were asked for, and one. None: 2, and by throughput 4.
        By throughput all of them may be on the link, or with the server, at once; where round trips are long, more are needed.
        """
        ahead = (4 if self._by_throughput else 2) if ahead is None else ahead
        check_number(ahead, "ahead", 1, 1000, whole=True)
        self._means.check_process()
        return Stream(self._steps, inputs, ahead, self._recorded, at_once=ahead if self._by_throughput else min(ahead, 2))

    def warm_up(self, wait_s: float = 5.0) -> bool:
        """Wait until link and server are known, and the head is loaded that is best there, and nothing more. Is all that so?

        An inference does not need it: until then the device answers.
        """
        self._means.check_process()
        end_s = time.monotonic() + wait_s
        while time.monotonic() < end_s:
            means = self._means
            means.last_used_s = time.monotonic()
            with means.lock:
                plan = means.plan_ahead(time.monotonic())
                ready = plan.wished == plan.cut.id and means.usable(plan.cut)
            means.tell_news()
            if ready and not means.halves.busy and (self._prober is None or self._prober.settled):
                return True
            means.halves.wish(plan.wished)
            if not means.halves.busy:
                self._wake()
            time.sleep(_SETTLING_LOOK_S)
        return False

    @property
    def conditions(self) -> Conditions:
        """Link and machines as they are believed to be now. Raises InputError in a fork of the process that opened it."""
        self._means.check_process()
        with self._means.lock:
            self._means.tell()
            return self._means.planner.forecast.conditions(time.monotonic())

    def close(self) -> None:
        """End the connections and threads; halves are let go. What is under way ends as if the server were gone.

        In a fork nothing is done, for all of that is the other process's.
        """
        if os.getpid() != self._means.process:
            return
        if self._prober is not None:
            self._prober.close()
        self._means.halves.close()
        if self._means.server is not None:
            self._means.server.close()
        if self._records is not None:
            self._records.close()
        if self._learnt is not None:
            means = self._means
            self._learnt.save(time.monotonic(), means.lock, means.tell, means.news)
            means.tell_news()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _recorded(self, inference: Inference) -> Inference:
        if self._records is not None:
            self._records.write(inference.record)
        self._means.tell_news()
        return inference

    def _loaded(self, _: str) -> None:
        with self._means.lock:
            self._means.ahead = None
        self._wake()

    def _wake(self) -> None:
        if self._prober is not None:
            self._prober.wake()


def _emitted(model: SplittingModel, bundle: Path, wanted: Collection[str] | None, *, offloading: bool) -> dict[str, Cut]:
    """The cuts to choose from, by their labels."""
    if isinstance(wanted, str) or (wanted is not None and not set(wanted) <= model.cut_by_id.keys()):
        raise InputError(
            f"cuts are {shown(wanted)}; ids of cuts are expected, of which {model.name} has {', '.join(model.cut_by_id)}"
        )
    ids = emitted_cuts(model, bundle) if wanted is None else set(wanted)
    check_bundle(model, bundle, sorted(ids))
    cuts = {cut.label: cut for cut in model.cuts if cut.id in ids and (offloading or not cut.offloads)}
    if not cuts:
        lacking = "any cut of the splitting model" if offloading else "the cut device-only, and no server is named"
        raise ArtifactError(f"{bundle} lacks {lacking}; emit it with `cic emit`")
    return cuts


def _due_s(deadline: float | str | None) -> float | None:
    """The seconds in which one call is due; None: as the session says."""
    if deadline is None:
        return None
    due_s = seconds(deadline, "deadline")
    check_number(due_s, "deadline", *_DEADLINES_S)
    return due_s


def _batch(model: SplittingModel, manifest: Manifest, batch: int | None) -> int | None:
    """The batch of all calls; None if shapes are fixed. Raises InputError if halves do not take such a one."""
    greatest = next((wire.batch for wire in manifest.inputs if wire.batch is not None), None)
    if greatest is None or model.table.batch is None:
        if batch is not None:
            raise InputError(
                f"batch is {shown(batch)}, and {model.name} has fixed shapes; compile and emit it with an open batch"
            )
        return None
    if batch is None:
        return model.table.batch
    if type(batch) is not int or not 0 < batch <= greatest:
        raise InputError(f"batch is {shown(batch)}; the halves of {model.name} take a whole number from 1 to {greatest}")
    return batch


def _is_throughput(objective: Any) -> bool:
    if objective is None:
        return False
    if objective != "throughput" and not isinstance(objective, Throughput):
        raise InputError(f'the objective of a session is {shown(objective)}; None, for latency, or "throughput" is expected')
    return True


def _check_policy(policy: Any, objective: Any) -> None:
    if policy is None:
        return
    if not isinstance(policy, Policy) or isinstance(policy, type):
        raise ArgumentError(f"the policy is {shown(policy)}; give an object with the methods of cic.session.policy.Policy")
    if objective is not None:
        raise ArgumentError(f"a policy and the objective {shown(objective)} are both given; a policy says itself what is least")


def _rule(learned: LearnedMachines, *, throughput: bool) -> Policy:
    if learned.by_side and not throughput:
        return learned.rule()
    return SwitchingRule(cost=interval_of if throughput else latency_of)


def _planner(model: SplittingModel, cuts: dict[str, Cut], rule: Policy, learned: LearnedMachines) -> Planner:
    link = LinkEstimate(USUAL_UPLINK_BPS, model.default_downlink_ratio, model.default_rtt_s)
    forecast = Forecast(link, *(max(cut.row[side] for cut in model.cuts) for side in (0, 1)))
    learned.into(forecast)
    return Planner(cuts, forecast, rule)
