"""A profile: the measured time of every op of a model on one machine, and its JSON file.

Times belong to op *signatures* (what is computed), not to op names, so a profile prices every graph made of ops it has
seen. The file is plain JSON; reading it needs the standard library only and trusts nothing in it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from cic.cost.codec_time import CodecTime, read_codec_times, seconds_of_codec
from cic.cost.host import Host
from cic.cost.measurement import ELAPSED, Measurement
from cic.cost.timing import STATISTICS
from cic.decision.arguments import check_path
from cic.decision.provenance import MachineProvenance
from cic.engine.engine_name import engine_name
from cic.errors import CostError, EngineError
from cic.graph import Graph, Op
from codegen.checked_json import Fields, shown
from codegen.files.atomic import write_whole
from codegen.files.regular_file import read_regular

FORMAT = "cic-profile"
# Version 3 says how it was measured. Earlier ones held processor instead of elapsed time, and are refused.
# Version 4 says with which engine.
VERSION = 4
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

    model: name of the traced graph, graph_digest: its digest. host: the machine. engine: what ran the ops, see
    `cic.engine.engine_name`. torch_version: and that of the engine, unless that is torch. threads, date (ISO).
    measured: how the times were taken, all of them elapsed time, with a warning if the machine was disturbed or held back.
    whole_s: measured time of the whole optimised model. sum_s: sum over the graph's ops of the times priced here.
    halves_error: median relative error of sums of op times against heads and tails that were measured; 0 if none were.
    codecs: what the codecs take there.
    """

    model: str
    graph_digest: str
    host: Host
    engine: str
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
        if not self.ops:
            raise CostError("ops is empty; a profile has the time of one op at least")
        if len(self.seconds) < len(self.ops):
            twice = Counter(op.signature for op in self.ops).most_common(1)[0][0]
            raise CostError(f"the signature {twice!r} occurs twice in ops; a signature has one time")

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
            engine=self.engine,
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
        lacks = "holds processor time instead of elapsed time" if version < 3 else "does not say which engine was measured"
        raise CostError(f"version is {version}, which {lacks}: profile again")
    content = {key: value for key, value in body.items() if key not in ("format", "version", "digest")}
    profile = _profile(Fields(content, error=CostError))
    # A profile written by hand needs no digest; one that carries a digest must agree with it.
    if body.get("digest", profile.digest) != profile.digest:
        raise CostError(
            f"digest is {shown(body['digest'])}, the content has {profile.digest!r}: the file was changed or damaged. "
            "Profile again, or delete the digest if you edited the file on purpose"
        )
    return profile


def _profile(fields: Fields) -> Profile:
    return Profile(
        **_texts(fields.only(_names_of(Profile)), "model", "graph_digest", "torch_version"),
        engine=_engine(fields),
        date=_date(fields),
        host=_host(fields.object("host")),
        threads=fields.count("threads", least=1),
        measured=_measurement(fields.object("measured")),
        **_seconds(fields, "whole_s", "sum_s", "halves_error"),
        ops=tuple(map(_op_time, fields.objects("ops"))),
        codecs=read_codec_times(fields),
    )


def _host(fields: Fields) -> Host:
    fields.only(_names_of(Host))
    return Host(
        **_texts(fields, "platform", "processor"),
        cores=fields.count("cores", least=1),
        memory_bytes=fields.count("memory_bytes", 2**63),
    )


def _measurement(fields: Fields) -> Measurement:
    fields.only(_names_of(Measurement))
    if fields["clock"] != ELAPSED:
        raise CostError(f"measured.clock is {shown(fields['clock'])}; only {ELAPSED!r} time predicts a latency: profile again")
    seconds = ("whole_low_s", "whole_median_s", "whole_mean_s", "spread", "elapsed_s", "processor_s", "throttled")
    return Measurement(
        clock=ELAPSED,
        statistic=fields.choice("statistic", STATISTICS),
        repetitions=fields.count("repetitions", least=1),
        op_repetitions=fields.count("op_repetitions", least=1),
        **_seconds(fields, *seconds),
        quota=fields.maybe(lambda name: _seconds(fields, name)[name], "quota"),
        warning="" if fields["warning"] == "" else fields.text("warning"),
    )


def _op_time(fields: Fields) -> OpTime:
    fields.only(_names_of(OpTime))
    seconds = _seconds(fields, "seconds", "alone_s", "low_s", "median_s", "spread")
    return OpTime(signature=fields.text("signature"), names=fields.texts("names"), **seconds)


def _names_of(noun: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclass_fields(noun))


def _texts(fields: Fields, *names: str) -> dict[str, Any]:
    return {name: fields.text(name) for name in names}


def _seconds(fields: Fields, *names: str) -> dict[str, Any]:
    """As they are, whole numbers too: the digest is of what stands there."""
    for name in names:
        fields.number(name, 0, LONGEST_S)
    return {name: fields[name] for name in names}


def _engine(fields: Fields) -> str:
    try:
        return str(engine_name(fields.text("engine")))
    except EngineError as error:
        raise CostError(f"engine: {error}") from None


def _date(fields: Fields) -> str:
    text = fields.text("date")
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        raise CostError(f"date is {shown(text)}; it must be ISO, like 2026-01-31") from None
    return text
