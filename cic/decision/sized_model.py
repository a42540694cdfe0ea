"""One model at several sizes, such as of images or texts: a splitting model of each, in a directory. Standard library only.

    model.sizes/
      224.cic, 320.cic        the splitting model of each size
      224.split/, 320.split/  its emitted halves; a weight that several have is one file on the disk (`cic.emit_sizes`)

Each file and each bundle stands by itself, and whatever takes one takes these. So a directory to which only some of the files
were written holds nothing that is wrong.
"""

from __future__ import annotations

from cic.decision.splitting_model import SplittingModel, load
from cic.decision.units import shown
from cic.errors import ArtifactError, DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import Any

    from cic.decision.answer import Decision

SUFFIX = ".cic"
LONGEST_SIZE = 50


class SizedModel:
    """What `compile_sizes` makes and a device loads.

    models: the splitting model of each size, by its name. All are of one model with the same weights.

    Raises:
        ArtifactError: there is none, a size cannot name a file, or two are of models with other weights.
    """

    def __init__(self, models: Mapping[str, SplittingModel]) -> None:
        if not models:
            raise ArtifactError("there is no size; at least one is expected")
        for size, model in models.items():
            check_size(size)
            if not isinstance(model, SplittingModel):
                raise ArtifactError(f"the size {size} is {shown(model)}; a splitting model is expected")
        first, *others = models
        for size in others:
            digests = [models[each].information.weights_digest for each in (first, size)]
            if digests[0] != digests[1]:
                raise ArtifactError(
                    f"the sizes {first} and {size} are of other weights, with the digests {digests[0][:12]} and "
                    f"{digests[1][:12]}; compile both from one model"
                )
        self.models = dict(models)

    def at(self, size: str | int) -> SplittingModel:
        """The splitting model of a size.

        Raises:
            DecisionError: there is none, which names those there are.
        """
        found = self.models.get(str(size)) if isinstance(size, str | int) else None
        if found is None:
            raise DecisionError(f"the size is {shown(size)}; there are {', '.join(self.models)}")
        return found

    def decide(self, bandwidth: float | str, *, size: str | int, **conditions: Any) -> Decision:
        """The best cut of a size right now; `conditions` are those of `SplittingModel.decide`.

        Raises:
            DecisionError: there is no such size. UnitError, DecisionError: as `SplittingModel.decide`.
        """
        return self.at(size).decide(bandwidth, **conditions)

    def save(self, directory: str | PathLike[str]) -> None:
        """Write a file for each size to a directory, which is made if it is not there; each of them all or nothing.

        Raises:
            ArtifactError: there are files of other sizes, or one cannot be written.
        """
        from pathlib import Path

        place = _place(directory)
        try:
            place.mkdir(exist_ok=True)
            others = {path.stem for path in place.glob(f"*{SUFFIX}")} - self.models.keys()
        except OSError as error:
            raise ArtifactError(f"cannot write {place}: {error.strerror or error}") from error
        if others:
            raise ArtifactError(f"{place} holds the size {min(others)}, which is none of {', '.join(self.models)}; remove it")
        for size, model in self.models.items():
            model.save(Path(place, f"{size}{SUFFIX}"))

    def __repr__(self) -> str:
        return f"SizedModel({', '.join(self.models)})"


def load_sizes(directory: str | PathLike[str]) -> SizedModel:
    """Read the splitting models of all sizes in a directory.

    Raises:
        ArtifactError: there is none, or one is damaged, of another version or of another model; says which.
    """
    place = _place(directory)
    try:
        files = sorted(place.glob(f"*{SUFFIX}"), key=lambda path: (len(path.name), path.name))
    except OSError as error:
        raise ArtifactError(f"cannot read {place}: {error.strerror or error}") from error
    if not files:
        raise ArtifactError(f"{place} holds no {SUFFIX} file of any size; give the directory that SizedModel.save wrote")
    return SizedModel({path.stem: load(path) for path in files})


def check_size(size: object) -> None:
    """Raise ArtifactError unless a size can name a file."""
    fit = type(size) is str and 0 < len(size) <= LONGEST_SIZE and size.isascii() and size[0].isalnum()
    if not fit or not all(letter.isalnum() or letter in "-_." for letter in str(size)):
        raise ArtifactError(
            f"a size is called {shown(size)}: up to {LONGEST_SIZE} letters, digits, '.', '_' and '-' are expected, the first "
            "one a letter or a digit"
        )


def _place(directory: Any) -> Any:
    from pathlib import Path

    from cic.decision.arguments import check_path

    check_path(directory, "the directory of the sizes")
    return Path(directory)
