"""Attacks on the manifests of emitted bundles: sound ones changed in one or more places, signed again, and the bundle used.

    python -m benchmarks.trust.attack.manifest

Whatever a manifest says, all that may come of it is an answer or a `CicError`, in little memory and time, and no file outside
what was named. A bundle that loads must answer as the whole model does, tensor by tensor.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import cic
from benchmarks.harness.report import shared_options
from benchmarks.trust.attack.attacked_call import attacked, watched
from benchmarks.trust.attack.mutations import mutated_bytes, mutated_json
from benchmarks.trust.attack.sound_transforms import coded
from benchmarks.trust.attack.tally import Tally, publish
from cic.decision.splitting_model import SplittingModel
from cic.emission.bundle_check import check_bundle, emitted_cuts
from cic.errors import CicError
from codegen.calls.structure import describe
from codegen.errors import CodegenError
from codegen.loading import files_of
from codegen.manifest import FILE_NAME, signed

PARTS = ("fields", "fields of one cut", "bytes")


class TwoAnswers(nn.Module):
    """Its answers have one shape, so that nothing but their names tells them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 4, 3, 2)
        self.one, self.other = nn.Linear(196, 40), nn.Linear(196, 40)

    def forward(self, image: torch.Tensor, *, twice: bool) -> dict[str, Any]:
        middle = torch.relu(self.second(torch.relu(self.first(image)))).flatten(1)
        return {"one": self.one(middle) * 2, "pair": (self.other(middle), twice)}


@dataclass(frozen=True)
class Bundle:
    """An emitted model, its manifest as JSON, a call, and what the whole model answers to it as flat tensors."""

    directory: Path
    model: SplittingModel
    body: dict[str, Any]
    image: torch.Tensor
    answer: Sequence[torch.Tensor]


@contextmanager
def sound_bundles() -> Iterator[list[Bundle]]:
    """The same model with weights shared and in its files, and with codecs that are made from stored numbers, each alone in a
    directory."""
    torch.manual_seed(0)
    model, image = TwoAnswers().eval(), torch.rand(1, 3, 32, 32)
    splitting_model = cic.compile(model, (image,), {"twice": True}, device="raspberry-pi-4b", server="i7-13700k")
    answer = describe(model(image, twice=True))[1]
    with tempfile.TemporaryDirectory() as place:
        bundles = []
        for kind, weights, emitted in (
            ("shared", "shared", splitting_model),
            ("inline", "inline", splitting_model),
            ("coded", "inline", coded(splitting_model)),
        ):
            directory = Path(place) / kind / "model.split"
            directory.parent.mkdir()
            cic.emit(model, emitted, directory, storage=weights)  # type: ignore[arg-type]
            body = json.loads((directory / FILE_NAME).read_text())
            bundles.append(Bundle(directory, emitted, body, image, answer))
        yield bundles


def changed(body: dict[str, Any], part: str, draw: random.Random) -> tuple[bytes, str]:
    """The content of a manifest with something changed and its digest right, and what was changed."""
    if part == "bytes":
        return mutated_bytes(json.dumps(body).encode(), draw)
    if part == "fields":
        body, how = mutated_json(body, draw, draw.choice((1, 1, 1, 2, 5)))
    else:
        cuts = list(body["cuts"])
        at = draw.randrange(len(cuts))
        cuts[at], how = mutated_json(cuts[at], draw, draw.choice((1, 1, 2)))
        body, how = {**body, "cuts": cuts}, f"cuts/{at}: {how}"
    if isinstance(body, dict):
        body = signed(body)
    return json.dumps(body).encode(), how


def use(bundle: Bundle, draw: random.Random) -> None:
    """Everything that is done with an emitted bundle; AssertionError for a wrong answer or a file where none belongs."""
    ids = list(bundle.model.cut_by_id)
    cut_id = draw.choice(ids)
    beside = bundle.directory.parent / "exported"
    errors: list[Exception] = []

    def attempt(call: Any) -> Any:
        try:
            return call()
        except (CicError, CodegenError) as error:
            errors.append(error)

    attempt(lambda: check_bundle(bundle.model, bundle.directory, ids))
    attempt(lambda: emitted_cuts(bundle.model, bundle.directory))
    for half in ("head", "tail"):
        attempt(lambda half=half: files_of(bundle.directory, cut_id, half))
        attempt(lambda half=half: cic.export_half(bundle.directory, cut_id, half, beside / half))
    attempt(lambda: cic.export_triton(bundle.directory, beside / "repository"))
    cut = attempt(lambda: cic.load_cut(bundle.directory, cut_id, optimize=False))
    if cut is not None:
        answer = attempt(lambda: cut.tail(*cut.head(bundle.image, twice=True)))
        if answer is not None:
            flat = describe(answer)[1]
            for name, sent in zip(bundle.model.cut_by_id[cut_id].codecs, cut.head(bundle.image, twice=True), strict=False):
                attempt(lambda name=name, sent=sent: _check_coded(cut, bundle.model, name, sent))
            if len(flat) != len(bundle.answer) or not all(map(_alike, flat, bundle.answer)):
                raise AssertionError(f"cut {cut_id} answers {flat}")
    if errors:
        raise errors[-1] if isinstance(errors[-1], CicError) else cic.ArtifactError(str(errors[-1]))


def _check_coded(cut: Any, model: SplittingModel, name: str, sent: torch.Tensor) -> None:
    """The bundle's codec of a name writes and reads as the splitting model's does."""
    ours, theirs, shape = cut.codec(name), model.codec(name), tuple(sent.shape)
    payload = bytes(ours.encode(sent))
    if (
        payload != bytes(theirs.encode(sent))
        or (ours.decode(payload, shape, "float32") != theirs.decode(payload, shape, "float32")).any()
    ):
        raise AssertionError(f"cut {cut.id} has another codec {name}")


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def attack(bundles: Sequence[Bundle], part: str, count: int, seed: int = 0) -> Tally:
    """Attack one part of the manifests so many times."""
    tally = Tally(f"manifest, {part}")
    with watched():
        for index in range(count):
            draw = random.Random(f"{seed} {part} {index}")
            bundle = draw.choice(bundles)
            content, how = changed(bundle.body, part, draw)
            (bundle.directory / FILE_NAME).write_bytes(content)
            beside = bundle.directory.parent / "exported"
            before = _files(bundle.directory.parent.parent)
            beside.mkdir()
            outcome = attacked(lambda: use(bundle, draw))  # noqa: B023 - called at once
            declared = len(content) + sum(path.stat().st_size for path in bundle.directory.rglob("*") if path.is_file())
            tally.add(outcome, declared, f"{part} {index}, {how}")
            _remove(beside)
            stray = _files(bundle.directory.parent.parent) - before
            if stray:
                tally.faults.append(f"{part} {index}, {how}: wrote {sorted(map(str, stray))}")
            (bundle.directory / FILE_NAME).write_text(json.dumps(bundle.body))
    return tally


def _files(directory: Path) -> set[Path]:
    return set(directory.rglob("*"))


def _remove(directory: Path) -> None:
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    directory.rmdir()


def main() -> None:
    """Attack and publish."""
    parser = shared_options(__doc__)
    parser.add_argument("--count", type=int, default=3000, help="attacks in all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with sound_bundles() as bundles:
        tallies = [attack(bundles, part, options.count // len(PARTS), options.seed) for part in PARTS]
    raise SystemExit(0 if publish("attack_manifest", tallies, options.results) else 1)


if __name__ == "__main__":
    main()
