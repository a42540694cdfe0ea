"""A token is one long word of a file, and nothing else opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from cic.errors import InputError
from cic.serving.bearer_token import bears, read_token

TOKEN = b"0123456789abcdef"


@pytest.mark.parametrize("content", [TOKEN, TOKEN + b"\n", b"  " + TOKEN + b"\r\n"])
def test_blanks_around_it_do_not_count(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(content)
    assert read_token(tmp_path / "token") == TOKEN


@pytest.mark.parametrize("content", [b"", b"short", b"two words of letters", b"\xff" * 20, b"0" * 5000, TOKEN + b"\n" + TOKEN])
def test_other_files_hold_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(InputError, match="token holds no token"):
        read_token(tmp_path / "token")
    with pytest.raises(InputError, match="cannot read"):
        read_token(tmp_path / "absent")


def test_only_the_token_is_the_token() -> None:
    assert bears("Bearer 0123456789abcdef", TOKEN) and bears("bearer 0123456789abcdef", TOKEN)
    for other in (None, "", "Bearer", "0123456789abcdef", "Bearer 0123456789abcde", "Basic 0123456789abcdef", "Bearer ü"):
        assert not bears(other, TOKEN)
