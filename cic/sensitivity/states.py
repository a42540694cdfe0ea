"""A table of states: under which conditions which cut takes how long. Swept over a splitting model, or measured."""

from __future__ import annotations

from dataclasses import dataclass

from cic.errors import InputError

Level = float | str
"""A condition in a state: a number, or a word where somebody's table has words."""


@dataclass(frozen=True)
class StateTable:
    """name: of the network. factors: names of the conditions. states: for each state its level of each factor.

    cuts: their names. latency_s: for each state the seconds of each cut. usual: the number of the state that a cut is chosen in
    by whoever never chooses again. proved: is the fastest of these cuts the fastest of all, in every state?

    Raises:
        InputError: there is no state or no cut, or the numbers of states, cuts and factors do not fit each other.
    """

    name: str
    factors: tuple[str, ...]
    states: tuple[tuple[Level, ...], ...]
    cuts: tuple[str, ...]
    latency_s: tuple[tuple[float, ...], ...]
    usual: int
    proved: bool

    def __post_init__(self) -> None:
        if not self.states or not self.cuts or not self.factors:
            raise InputError(
                f"{self.name} has {len(self.states)} states of {len(self.factors)} factors and {len(self.cuts)} cuts"
            )
        fits = len(self.states) == len(self.latency_s) and 0 <= self.usual < len(self.states)
        fits = fits and all(len(state) == len(self.factors) for state in self.states)
        if not fits or any(len(row) != len(self.cuts) or min(row) <= 0 for row in self.latency_s):
            raise InputError(f"{self.name}: each state needs {len(self.factors)} levels and {len(self.cuts)} latencies above 0")

    @property
    def best(self) -> tuple[int, ...]:
        """The number of the fastest cut of each state; of equally fast ones the first."""
        return tuple(row.index(min(row)) for row in self.latency_s)

    def loss(self, cut: int) -> tuple[float, ...]:
        """By how much this cut is slower than the fastest, in each state; 0.1 is 10 %."""
        return tuple(row[cut] / min(row) - 1 for row in self.latency_s)

    def levels(self, factor: int) -> tuple[Level, ...]:
        """The levels of a factor, ascending; words in the order of the states."""
        found = dict.fromkeys(state[factor] for state in self.states)
        if any(isinstance(level, str) for level in found):
            return tuple(found)
        return tuple(sorted(found, key=float))

    def alone(self, *factors: int) -> tuple[int, ...]:
        """The states that differ from the usual one in these factors only, if at all."""
        kept = [index for index in range(len(self.factors)) if index not in factors]
        usual = self.states[self.usual]
        return tuple(number for number, state in enumerate(self.states) if all(state[index] == usual[index] for index in kept))
