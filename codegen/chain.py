"""A model cut more than once, for machines in a row: the tail of one cut is a model of its own, which is cut again.

    resnet50.tiers/
      chain.json                   for each cut of the chain the bundles it takes its parts from, and its cut in each
      link-0/                      a bundle (`codegen.bundle.bundle`) of the model, cut where the first machine ends
      link-1-after-<cut id>/       a bundle of that cut's tail, cut where the second machine ends
      …

The first machine runs the head of the first bundle, the next the head of the second, and the last the tail of the last bundle.
A tensor that a machine only passes on is an input of its head and one of the head's results. Each bundle is verified as any is:
head and tail, in fresh processes, against the model that they are halves of. Afterwards all parts of each chain are run in a
row and compared with the whole model. The tail of an earlier bundle is all that follows, and answers where later machines
cannot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan, Storage, check_cut_id, place_of_bundle
from codegen.bundle.source import Source, Whole
from codegen.checked_json import Fields
from codegen.errors import CodegenError, MismatchError, as_codegen_error
from codegen.files.atomic import write_whole
from codegen.files.regular_file import open_regular
from codegen.files.whole_directory import built_beside, put_in_place
from codegen.loading import LoadedCut, load_cut
from codegen.verification.agreement import TOLERANCES, relative_error
from codegen.verification.equivalence import Progress, Tensors

FILE_NAME = "chain.json"
FORMAT, VERSION = "cic chain of bundles", 1
_LARGEST_BYTES = 2**24


@dataclass(frozen=True)
class ChainPlan:
    """A cut for machines in a row.

    near: of each link that is used, the names of the nodes up to it; each set holds the one before. ops: the same sets in the
    names by which people know them.
    """

    id: str
    near: tuple[frozenset[str], ...]
    ops: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Step:
    """A bundle, relative to the directory of the chain, and a cut in it."""

    bundle: str
    cut_id: str


@dataclass(frozen=True)
class Chain:
    """What `chain.json` says. steps: by the id of a cut, from the first machine outwards."""

    model_digest: str
    steps: dict[str, tuple[Step, ...]]


def write_chain(
    directory: str | Path,
    source: Source,
    plans: Sequence[ChainPlan],
    *,
    formats: Sequence[str] | None = None,
    storage: Storage = "auto",
    whole: Whole | None = None,
    further_inputs: Sequence[Tensors] = (),
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Chain:
    """Cut, write and verify every part of every plan, and put the chain at `directory`, where nothing is yet.

    Args:
        formats, storage, whole, further_inputs, tolerance, progress: as for `codegen.bundle.bundle.write_bundle`.

    Raises:
        CodegenError (UnsplittableError, MismatchError), also for what the file system refuses; then nothing is left behind.
    """
    for plan in plans:
        check_cut_id(plan.id)
    if not plans or len({plan.id for plan in plans}) != len(plans):
        raise CodegenError(f"the cuts of a chain are {[plan.id for plan in plans]}; one at least, and ids that differ")
    directory = place_of_bundle(directory)
    with as_codegen_error(f"cannot write {directory}"):
        if directory.exists():
            raise CodegenError(f"{directory} exists; a chain is written to a new directory, so remove it or name another")
        if not directory.parent.is_dir():
            raise CodegenError(f"the directory {directory.parent} does not exist")
        with built_beside(directory) as building:
            steps: dict[str, list[Step]] = {plan.id: [] for plan in plans}
            for level in _levels(source, plans, steps):
                write_bundle(
                    building / level.bundle,
                    level.source,
                    level.cuts,
                    formats=formats,
                    storage=storage,
                    whole=whole if level.source is source else None,
                    further_inputs=further_inputs if level.source is source else (),
                    tolerance=tolerance,
                    progress=progress,
                )
            chain = Chain(source.model_digest, {name: tuple(each) for name, each in steps.items()})
            document = {name: [[step.bundle, step.cut_id] for step in each] for name, each in chain.steps.items()}
            body = {"format": FORMAT, "version": VERSION, "model_digest": chain.model_digest, "cuts": document}
            write_whole(building / FILE_NAME, json.dumps(body, indent=1).encode())
            _check_ends(building, chain, source, whole, further_inputs, tolerance)
            put_in_place(building, directory)
            return chain


@dataclass(frozen=True)
class _Level:
    """One bundle to be written."""

    bundle: str
    source: Source
    cuts: tuple[CutPlan, ...]


def _levels(source: Source, plans: Sequence[ChainPlan], steps: dict[str, list[Step]]) -> Iterator[_Level]:
    """The bundles, from the first link outwards; `steps` is filled in on the way."""
    waiting: list[tuple[str, str, Source, list[ChainPlan]]] = [("link-0", "", source, list(plans))]
    while waiting:
        bundle, path, model, here = waiting.pop(0)
        groups: dict[frozenset[str], list[ChainPlan]] = {}
        for plan in here:
            groups.setdefault(plan.near[0], []).append(plan)
        cuts = []
        for number, (near, group) in enumerate(sorted(groups.items(), key=lambda pair: (len(pair[0]), sorted(pair[0])))):
            cut = CutPlan(f"cut-{number:02d}", near, group[0].ops[0])
            cuts.append(cut)
            for plan in group:
                steps[plan.id].append(Step(bundle, cut.id))
            beyond = [replace(plan, near=plan.near[1:], ops=plan.ops[1:]) for plan in group if len(plan.near) > 1]
            if beyond:
                # Cut anew: writing a half may rearrange it.
                onward = model.onward(model.split(near))
                known = onward.nodes
                beyond = [replace(plan, near=tuple(each & known for each in plan.near)) for plan in beyond]
                link, name = len(steps[group[0].id]), f"{path}{cut.id}"
                waiting.append((f"link-{link}-after-{name}", f"{name}-", onward, beyond))
        yield _Level(bundle, model, tuple(cuts))


# ---------------------------------------------------------------------------------------------------------- the way back


def read_chain(directory: str | Path) -> Chain:
    """What `chain.json` says. Raises CodegenError naming the file or field that is not as it is written."""
    path = Path(directory) / FILE_NAME
    try:
        file, size = open_regular(path, _LARGEST_BYTES)
        with file:
            fields = Fields(json.loads(file.read(size)), str(path), CodegenError)
    except (OSError, ValueError, RecursionError) as error:
        raise CodegenError(f"{directory} is no chain of bundles, as `emit_tiers` writes it: {error}") from error
    if fields["format"] != FORMAT or fields["version"] != VERSION:
        raise CodegenError(f"{path} is not of {FORMAT!r} in version {VERSION}; emit again")
    cuts = fields.object("cuts")
    return Chain(
        fields.text("model_digest"),
        {name: tuple(_step(value, cuts, name) for value in cuts.items(name)) for name in cuts.all_names()},
    )


def _step(value: Any, fields: Fields, name: str) -> Step:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(each, str) for each in value):
        raise fields.unfit(name, value, "pairs of a bundle and a cut")
    for each in value:
        check_cut_id(each)  # neither leaves its directory
    return Step(*value)


def steps_of(directory: str | Path, cut_id: str) -> tuple[tuple[Path, str], ...]:
    """The bundles and the cuts in them that a cut of the chain takes its parts from. Raises CodegenError."""
    chain = read_chain(directory)
    if not chain.steps.get(cut_id):
        raise CodegenError(f"{directory} does not hold the cut {cut_id!r}, only {', '.join(chain.steps)}; emit it")
    return tuple((Path(directory) / step.bundle, step.cut_id) for step in chain.steps[cut_id])


@dataclass(frozen=True)
class LoadedChain:
    """All parts of one cut, ready to run in this process."""

    parts: tuple[LoadedCut, ...]

    def run_flat(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Run part after part, and return the model's flat outputs."""
        return self._from(0, inputs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own answer to a call."""
        first = self.parts[0]
        head = first.run_head_flat(first.flatten_inputs(*args, **kwargs))
        return first.assemble(head, self._beyond(0, head))

    def _from(self, place: int, inputs: Sequence[Any]) -> tuple[Any, ...]:
        head = self.parts[place].run_head_flat(inputs)
        return stitched(self.parts[place], head, self._beyond(place, head))

    def _beyond(self, place: int, head: Sequence[Any]) -> Sequence[Any]:
        cut = self.parts[place]
        crossing = head[: len(cut.crossing)]
        return cut.run_tail_flat(crossing) if place + 1 == len(self.parts) else self._from(place + 1, crossing)


def stitched(cut: LoadedCut, head: Sequence[Any], returned: Sequence[Any]) -> tuple[Any, ...]:
    """The flat outputs of what was cut, from the results of its head and what came back for its tail."""
    halves = {"head": head, "tail": returned}
    return tuple(halves[source.half][source.position] for source in cut.record.outputs)


def load_chain(directory: str | Path, cut_id: str, *, format_name: str | None = None) -> LoadedChain:
    """Load all parts of a cut: the heads, and the tail of the last bundle. Raises CodegenError."""
    steps = steps_of(directory, cut_id)
    return LoadedChain(
        tuple(
            load_cut(bundle, name, half="head" if place + 1 < len(steps) else None, format_name=format_name)
            for place, (bundle, name) in enumerate(steps)
        )
    )


def _check_ends(
    directory: Path, chain: Chain, source: Source, whole: Whole | None, further: Sequence[Tensors], tolerance: float | None
) -> None:
    """Raise MismatchError unless all parts together answer as the whole model does."""
    whole = source.whole() if whole is None else whole
    for inputs in (source.example_inputs, *further):
        with torch.no_grad():
            expected = list(whole(*[tensor.detach().clone() for tensor in inputs]))
            for cut_id in chain.steps:
                answer = load_chain(directory, cut_id).run_flat([tensor.detach().clone() for tensor in inputs])
                for number, (given, wanted) in enumerate(zip(answer, expected, strict=True)):
                    allowed = tolerance if tolerance is not None else _allowed(wanted)
                    if not (error := relative_error(given, wanted)) <= allowed:
                        raise MismatchError(
                            f"{cut_id}: all parts in a row differ from the whole model by {error:.2e} in output {number},"
                            f" allowed is {allowed:g}"
                        )


def _allowed(tensor: torch.Tensor) -> float:
    known = TOLERANCES.get(str(tensor.dtype).removeprefix("torch."))
    return 0.0 if known is None else known.emitted
