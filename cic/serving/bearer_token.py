"""The token that a request must bear, from a file, so that it stands in no list of processes."""

from __future__ import annotations

import hmac
from pathlib import Path

from cic.errors import InputError

_FEWEST_LETTERS, _MOST_LETTERS = 16, 4096
_SCHEME = "bearer "


def read_token(path: Path) -> bytes:
    """The token in a file, without blanks around it.

    Raises InputError if the file cannot be read, or holds no one word that is long enough not to be guessed.
    """
    try:
        with path.open("rb") as file:
            token = file.read(_MOST_LETTERS + 2).strip()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if not (_FEWEST_LETTERS <= len(token) <= _MOST_LETTERS and all(33 <= letter < 127 for letter in token)):
        raise InputError(
            f"{path} holds no token: one word of {_FEWEST_LETTERS} to {_MOST_LETTERS} letters of ASCII, such as"
            " `openssl rand -hex 32` prints"
        )
    return token


def bears(authorization: str | None, token: bytes) -> bool:
    """Does the header of a request bear the token? Takes as long whether much or little of it is right."""
    given = authorization or ""
    scheme, word = given[: len(_SCHEME)].lower(), given[len(_SCHEME) :].strip()
    return hmac.compare_digest(word.encode("utf-8", "replace"), token) and scheme == _SCHEME
