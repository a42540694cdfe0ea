"""What a model can reach and change: its attributes at any depth, those of its classes, and the globals its code names.

The walk follows references, and from a function the names that its code reads or writes. It stays out of torch, the standard
library and whatever belongs to neither the model nor a package of its own; what is found there is not the model's state.
"""

from __future__ import annotations

import array
import dis
import functools
import random
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from cic.trace.preservation.places import Attributes, Cell, Entries, Items, Kind, Names, Place, Scripted

MOST_OBJECTS = 400_000
"""How many objects a walk visits at most: those nearest to the model come first."""

_CACHE = type(functools.lru_cache(lambda: None))
_OPAQUE = (
    "torch.fx",
    "torch._",
    "torch.jit",
    "torch.utils",
    "torch.export",
    "torch.cuda",
    "torch.distributed",
    "torch.library",
)
_ATOMS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size, ModuleType, CodeType)
_WITH_STATE = ("types", "collections", "weakref", "_weakrefset", "_thread", "argparse", "__main__")
"""Of the modules of the standard library, those whose objects keep values for whoever uses them."""

_HOOKS_OF_ALL_MODULES = tuple(
    value for name, value in vars(nn.modules.module).items() if name.startswith("_global_") and isinstance(value, dict)
)
_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]


@dataclass
class Reachable:
    """What was found. rows: bytearrays and arrays of the standard library; generators: objects that draw random numbers;
    caches: functions under `functools.lru_cache`."""

    places: list[Place] = field(default_factory=list)
    tensors: list[torch.Tensor] = field(default_factory=list)
    arrays: list[Any] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    caches: list[Any] = field(default_factory=list)
    generators: list[Any] = field(default_factory=list)


def reachable(*roots: Any) -> Reachable:
    """Return what can be reached from `roots`, and from hooks that run for all modules, breadth first."""
    return _Walk().run((*roots, *_HOOKS_OF_ALL_MODULES))


class _Walk:
    def __init__(self) -> None:
        self.found = Reachable()
        self.seen: set[int] = set()
        self.kept: list[Any] = []  # so that no id is used twice
        self.waiting: deque[Any] = deque()

    def run(self, roots: tuple[Any, ...]) -> Reachable:
        self.follow(roots)
        while self.waiting and len(self.seen) < MOST_OBJECTS:
            self.visit(self.waiting.popleft())
        return self.found

    def follow(self, values: Any) -> None:
        for value in values:
            if not isinstance(value, _ATOMS) and id(value) not in self.seen:
                self.seen.add(id(value))
                self.kept.append(value)
                self.waiting.append(value)

    def add(self, place: Place) -> None:
        self.found.places.append(place)
        self.follow(place.read().values())  # past whatever an object does when it is asked itself

    def visit(self, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            self.found.tensors.append(value)
            self.follow((value.grad if value.is_leaf else None,))
            self.add(Entries(vars(value)))
        elif isinstance(value, dict | list | deque | set):
            self.add(Entries(value) if isinstance(value, dict) else Items(value))
            if type(value).__module__ not in ("builtins", "collections"):
                self.visit_object(value)
        elif isinstance(value, tuple | frozenset):
            self.follow(value)
        elif isinstance(value, CellType):
            self.add(Cell(value))
        elif isinstance(value, type):
            self.visit_class(value)
        elif callable(value) and self.visit_callable(value):
            pass
        elif isinstance(value, torch.Generator | random.Random) or type(value).__module__.startswith("numpy.random"):
            self.found.generators.append(value)
        elif type(value).__module__ == "numpy" and hasattr(value, "dtype") and hasattr(value, "flags"):
            self.found.arrays.append(value)
        elif isinstance(value, bytearray | array.array):
            self.found.rows.append(value)
        else:
            self.visit_object(value)

    def visit_callable(self, value: Any) -> bool:
        """Follow functions of every kind; tell whether it was one."""
        if isinstance(value, FunctionType):
            if not _is_foreign(value.__module__):
                self.visit_function(value)
        elif isinstance(value, MethodType):
            self.follow((value.__self__, value.__func__))
        elif isinstance(value, functools.partial):
            self.follow((value.func, value.args, value.keywords))
        elif isinstance(value, _CACHE):
            if not _is_foreign(getattr(value, "__module__", None)):
                self.found.caches.append(value)
                self.follow((value.__wrapped__,))
        else:
            return False
        return True

    def visit_function(self, function: FunctionType) -> None:
        if vars(function):
            self.follow((vars(function),))
        self.follow(function.__closure__ or ())
        self.follow((function.__defaults__, function.__kwdefaults__))
        names, stored = _names_of(function.__code__)
        space = function.__globals__
        used = tuple(name for name in names if name in space or name in stored)
        if used:
            self.add(Names(space, used))
        for module in [space[name] for name in used if isinstance(space.get(name), ModuleType)]:
            inside = vars(module)
            if not _is_foreign(module.__name__) and (there := tuple(name for name in names if name in inside)):
                self.add(Names(inside, there))

    def visit_class(self, kind: type) -> None:
        for each in kind.__mro__:
            if _is_foreign(each.__module__) or (each is not kind and id(each) in self.seen):
                continue
            self.seen.add(id(each))
            place = Attributes(each)
            self.found.places.append(place)
            self.follow(_unwrapped(place.read().values()))

    def visit_object(self, value: Any) -> None:
        kind = type(value)
        if _is_opaque(kind):
            return
        if isinstance(value, nn.Module):
            self.follow(value.children())  # these and what follows are in no attribute of a script module
            self.follow(value.parameters(recurse=False))
            self.follow(value.buffers(recurse=False))
        if isinstance(value, torch.jit.ScriptModule) and (written := _written_by_script(value)):
            self.add(Scripted(value._c, written))
        self.follow((kind,))
        own = getattr(value, "__dict__", None)
        if isinstance(own, dict):
            self.found.places.append(Kind(value))
            self.follow((own,))
        slots = tuple(name for each in kind.__mro__ for name in _slots(each))
        if slots:
            self.add(Attributes(value, slots))


def _is_foreign(module: Any) -> bool:
    """Tell whether code of that module is torch's, the standard library's or ours, none of which is the model's state."""
    top = str(module).partition(".")[0]
    return top in ("torch", "cic", "codegen", "mincut", "compress", "numpy") or top in sys.stdlib_module_names


def _is_opaque(kind: type) -> bool:
    module = str(kind.__module__)
    if issubclass(kind, nn.Module):
        return False
    if module.startswith(_OPAQUE):
        return True
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names and top not in _WITH_STATE


def _written_by_script(module: Any) -> tuple[str, ...]:
    """Return the attributes of a module of TorchScript, other than modules, that some method of it names."""
    graphs = [module._c._get_method(name).graph for name in module._c._method_names()]
    nodes = [node for graph in graphs for kind in ("prim::SetAttr", "prim::GetAttr") for node in graph.findAllNodes(kind)]
    names = dict.fromkeys(node.s("name") for node in nodes)
    held = {name: module._c.getattr(name) for name in names if module._c.hasattr(name)}
    return tuple(name for name, value in held.items() if not isinstance(value, torch._C.ScriptModule | torch._C.ScriptObject))


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    hidden = f"_{kind.__name__.lstrip('_')}"
    return tuple(
        f"{hidden}{name}" if name.startswith("__") and not name.endswith("__") else name
        for name in names
        if name not in ("__dict__", "__weakref__")
    )


def _unwrapped(values: Any) -> Iterator[Any]:
    """Yield attributes of a class, with what stands behind properties and methods of the class."""
    for value in values:
        if isinstance(value, property):
            yield from filter(None, (value.fget, value.fset))
        elif isinstance(value, staticmethod | classmethod):
            yield value.__func__
        elif isinstance(value, functools.cached_property):
            yield value.func
        else:
            yield value


@functools.lru_cache(maxsize=20_000)
def _names_of(code: CodeType) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names that a function and those inside it use as globals or attributes, and the globals it assigns."""
    names, stored = dict.fromkeys(code.co_names), set()
    if _STORE_GLOBAL in code.co_code[::2]:
        stored = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_GLOBAL"}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            inner_names, inner_stored = _names_of(inner)
            names.update(dict.fromkeys(inner_names))
            stored |= inner_stored
    return tuple(names), frozenset(stored)
