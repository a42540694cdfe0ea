"""Leaves a model as it was, whatever happens to it meanwhile: attributes, buffers, training flags, caches, torch's settings.

Tracing runs the model's own code, on real tensors and on ones without data, and that code may keep what it sees: in an
attribute, in a table that grows, in a global, in a cached function. Before, everything the model can reach is read
(`cic.trace.preservation.reachable`), which takes references and no copies; afterwards what differs is put back into the same
objects.

The bytes of tensors are another matter, for a copy of all of them would double the memory of a large model. Small tensors
are copied; of large ones a copy is made when an operator is about to write to them, which a dispatch mode sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cic.errors import TraceError
from cic.trace.preservation.outside_state import OutsideState
from cic.trace.preservation.places import Place, State, same_state, settled
from cic.trace.preservation.reachable import Reachable, reachable

COPIED_BYTES = 2**24
"""Memory of at most this size is copied before anything runs, so that writes of every kind are undone."""

COPIED_WEIGHT_BYTES = 2**20
"""The same for parameters, of which there may be many and few models write to one."""


class Preserved:
    """Everything that can be reached from some roots, as it was when this object was made."""

    def __init__(self, *roots: Any) -> None:
        self.found = reachable(*roots)
        self.original = [place.read() for place in self.found.places]
        self.shapes = [_Shape(tensor) for tensor in self.found.tensors]
        self.memory = _Memory(self.found)
        self.caches = [(cache, cache.cache_info().misses) for cache in self.found.caches]
        self.outside = OutsideState(self.found.generators)
        self.warm = _Warm({}, {})

    def put_back(self) -> None:
        """Make everything as it was. What cannot be put back does not keep the rest from it; TraceError tells of it."""
        self._put_back()
        for cache, misses in self.caches:
            if cache.cache_info().misses != misses:
                cache.cache_clear()

    def writes_seen(self) -> AbstractContextManager[Any]:
        """Return the context in which real tensors may be computed with."""
        return nullcontext() if self.memory.copies.keys() >= self.memory.spans.keys() else _BeforeWrites(self.memory)

    def reading(self) -> Reading:
        """Return what has changed by now."""
        places = {number: place.read() for number, place in enumerate(self.found.places)}
        changed = {number: now for number, now in places.items() if not same_state(now, self.original[number])}
        return Reading(changed, self.memory.changed())

    def settle(self, first: Reading, second: Reading) -> bool:
        """Leave the model warmed up: as two calls left it, where the second call changed nothing of what the first had done.

        So a table is there that the first call made, whether or not somebody had called the model before. All else is put
        back. Tells whether anything differs from how it was.
        """
        places = {}
        for number in first.places.keys() | second.places.keys():
            before = self.original[number]
            readings = first.places.get(number, before), second.places.get(number, before)
            state = settled(before, *readings, by_name=self.found.places[number].by_name)
            if not same_state(state, before):
                places[number] = state
        last = second.memory
        self.warm = _Warm(
            places, {key: copy for key, copy in first.memory.items() if key in last and torch.equal(copy, last[key])}
        )
        self._put_back()
        self._warm_up()
        return bool(self.warm.places or self.warm.memory)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Afterwards, leave the model as `settle` did, or as it was if that came to nothing."""
        try:
            yield
        finally:
            self.put_back()
            self._warm_up()

    def own_changed_memory(self, module: torch.nn.Module) -> None:
        """Give `module` copies of its own of all memory that will be put back, which it may share with the model."""
        changed = self.memory.changed().keys()
        for part in module.modules():
            holders: tuple[dict[str, Any], ...] = vars(part), part._buffers, part._parameters
            for holder in holders:
                for name, tensor in list(holder.items()):
                    if isinstance(tensor, torch.Tensor) and _memory_of(tensor) in changed:
                        copy = tensor.detach().clone()
                        is_weight = isinstance(tensor, torch.nn.Parameter)
                        holder[name] = torch.nn.Parameter(copy, requires_grad=False) if is_weight else copy

    def _put_back(self) -> None:
        errors: list[Exception] = []
        steps: list[Any] = [_Step(place, state) for place, state in zip(self.found.places, self.original, strict=True)]
        for step in (*steps, *self.shapes, self.memory, self.outside):
            try:
                step.put_back()
            except Exception as error:  # an object of the user's may refuse anything  # noqa: BLE001
                errors.append(error)
        if errors:
            raise TraceError(
                f"the model could not be put back as it was before tracing ({type(errors[0]).__name__}: {errors[0]}); load it"
                " again, and let its forward not change what cannot be changed back"
            ) from errors[0]

    def _warm_up(self) -> None:
        for number, state in self.warm.places.items():
            self.found.places[number].write(state)
        self.memory.overwrite(self.warm.memory)


@dataclass(frozen=True)
class Reading:
    """What differs from how it was: states of places by their number, bytes by the identity of their memory."""

    places: dict[int, State]
    memory: dict[int, torch.Tensor]


_Warm = Reading


@contextmanager
def preserved(*roots: Any) -> Iterator[Preserved]:
    """Put back whatever the body changes of what can be reached from `roots`, also if it fails or is interrupted."""
    before = Preserved(*roots)
    try:
        yield before
    finally:
        before.put_back()


@dataclass(frozen=True)
class _Step:
    place: Place
    state: State

    def put_back(self) -> None:
        now = self.place.read()
        if not same_state(now, self.state) or list(now) != list(self.state):
            self.place.write(self.state)


class _Shape:
    """How one tensor object looks at its memory, and which memory that is."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor
        self.alias = tensor.detach() if type(tensor) in (torch.Tensor, torch.nn.Parameter) else None
        self.requires_grad, self.gradient = tensor.requires_grad, tensor.grad if tensor.is_leaf else None

    def put_back(self) -> None:
        if self.alias is not None and _look(self.tensor) != _look(self.alias):
            self.tensor.data = self.alias
        if self.tensor.is_leaf:
            if self.tensor.requires_grad != self.requires_grad:
                self.tensor.requires_grad_(self.requires_grad)
            if self.tensor.grad is not self.gradient:
                self.tensor.grad = self.gradient


def _look(tensor: torch.Tensor) -> Any:
    if tensor.layout is not torch.strided:
        return tensor.layout, tuple(tensor.shape), tensor.dtype
    return tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype, tensor.device, _memory_of(tensor)


def _memory_of(tensor: torch.Tensor) -> int:
    """Return the identity of a tensor's memory, 0 if it has none that can be read."""
    try:
        memory = tensor.untyped_storage()
        has_bytes = memory.device.type != "meta" and memory.data_ptr() != 0  # a tensor around others has an address of 0
    except (RuntimeError, NotImplementedError):  # sparse tensors, for one
        return 0
    return memory._cdata if has_bytes else 0


class _Memory:
    """The bytes behind tensors and arrays: the memory itself, and copies of what is small or was about to be written."""

    def __init__(self, found: Reachable) -> None:
        self.spans: dict[int, torch.Tensor] = {}
        self.copies: dict[int, torch.Tensor] = {}
        for tensor in found.tensors:
            key = _memory_of(tensor)
            if key and key not in self.spans:
                limit = COPIED_WEIGHT_BYTES if isinstance(tensor, torch.nn.Parameter) else COPIED_BYTES
                self._add(key, torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage()), limit)
        self.arrays = [(array, array.copy()) for array in found.arrays if array.flags.writeable and not array.dtype.hasobject]
        self.rows = [(row, row[:]) for row in found.rows]

    def _add(self, key: int, span: torch.Tensor, limit: int) -> None:
        self.spans[key] = span
        if span.numel() <= limit:
            self.copies[key] = span.clone()

    def about_to_write(self, tensor: torch.Tensor) -> None:
        key = _memory_of(tensor)
        if key in self.spans and key not in self.copies:
            self.copies[key] = self.spans[key].clone()

    def changed(self) -> dict[int, torch.Tensor]:
        """Return copies of the memory that differs from how it was, as it is now."""
        return {key: self.spans[key].clone() for key, copy in self.copies.items() if not _same_bytes(self.spans[key], copy)}

    def overwrite(self, contents: dict[int, torch.Tensor]) -> None:
        for key, content in contents.items():
            span = self.spans[key]
            if span.untyped_storage().nbytes() != content.numel():
                span.untyped_storage().resize_(content.numel())
            span.copy_(content)

    def put_back(self) -> None:
        self.overwrite({key: copy for key, copy in self.copies.items() if not _same_bytes(self.spans[key], copy)})
        for array, copy in self.arrays:
            if array.shape == copy.shape and array.tobytes() != copy.tobytes():
                array[...] = copy
        for row, copied in self.rows:
            if row != copied:
                row[:] = copied


def _same_bytes(span: torch.Tensor, copy: torch.Tensor) -> bool:
    return span.untyped_storage().nbytes() == copy.numel() and torch.equal(span, copy)


class _BeforeWrites(TorchDispatchMode):
    """Tells a memory of each write to a tensor before it happens; not of those inside a `torch.cond` or its kin."""

    supports_higher_order_operators = True

    def __init__(self, memory: _Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.memory = memory

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        schema = getattr(func, "_schema", None)
        if schema is not None and schema.is_mutable:
            for position, argument in enumerate(schema.arguments):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    value = args[position] if position < len(args) else kwargs.get(argument.name)
                    for tensor in value if isinstance(value, list | tuple) else (value,):
                        if isinstance(tensor, torch.Tensor):
                            self.memory.about_to_write(tensor)
        return func(*args, **kwargs)
