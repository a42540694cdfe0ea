"""Progress of long work, told to whoever asks: in words, and in steps where they can be counted. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from cic.errors import ArgumentError
from codegen.checked_json import shown


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a piece of work stands; `str` of it is a line for people, so that `progress=print` will do.

    text: what is being done. done, of: how many steps of how many are done; None for work without steps to count. `of` may
        grow while the work finds out how much there is to do.
    """

    text: str
    done: int | None = None
    of: int | None = None

    def __str__(self) -> str:
        return self.text if self.done is None or self.of is None else f"{self.text}: {self.done} of {self.of}"


Tell = Callable[[Progress], None]
"""What every `progress=` takes."""


def teller(progress: Tell | None) -> Tell:
    """Return `progress`, or a function that ignores what it is told. Raises ArgumentError for what cannot be called."""
    if progress is None:
        return lambda _: None
    if not callable(progress):
        raise ArgumentError(f"progress is {shown(progress)}; give a function that takes a cic.Progress, such as print")
    return progress


def counted(tell: Tell, of: int) -> Callable[[str], None]:
    """A function that is told the text of each finished step, and passes it on with its number."""
    numbers = count(1)
    return lambda text: tell(Progress(text, next(numbers), of))
