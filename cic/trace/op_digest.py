"""Digests of what ops compute: of one op from whatever describes it, and of several in a row from theirs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any


def digest(body: Any) -> str:
    """Return the SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def joined(signatures: Sequence[str], links: Sequence[Sequence[int]] = ()) -> str:
    """Return the digest of a run of ops, each of which reads nothing but the result of the one before.

    links: for each op but the first the positions of those it reads, where that is not so.
    """
    return digest([*signatures, *map(list, links)])
