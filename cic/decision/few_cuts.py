"""Of a table that keeps a few cuts of those that can be optimal: how many there were, and what the kept ones lose.

Standard library only.
"""

from __future__ import annotations

from cic.decision.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codegen.checked_json import Fields

_DIGITS = 10_000
"""A share is shown in hundredths of a per cent."""


class FewCuts(Frozen):
    """How the cuts of a table were chosen. What they lose is the gap of the table's proof.

    of: how many cuts the whole table had; those that differ only in their codecs are counted once.
    at_least: any other choice of as many loses this somewhere in the box, relative; None where nobody knows, as the times are
        others than those it was chosen for.
    """

    __slots__ = ("at_least", "of")
    of: int
    at_least: float | None

    def in_words(self, loss: float) -> str:
        """What a table keeps and loses, as a clause for people."""
        return (
            f"a few of {self.of} cuts were kept; anywhere in the box the best of them takes at most "
            f"{rounded_up(loss)} longer than the best of all cuts"
        )


def rounded_up(share: float) -> str:
    """A share in per cent, never less than it is."""
    return f"{-(-share * _DIGITS // 1) / _DIGITS:.2%}"


def rounded_down(share: float) -> str:
    """A share in per cent, never more than it is."""
    return f"{share * _DIGITS // 1 / _DIGITS:.2%}"


def read_few_cuts(fields: Fields) -> FewCuts:
    """That of a `.cic` file. Raises ValueError, naming the field."""
    return FewCuts(of=fields.count("of", least=1), at_least=fields.maybe(lambda name: fields.number(name, 0), "at_least"))
