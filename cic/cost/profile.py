"""A profile: the measured time of every op of a model on one machine, and its JSON file.

Times belong to op *signatures* (what is computed), not to op names, so a profile prices every graph made of ops it has
seen. The file is plain JSON; reading it needs the standard library only and trusts nothing in it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from cic.cost.codec_time import CodecTime, codec_times_from_json, seconds_of_codec
from cic.cost.host import Host
from cic.cost.measurement import ELAPSED, Measurement
from cic.cost.timing import STATISTICS
from cic.decision.arguments import check_path
from cic.decision.provenance import MachineProvenance
from cic.decision.units import shown
from cic.errors import CostError
from cic.graph import Graph, Op
from codegen.files.atomic import write_whole
from codegen.files.regular_file import read_regular

FORMAT = "cic-profile"
# Version 3 says how it was measured. Earlier ones held processor instead of elapsed time, and are refused.
VERSION = 3
# A profile of a model with 10,000 distinct ops is about 2 MB; a larger file is something else.
LARGEST_FILE_BYTES = 16 * 2**20
# No single op of a network that one would split runs for a day.
LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class OpTime:
    """The time of one kind of op.

    signature: of the op, see `cic.graph.Op`.
    names: the model's ops that have this signature, for the reader.
    seconds: time of one run inside the network, as priced.
    alone_s: time of one run on its own, layout conversions included, by the profile's statistic and without what calling
    costs. low_s, median_s: of its samples, calling included; spread: inter-quartile range of them over their median (0.02 is
    a quiet machine, 0.3 a busy one). These are for the reader, nothing is priced by them.
    """

    signature: str
    names: tuple[str, ...]
    seconds: float
    alone_s: float
    low_s: float
    median_s: float
    spread: float


@dataclass(frozen=True)
class Profile:
    """Measured op times of one model on one machine; a source of costs, see `cic.cost.cost_source.CostSource`.

    model: name of the traced graph, graph_digest: its digest. host: the machine. torch_version: and of onnxruntime, if that
    ran the ops. threads, date (ISO).
    measured: how the times were taken, all of them elapsed time, with a warning if the machine was disturbed or held back.
    whole_s: measured time of the whole optimised model. sum_s: sum over the graph's ops of the times priced here.
    halves_error: median relative error of sums of op times against heads and tails that were measured; 0 if none were.
    codecs: what the codecs take there.
    """

    model: str
    graph_digest: str
    host: Host
    torch_version: str
    threads: int
    date: str
    measured: Measurement
    whole_s: float
    sum_s: float
    halves_error: float
    ops: tuple[OpTime, ...]
    codecs: tuple[CodecTime, ...] = ()

    def __post_init__(self) -> None:
        _check_profile(self)

    @property
    def name(self) -> str:
        """What to call the machine in a table."""
        return f"{self.host.processor} ({self.threads} thread{'s' if self.threads != 1 else ''})"

    @cached_property
    def seconds(self) -> Mapping[str, float]:
        """Signature → seconds."""
        return {op.signature: op.seconds for op in self.ops}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal digests, equal profiles."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def _content(self) -> dict[str, Any]:
        return asdict(self)

    def seconds_for(self, op: Op) -> float:
        """The measured seconds of `op`. Raises CostError when no op of its signature was measured."""
        try:
            return self.seconds[op.signature]
        except KeyError:
            raise CostError(
                f"op {op.name!r} (signature {op.signature[:12]!r}) is not in the profile of {self.model!r} made on "
                f"{self.name}, {self.date}, torch {self.torch_version}: that profile was made for another model, input "
                "shape or version. Profile this model again there, or pass a Machine instead"
            ) from None

    def op_seconds(self, graph: Graph) -> tuple[float, ...]:
        return tuple(self.seconds_for(op) for op in graph.ops)

    def codec_seconds(self, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
        where = f"the profile of {self.model!r} made on {self.name}"
        return seconds_of_codec(self.codecs, where, codec, elements, wire_bytes)

    def provenance(self, graph: Graph, runtime: str) -> MachineProvenance:
        return MachineProvenance(
            kind="profile",
            name=self.host.processor,
            source=None,
            digest=self.digest,
            date=self.date,
            warning=self.measured.warning or None,
            doubts=(),
        )

    def save(self, path: str | Path) -> None:
        """Write the JSON file, under a temporary name first so that a reader never sees half of it."""
        check_path(path, "the path of a profile")
        body = {"format": FORMAT, "version": VERSION, "digest": self.digest, **self._content()}
        text = json.dumps(body, indent=1)
        try:
            write_whole(path, (text + "\n").encode())
        except OSError as error:
            raise CostError(f"cannot write the profile {path}: {error}") from error


def load_profile(path: str | Path) -> Profile:
    """Read a profile file. Raises CostError naming file and field when it is missing, damaged, foreign or too new."""
    check_path(path, "the path of a profile")
    try:
        body = json.loads(read_regular(path, LARGEST_FILE_BYTES).decode("utf-8"))
    except OSError as error:
        raise CostError(f"cannot read the profile {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise CostError(f"profile {path}: not JSON ({error}); write it again with `cic profile`") from error
    try:
        return _from_json(body)
    except CostError as error:
        raise CostError(f"profile {path}: {error}") from None


def _from_json(body: Any) -> Profile:
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        found = body.get("format") if isinstance(body, dict) else type(body).__name__
        raise CostError(f"format is {shown(found)}, not {FORMAT!r}: this is not a CIC profile")
    version = body.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise CostError(f"version is {shown(version)}; it must be a whole number from 1")
    if version > VERSION:
        raise CostError(f"version is {shown(version)}, this CIC reads up to {VERSION}: upgrade CIC or profile again")
    if version < VERSION:
        raise CostError(f"version is {version}, which holds processor time instead of elapsed time: profile again")
    content = {key: value for key, value in body.items() if key not in ("format", "version", "digest")}
    _check_keys("the file", content, Profile)
    host = _check_keys("host", content["host"], Host)
    measured = _check_keys("measured", content["measured"], Measurement)
    if not isinstance(content["ops"], list):
        raise CostError(f"ops is a {type(content['ops']).__name__}, not a list")
    ops = []
    for index, each in enumerate(content["ops"]):
        entry = _check_keys(f"ops[{index}]", each, OpTime)
        if not isinstance(entry["names"], list):
            raise CostError(f"ops[{index}].names is {entry['names']!r}, not a list")
        ops.append(OpTime(**{**entry, "names": tuple(entry["names"])}))
    codecs = codec_times_from_json("codecs", content["codecs"])
    profile = Profile(
        **{**content, "host": Host(**host), "measured": Measurement(**measured), "ops": tuple(ops), "codecs": codecs}
    )
    # A profile written by hand needs no digest; one that carries a digest must agree with it.
    if body.get("digest", profile.digest) != profile.digest:
        raise CostError(
            f"digest is {shown(body['digest'])}, the content has {profile.digest!r}: the file was changed or damaged. "
            "Profile again, or delete the digest if you edited the file on purpose"
        )
    return profile


def _check_keys(where: str, entry: Any, cls: type) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise CostError(f"{where} is a {type(entry).__name__}, not an object")
    wanted = {field.name for field in fields(cls)}
    if missing := sorted(wanted - entry.keys()):
        raise CostError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(entry.keys() - wanted):
        raise CostError(f"{where} has the unknown field {', '.join(map(repr, unknown))}")
    return entry


def _check_profile(profile: Profile) -> None:
    for field in ("model", "graph_digest", "torch_version", "date"):
        _check_text(field, getattr(profile, field))
    try:
        date.fromisoformat(profile.date[:10])
    except ValueError:
        raise CostError(f"date is {shown(profile.date)}; it must be ISO, like 2026-01-31") from None
    _check_text("host.platform", profile.host.platform)
    _check_text("host.processor", profile.host.processor)
    _check_count("host.cores", profile.host.cores, least=1)
    _check_count("host.memory_bytes", profile.host.memory_bytes, least=0)
    _check_count("threads", profile.threads, least=1)
    _check_measurement(profile.measured)
    _check_seconds("whole_s", profile.whole_s)
    _check_seconds("sum_s", profile.sum_s)
    _check_seconds("halves_error", profile.halves_error)
    if not profile.ops:
        raise CostError("ops is empty; a profile has the time of one op at least")
    seen: set[str] = set()
    for index, op in enumerate(profile.ops):
        where = f"ops[{index}]"
        _check_text(f"{where}.signature", op.signature)
        for name in op.names:
            _check_text(f"{where}.names", name)
        _check_seconds(f"{where}.seconds", op.seconds)
        for field in ("alone_s", "low_s", "median_s", "spread"):
            _check_seconds(f"{where}.{field}", getattr(op, field))
        if op.signature in seen:
            raise CostError(f"{where}.signature {op.signature!r} occurs twice; a signature has one time")
        seen.add(op.signature)


def _check_measurement(measured: Measurement) -> None:
    if measured.clock != ELAPSED:
        raise CostError(f"measured.clock is {measured.clock!r}; only {ELAPSED!r} time predicts a latency: profile again")
    if measured.statistic not in STATISTICS:
        raise CostError(f"measured.statistic is {measured.statistic!r}; it must be one of {', '.join(STATISTICS)}")
    _check_count("measured.repetitions", measured.repetitions, least=1)
    _check_count("measured.op_repetitions", measured.op_repetitions, least=1)
    for field in ("whole_low_s", "whole_median_s", "whole_mean_s", "spread", "elapsed_s", "processor_s", "throttled"):
        _check_seconds(f"measured.{field}", getattr(measured, field))
    if measured.quota is not None:
        _check_seconds("measured.quota", measured.quota)
    if not isinstance(measured.warning, str):
        raise CostError(f"measured.warning is {measured.warning!r}; it must be text, empty if there is nothing to say")


def _check_text(field: str, value: object) -> None:
    # A lone surrogate is a text that cannot be printed or written.
    if not isinstance(value, str) or not value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise CostError(f"{field} is {shown(value)}; it must be text that is not empty")


def _check_count(field: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise CostError(f"{field} is {shown(value)}; it must be a whole number from {least}")


def _check_seconds(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CostError(f"{field} is {shown(value)}, not a number")
    if not (0 <= value <= LONGEST_S) or math.isnan(value):
        raise CostError(f"{field} is {shown(value)}; it must lie between 0 and {LONGEST_S:.0f}")
