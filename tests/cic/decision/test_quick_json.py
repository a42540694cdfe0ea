"""JSON is read as `json` reads it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cic.decision.quick_json import parse

pytestmark = pytest.mark.real_interpreter

TEXTS = (
    *(
        "{}",
        "[]",
        '{"a": [1, -2.5e300, true, false, null, "\\u00e9\\ud83d\\ude00 \\n"], "a": 2}',
        " [1]\n",
        "3",
        '"x"',
        "1e999",
    ),
    *("", " ", "[1", "[1] 2", "{'a': 1}", '{"a" 1}', "nul", '"\n"', "[1,]", "NaN", "[Infinity]", "-Infinity", "9" * 5000),
)


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
@pytest.mark.parametrize("scanner", [True, False])
def test_what_json_says(text: str, scanner: bool, monkeypatch: pytest.MonkeyPatch):
    if not scanner:
        monkeypatch.setitem(sys.modules, "_json", None)
    try:
        expected = json.loads(text, parse_constant=refuse)
    except ValueError as error:
        with pytest.raises(ValueError, match=r".") as caught:
            parse(text.encode())
        assert str(caught.value) == str(error)
    else:
        assert parse(text.encode()) == expected


def test_other_encodings_and_endless_nesting_are_refused():
    with pytest.raises(ValueError, match="codec can't decode"):
        parse("[1]".encode("utf-16"))
    with pytest.raises(RecursionError):
        parse(b"[" * 1_000_000)


def test_the_device_imports_no_json():
    code = "import sys, cic; sys.exit(bool({'json', 're', 'enum', 'functools'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"]).returncode == 0
    )
