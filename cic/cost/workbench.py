"""A workbench: a traced model that can be run whole, or in runs of ops, on real values. What measuring asks of a runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from cic.cost.timing import Run
from cic.engine.engine_name import EngineName
from cic.graph import Graph, Op


class Workbench(Protocol):
    """Makes functions to time, each of which runs something as the emitted halves run it."""

    @property
    def graph(self) -> Graph:
        """The graph whose ops are measured."""

    @property
    def engine(self) -> EngineName:
        """What runs the ops."""

    @property
    def runtime(self) -> str:
        """The versions of what runs the ops, for the reader of a profile."""

    def whole(self) -> Run:
        """Return a run of the whole model on its example call."""

    def empty(self) -> Run:
        """Return a run that computes nothing: what calling costs is paid once for a half, not once for an op."""

    def parts(self, parts: Sequence[Sequence[Op]]) -> list[Callable[[], Run]]:
        """Return for each part, some ops in graph order, a function that makes a run of it on values of a real run.

        A part that the runtime cannot run raises RuntimeError, TypeError or ValueError when it is made or run.
        """
