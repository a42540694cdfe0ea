"""Where a splitting model comes from, said for people: versions, digests, machines, counts, and how codecs were chosen."""

from __future__ import annotations

from cic.decision.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from codegen.checked_json import Fields

UNKNOWN = "unknown"
"""The name, and the kind, of a machine of which nothing is known."""
NOTHING_KNOWN = "nothing is known of this machine, so its times are those of usual figures, until a session has measured some"


class MachineProvenance(Frozen):
    """Whose times one side has.

    kind: "machine" of the catalogue, "profile" that was measured, or "unknown", where op times follow from usual figures.
    name: of the machine, or of the profile's processor.
    source: where a machine's figures come from. doubts: what they say little about.
    digest, date: of a profile. engine: with which its times were measured, None where nothing says it.
    warning: what a reader of its times should know.
    """

    __slots__ = ("date", "digest", "doubts", "engine", "kind", "name", "source", "warning")
    kind: str
    name: str
    source: str | None
    digest: str | None
    date: str | None
    engine: str | None
    warning: str | None
    doubts: tuple[str, ...]


class CodecProvenance(Frozen):
    """What was asked about codecs, and on what it was measured; see `cic.compilation.pipeline.compile`.

    precision: the coarsest form allowed, or the codecs by name. input: the form of the pictures. accuracy_target: as asked.
    calibration_samples: on how many inputs it was measured; where others made transforms, cuts without these on those, too.
    samples_needed: how many could show that a top-1 target is kept; None if no number can, or none was asked for.
    enough_samples: were there as many? None if no top-1 was asked for.
    whole_top1: the share of labelled samples that the whole model gets right; None without labels.
    cuts_run: how many cuts were run. accuracy_exact: was nothing forbidden beyond what was seen to miss the target?
    """

    __slots__ = (
        "accuracy_exact",
        "accuracy_target",
        "calibration_samples",
        "cuts_run",
        "enough_samples",
        "input",
        "precision",
        "samples_needed",
        "whole_top1",
    )
    precision: str | tuple[str, ...] | None
    input: str | None
    accuracy_target: str | None
    calibration_samples: int
    samples_needed: int | None
    enough_samples: bool | None
    whole_top1: float | None
    cuts_run: int
    accuracy_exact: bool


class Provenance(Frozen):
    """Where a splitting model comes from.

    cic, torch: versions that compiled it. date: when, in ISO 8601.
    graph_digest, weights_digest: SHA-256 of the traced graph and of its weights.
    ops: of the graph, made of so many `traced_nodes` and compressed to so many `compressed_ops`.
    uncertainty: relative error of op times that the compression stays exact for.
    codecs: None where tensors cross as they are. constraints: what cuts had to keep to, in words; empty if to nothing.
    trace_s, measure_s, solve_s: seconds that compiling took.
    """

    __slots__ = (
        "cic",
        "codecs",
        "compressed_ops",
        "constraints",
        "date",
        "device",
        "graph_digest",
        "measure_s",
        "ops",
        "server",
        "solve_s",
        "torch",
        "trace_s",
        "traced_nodes",
        "uncertainty",
        "weights_digest",
    )
    cic: str
    torch: str
    date: str
    graph_digest: str
    weights_digest: str
    device: MachineProvenance
    server: MachineProvenance
    ops: int
    traced_nodes: int
    compressed_ops: int
    uncertainty: float
    codecs: CodecProvenance | None
    constraints: tuple[str, ...]
    trace_s: float
    measure_s: float
    solve_s: float

    @property
    def made(self) -> str:
        """Date and timings in one text: they differ whenever the same is compiled again."""
        return f"{self.date} {self.trace_s!r} {self.measure_s!r} {self.solve_s!r}"

    @property
    def unknown_sides(self) -> tuple[str, ...]:
        """Which of "device" and "server" are machines of which nothing is known."""
        sides = ("device", self.device), ("server", self.server)
        return tuple(side for side, machine in sides if machine.kind == UNKNOWN)

    def row(self) -> dict[str, Any]:
        """The rest, which is the same whenever the same is compiled."""
        left_out = _MADE if self.constraints else (*_MADE, "constraints")
        return {name: value for name, value in self.fields().items() if name not in left_out}


_MADE = ("date", "trace_s", "measure_s", "solve_s")
_LONGEST_S = 1e9


def read_provenance(fields: Fields, made: str) -> Provenance:
    """The provenance in a `.cic` file, made at that date and in those times. Raises ValueError, naming the field."""
    date, *timings = made.split(" ")
    try:
        trace_s, measure_s, solve_s = map(float, timings)
    except ValueError:
        raise ValueError(f"made is {made[:80]!r}; a date, and seconds of tracing, measuring and solving are expected") from None
    if not date or not all(0 <= spent_s < _LONGEST_S for spent_s in (trace_s, measure_s, solve_s)):
        raise ValueError(f"made is {made[:80]!r}; a date, and three times of at least 0 s are expected")
    uncertainty = fields.number("uncertainty", 0)
    if not uncertainty < 1:
        raise fields.unfit("uncertainty", uncertainty, "less than 1")
    return Provenance(
        cic=fields.text("cic"),
        torch=fields.text("torch"),
        date=date,
        graph_digest=fields.text("graph_digest"),
        weights_digest=fields.text("weights_digest"),
        device=_machine(fields.object("device")),
        server=_machine(fields.object("server")),
        ops=fields.count("ops"),
        traced_nodes=fields.count("traced_nodes"),
        compressed_ops=fields.count("compressed_ops"),
        uncertainty=uncertainty,
        codecs=fields.maybe(lambda name: _codecs(fields.object(name)), "codecs"),
        constraints=fields.texts("constraints") if "constraints" in fields else (),
        trace_s=trace_s,
        measure_s=measure_s,
        solve_s=solve_s,
    )


def _machine(fields: Fields) -> MachineProvenance:
    return MachineProvenance(
        kind=fields.text("kind"),
        name=fields.text("name"),
        source=fields.maybe(fields.text, "source"),
        digest=fields.maybe(fields.text, "digest"),
        date=fields.maybe(fields.text, "date"),
        engine=fields.maybe(fields.text, "engine"),
        warning=fields.maybe(fields.text, "warning"),
        doubts=fields.texts("doubts"),
    )


def _codecs(fields: Fields) -> CodecProvenance:
    listed = isinstance(fields["precision"], list)
    return CodecProvenance(
        precision=fields.texts("precision") if listed else fields.maybe(fields.text, "precision"),
        input=fields.maybe(fields.text, "input"),
        accuracy_target=fields.maybe(fields.text, "accuracy_target"),
        calibration_samples=fields.count("calibration_samples"),
        samples_needed=fields.maybe(fields.count, "samples_needed"),
        enough_samples=fields.maybe(fields.truth, "enough_samples"),
        whole_top1=fields.maybe(lambda name: fields.number(name, 0), "whole_top1"),
        cuts_run=fields.count("cuts_run"),
        accuracy_exact=fields.truth("accuracy_exact"),
    )
