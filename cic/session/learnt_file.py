"""What a session has learnt of machines, in a file: the next session begins with it. Standard library only.

The file is JSON of one splitting model, bound to it by a digest of the times and the cuts it was compiled to. It is written
whole or not at all, once a minute while there are calls, and when the session ends. One that is damaged tells nothing: a
warning says so, and all is learnt anew. One of another splitting model is refused, for it would be written over.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cic.decision.splitting_model import SplittingModel
from cic.errors import CicWarning, InputError
from cic.session.learned_machines import LearnedMachines
from codegen.checked_json import Fields
from codegen.files.atomic import check_writable, write_whole

VERSION = 1
SAVE_S = 60.0
_LARGEST_BYTES = 16 << 20


class LearntFile:
    """The file of one session, read when this is made.

    Raises:
        InputError: it is of another splitting model or a later version, nothing is learnt of this one, or no file can be
        written there.
    """

    def __init__(self, path: str | Path, model: SplittingModel, learned: LearnedMachines, now_s: float) -> None:
        if not learned.by_side:
            raise InputError(
                f"{path}: both machines of {model.name} were known when it was compiled, so nothing is learnt of them that a "
                'later session needs; compile with device="unknown" or server="unknown", or name no file'
            )
        self.path, self._model, self._learned = Path(path), model, learned
        self._digest = learnt_digest(model)
        self._saved_s = now_s
        try:
            check_writable(path)
            content = self.path.read_bytes() if self.path.exists() else None
        except OSError as error:
            raise InputError(f"{path}: what is learnt cannot be kept there: {error.strerror or error}") from error
        if content is not None:
            self._read(content)

    def due(self, now_s: float) -> bool:
        """Is it time to save again?"""
        return now_s - self._saved_s >= SAVE_S

    def _content(self) -> bytes:
        sides = {side: learned.learnt._asdict() for side, learned in self._learned.by_side.items()}
        document = {"version": VERSION, "of": self._model.name, "digest": self._digest, "machines": sides}
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()

    def save(self, now_s: float, lock: AbstractContextManager[Any], tell: Callable[[], None], news: deque[str]) -> None:
        """Write it. If that fails the inferences go on, and a warning is among the news.

        lock: held while what was learnt is read, and `tell` is called before, so that all that was seen is learnt.
        """
        self._saved_s = now_s
        with lock:
            tell()
            content = self._content()
        try:
            write_whole(self.path, content)
        except OSError as error:
            news.append(f"{self.path}: what was learnt is not saved: {error.strerror or error}")

    def _read(self, content: bytes) -> None:
        try:
            fields = Fields(json.loads(content[:_LARGEST_BYTES]))
            version, digest = fields.count("version"), fields.text("digest")
            if version <= VERSION and digest == self._digest:
                machines, sides = fields.object("machines"), self._learned.by_side
                read = [(learned, learned.read(machines.object(side))) for side, learned in sides.items()]
                for learned, learnt in read:
                    learned.begin_with(learnt)
        except (ValueError, RecursionError) as error:
            warnings.warn(f"{self.path} is damaged, so all is learnt anew: {error}", CicWarning, stacklevel=5)
            return
        if version > VERSION:
            raise InputError(f"{self.path} is of version {version}, this CIC reads version {VERSION}; name another file")
        if digest != self._digest:
            raise InputError(
                f"{self.path} was learnt with the splitting model {digest[:12]}, and {self._model.name} is "
                f"{self._digest[:12]}; name another file, or delete it"
            )


def learnt_digest(model: SplittingModel) -> str:
    """SHA-256 of what the learnt numbers refer to: the graph, and each cut with its label and its times."""
    cuts = [[cut.label, *cut.features] for cut in model.cuts]
    return hashlib.sha256(json.dumps([model.information.graph_digest, cuts]).encode()).hexdigest()
