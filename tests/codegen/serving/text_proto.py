"""A small reader of the protobuf text format, written apart from what writes `config.pbtxt`.

    message = (name [":"] value [","|";"])*        value = scalar | "{" message "}" | "[" value ("," value)* "]"

A message is a dict from field name to the list of its values, an enum's value a `Word`.
"""

from __future__ import annotations

import ast
import re
from typing import Any

TOKEN = re.compile(r"""\s+|\#[^\n]*|(?P<token>"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?|[A-Za-z_]\w*|[{}\[\]:,;])""")


class Word(str):
    """A bare word: an enum's value, true or false."""


def parse(text: str) -> dict[str, list[Any]]:
    tokens, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        assert match, f"no text proto at {text[position : position + 30]!r}"
        position = match.end()
        if match["token"]:
            tokens.append(match["token"])
    message, rest = _message(tokens)
    assert rest == [], rest
    return message


def _message(tokens: list[str]) -> tuple[dict[str, list[Any]], list[str]]:
    fields: dict[str, list[Any]] = {}
    while tokens and tokens[0] != "}":
        name, *tokens = tokens
        assert re.fullmatch(r"[A-Za-z_]\w*", name), name
        if tokens[0] == ":":
            tokens = tokens[1:]
        else:
            assert tokens[0] in "{[", f"a scalar needs a colon: {name}"
        values, tokens = _values(tokens)
        fields.setdefault(name, []).extend(values)
        if tokens and tokens[0] in ",;":
            tokens = tokens[1:]
    return fields, tokens


def _values(tokens: list[str]) -> tuple[list[Any], list[str]]:
    if tokens[0] != "[":
        value, tokens = _value(tokens)
        return [value], tokens
    values, tokens = [], tokens[1:]
    while tokens[0] != "]":
        value, tokens = _value(tokens)
        values.append(value)
        if tokens[0] == ",":
            tokens = tokens[1:]
            assert tokens[0] != "]", "a comma ends a list"
        else:
            assert tokens[0] == "]", tokens[0]
    return values, tokens[1:]


def _value(tokens: list[str]) -> tuple[Any, list[str]]:
    first, *rest = tokens
    if first == "{":
        message, rest = _message(rest)
        assert rest[0] == "}"
        return message, rest[1:]
    if first.startswith('"'):
        return ast.literal_eval("b" + first).decode(), rest
    return (Word(first) if first[0].isalpha() else ast.literal_eval(first)), rest
