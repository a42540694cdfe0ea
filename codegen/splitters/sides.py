"""Where a graph is cut: which of its values each side has, and what crosses. The same for graphs of torch and of ONNX.

Phase one of a split finds what crosses, phase two clones each half, phase three says where each output is found. Values are of
four sorts, told apart by two sets of names:

* *constants* depend on no input: weights, `arange`, `full`. Every half that needs one has it.
* *device values* are made by the members of `device_nodes`.
* *wire values* are the members of `tensors`: the inputs and the results of ops. Only these may cross.
* whatever else lies behind a wire value is a *free view* of it, or the inside of an op on the server. A half that needs
  it computes it, so what crosses for a view is its base, and a view read on both sides exists on both.

A half is what its results need and nothing more, so weights go where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from codegen.errors import CodegenError, UnsplittableError
from codegen.split import Half, OutputSource, Split, WireTensor

Value = TypeVar("Value", bound=Hashable)


class Wiring(Protocol[Value]):
    """A graph as its values and what each is computed from."""

    @property
    def inputs(self) -> Sequence[Value]:
        """The model's inputs, in order."""

    @property
    def values(self) -> Sequence[Value]:
        """All values in graph order, the inputs among them."""

    @property
    def results(self) -> Sequence[Value]:
        """The model's outputs, in order; one may be there twice."""

    @property
    def constants(self) -> Collection[Value]:
        """The values that depend on no input."""

    @property
    def nodes(self) -> Collection[str]:
        """The names of all nodes."""

    def name(self, value: Value) -> str:
        """Return the name of a value."""

    def maker(self, value: Value) -> str | None:
        """Return the name of the node that makes a value; None for an input."""

    def reads(self, value: Value) -> Sequence[Value]:
        """Return the values that a value is made from."""

    def wire(self, value: Value) -> WireTensor:
        """Return a value as it stands at a border; UnsplittableError if it is not one tensor of a fixed shape."""

    def part(self, inputs: Sequence[Value], results: Sequence[Value], half: Half) -> Any:
        """Return the half that computes `results` from `inputs`, with the weights that it uses."""


def split_at(wiring: Wiring[Value], device_nodes: Collection[str], tensors: Collection[str]) -> Split:
    """Split a graph so that the nodes `device_nodes` run in the head and all others in the tail.

    Raises UnsplittableError if an op on the device reads a value made on the server, or if an op on the server reads a
    value made on the device that is not among `tensors`; CodegenError if a name is not in the graph.
    """
    sides = _Sides(wiring, frozenset(device_nodes), frozenset(tensors))
    sides.check()
    made_on_device = {result: sides.is_device_made(result) for result in wiring.results}
    returned = [result for result, on_device in made_on_device.items() if not on_device]
    crossing = sides.crossing(returned)
    kept = [result for result, on_device in made_on_device.items() if on_device and result not in set(crossing)]
    head = [*crossing, *kept]
    return Split(
        head=wiring.part(wiring.inputs, head, "head"),
        tail=wiring.part(crossing, returned, "tail"),
        inputs=tuple(map(wiring.wire, wiring.inputs)),
        crossing=tuple(map(wiring.wire, crossing)),
        kept=tuple(map(wiring.wire, kept)),
        returned=tuple(map(wiring.wire, returned)),
        outputs=tuple(
            OutputSource("head", head.index(result)) if made_on_device[result] else OutputSource("tail", returned.index(result))
            for result in wiring.results
        ),
    )


def ancestors(results: Iterable[Value], given: Collection[Value], reads: Callable[[Value], Iterable[Value]]) -> set[Value]:
    """Return the values that `results` are computed from when `given` values are given, both included."""
    needed: set[Value] = set()
    waiting = list(results)
    while waiting:
        value = waiting.pop()
        if value not in needed:
            needed.add(value)
            if value not in given:
                waiting.extend(reads(value))
    return needed


class _Sides(Generic[Value]):
    """On which side a value is made, and whether the device set is closed."""

    def __init__(self, wiring: Wiring[Value], device: frozenset[str], tensors: frozenset[str]) -> None:
        self.wiring = wiring
        self.device = device
        self.tensors = tensors

    def check(self) -> None:
        """Raise unless every name exists and the device ops read only what the device has."""
        wiring = self.wiring
        names = set(map(wiring.name, wiring.values))
        for role, given, known in (("device node", self.device, wiring.nodes), ("tensor", self.tensors, names)):
            for name in sorted(given.difference(known)):
                raise CodegenError(f"the {role} {name!r} is not in the graph; was the model changed, or traced again?")
        for value in wiring.values:
            maker = wiring.maker(value)
            if maker not in self.device:
                continue
            for base in self.bases(wiring.reads(value)):
                if not self.is_on_device(base):
                    raise UnsplittableError(
                        f"{maker} is to run on the device but reads {wiring.name(base)}, which is made on the server;"
                        f" move {wiring.maker(base)} to the device or {maker} to the server"
                    )

    def is_on_device(self, value: Value) -> bool:
        """Tell whether a value exists on the device: as an input, or as a result of a device op."""
        maker = self.wiring.maker(value)
        return maker is None or maker in self.device

    def is_device_made(self, result: Value) -> bool:
        """Tell whether a model output, perhaps a view, comes from values of the device only (or from none at all)."""
        return all(map(self.is_on_device, self.bases([result])))

    def bases(self, values: Iterable[Value]) -> list[Value]:
        """Return the inputs and op results that these values are, or are views of; constants have none."""
        return self._reached(values, lambda value: self.wiring.name(value) in self.tensors or self.is_on_device(value))

    def crossing(self, on_server: Iterable[Value]) -> list[Value]:
        """Return the values of the device that the server's results are computed from, in graph order."""
        wiring = self.wiring

        def is_crossing(value: Value) -> bool:
            return self.is_on_device(value) and (wiring.maker(value) is None or wiring.name(value) in self.tensors)

        def refuse_device_op(value: Value, reader: Value | None) -> None:
            if wiring.maker(value) in self.device:
                who = "the model output" if reader is None else wiring.maker(reader)
                raise UnsplittableError(
                    f"{who} on the server reads {wiring.name(value)}, which is made on the device and cannot be sent; put both"
                    " on the same side"
                )

        reached = set(self._reached(on_server, is_crossing, refuse_device_op))
        return [value for value in wiring.values if value in reached]

    def _reached(
        self,
        values: Iterable[Value],
        stop: Callable[[Value], bool],
        visit: Callable[[Value, Value | None], None] = lambda value, reader: None,
    ) -> list[Value]:
        """Return the values at which a walk against the arrows stops, starting with `values` themselves.

        `visit` sees each value passed on the way and the one that is made from it. Constants are not looked at.
        """
        found: list[Value] = []
        seen: set[Value] = set()
        waiting: list[tuple[Value, Value | None]] = [(value, None) for value in values]
        while waiting:
            value, reader = waiting.pop()
            if value in seen or value in self.wiring.constants:
                continue
            seen.add(value)
            if stop(value):
                found.append(value)
                continue
            visit(value, reader)
            waiting.extend((source, value) for source in self.wiring.reads(value))
        return found
