"""Halves that a session has loaded: when they are wished for, within a budget of memory; the least recently used go first.

The head of "device-only" is loaded at once and stays, for it answers when nothing else does. Beside the head of a cut its tail
is loaded where there is room, which finishes an inference here if the server does not. Loading takes from milliseconds to
seconds, so it happens in a thread of its own, and the new half has run once before it is used.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from cic.codec.tensors import carrier
from cic.engine.engine import Engine
from cic.engine.opening import open_half
from cic.errors import ArtifactError, CicError, EngineError, InputError
from codegen.manifest import FileRecord, Manifest
from codegen.split import Half

Key = tuple[str, Half]

# TorchScript rewrites a program in its first runs, other runtimes reserve memory in the first.
_REHEARSALS, _REHEARSING_S = 3, 1.0
_LEAST_PRIORITY = 19
_FORMATS = {"torchscript": "torchscript", "pt2": "exported_program"}


class LoadedHalves:
    """The halves of the cuts in a bundle. Thread-safe.

    engine, threads: see `cic.engine.opening.open_half`. memory_limit: bytes of files, weights that several halves share once;
    what a runtime needs besides is not known before. None: as much as there is.
    kept: the id of the cut whose head is loaded at once and stays, which is all of the network; None if there is none.
    batch: that halves are run with before their first use, where it is open.
    on_loaded, on_trouble: told, by the thread that loads, the id of each cut whose head was asked for, and why one is not used.

    Raises:
        InputError: the head to be kept is alone beyond the limit. ArtifactError, EngineError: it cannot be loaded.
    """

    def __init__(
        self,
        bundle: Path,
        manifest: Manifest,
        engine: str | None,
        threads: int,
        memory_limit: int | None,
        kept: str | None = None,
        batch: int = 1,
    ) -> None:
        self._bundle, self._manifest, self._engine, self._threads = bundle, manifest, engine, threads
        self._limit, self._batch = memory_limit, batch
        self.on_loaded: Callable[[str], object] = lambda _: None
        self.on_trouble: Callable[[str], object] = lambda _: None
        self._loaded: OrderedDict[Key, Engine] = OrderedDict()
        self._unfit: set[Key] = set()
        self._wished: set[Key] = set()
        self._queue: queue.SimpleQueue[Key | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._kept = kept
        if kept is not None:
            self.load((kept, "head"))

    def get(self, key: Key) -> Engine | None:
        """The half if it is loaded."""
        with self._lock:
            engine = self._loaded.get(key)
            if engine is not None:
                self._loaded.move_to_end(key)
            return engine

    def has(self, key: Key) -> bool:
        """Is the half loaded? Asking does not count as a use."""
        return key in self._loaded

    def fits(self, cut_id: str) -> bool:
        """May the head of a cut be loaded?"""
        return (cut_id, "head") not in self._unfit

    def wish(self, cut_id: str) -> None:
        """Have the head of a cut loaded, and then its tail, in a while and elsewhere."""
        halves: tuple[Half, ...] = ("head",) if cut_id == self._kept else ("head", "tail")
        wanted = [(cut_id, half) for half in halves]
        if all(key in self._loaded or key in self._unfit for key in wanted):
            return
        with self._lock:
            new = [key for key in wanted if key not in self._loaded and key not in self._unfit and key not in self._wished]
            if not new or self._closed:
                return
            self._wished.update(new)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="cic-loading", daemon=True)
                self._thread.start()
        for key in new:
            self._queue.put(key)

    def load(self, key: Key) -> Engine:
        """The half, loaded now if it is not yet.

        Raises:
            InputError: it is beyond the budget, or all is closed. ArtifactError, EngineError: it cannot be loaded.
        """
        with self._loading:
            if (loaded := self.get(key)) is not None:
                return loaded
            self.check_open()
            try:
                self._make_room(key)
                engine = open_half(self._bundle, *key, self._engine, self._threads)
            except CicError:
                self._unfit.add(key)
                raise
            _rehearse(engine, self._batch)
            with self._lock:
                if not self._closed:
                    self._loaded[key] = engine
            return engine

    def check_open(self) -> None:
        """Raises InputError after `close`."""
        if self._closed:
            raise InputError("the session is closed; open another one")

    @property
    def limited(self) -> bool:
        """Is there a limit of memory?"""
        return self._limit is not None

    @property
    def busy(self) -> bool:
        """Are there wishes left?"""
        return bool(self._wished)

    def close(self) -> None:
        """Let go of all halves; none is loaded any more."""
        with self._lock:
            self._closed = True
            self._loaded.clear()
            thread = self._thread
        self._queue.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5.0)

    def _work(self) -> None:
        # Inferences go on meanwhile, and come first.
        with suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_PRIORITY)
        while (key := self._queue.get()) is not None:
            if not self._closed:
                self._fulfil(key)
            with self._lock:
                self._wished.discard(key)
            if key[1] == "head":
                self.on_loaded(key[0])

    def _fulfil(self, key: Key) -> None:
        try:
            self.load(key)
        except InputError:
            return  # beyond the budget: the cut is not used
        except (ArtifactError, EngineError) as error:
            # A device may have been given heads only.
            if key[1] == "head":
                self.on_trouble(f"cut {key[0]} is not used: {error}")

    def _make_room(self, key: Key) -> None:
        if self._limit is None:
            return
        with self._lock:
            # The tail is what is done without most easily, and must not drive out any head.
            first = [loaded for loaded in self._loaded if loaded[1] == "tail"]
            then = [] if key[1] == "tail" else [loaded for loaded in self._loaded if loaded[1] == "head"]
            leaving = [loaded for loaded in (*first, *then) if loaded[0] not in (self._kept, key[0])]
            while (needed := self._bytes([*self._loaded, key])) > self._limit:
                if not leaving:
                    raise InputError(
                        f"the {key[1]} of cut {key[0]} brings what is loaded to {needed} bytes, the limit of memory is"
                        f" {self._limit}; raise it, or emit other cuts"
                    )
                del self._loaded[leaving.pop(0)]

    def _bytes(self, keys: Iterable[Key]) -> int:
        """Of halves together: their own, and those of each weight once."""
        own, weights = 0, set()
        for cut_id, half in keys:
            file = self._file(cut_id, half)
            if file.bare is None:
                own += file.bytes
                continue
            shared = [place.sha256 for place in file.bare.weights]
            own += file.bytes - sum(self._manifest.weights[sha256] for sha256 in shared)
            weights.update(shared)
        return own + sum(self._manifest.weights[sha256] for sha256 in weights)

    def _file(self, cut_id: str, half: Half) -> FileRecord:
        files = self._manifest.cut(cut_id).files
        wanted = _FORMATS.get((self._engine or "").partition(":")[0], "onnx")
        return files.get(wanted, next(iter(files.values()))).of(half)


def _rehearse(engine: Engine, batch: int) -> None:
    """Run a half a few times on made-up values, which it may not like."""
    began_s = time.monotonic()
    wires = [wire.at_batch(batch) for wire in engine.inputs]
    zeros = [np.zeros(wire.shape, carrier(wire.dtype)) for wire in wires]
    with suppress(CicError):
        for _ in range(_REHEARSALS):
            engine.run(zeros)
            if time.monotonic() - began_s > _REHEARSING_S:
                return
