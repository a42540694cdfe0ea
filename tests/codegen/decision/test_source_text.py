"""Identifiers made of any text are identifiers."""

from __future__ import annotations

import random

from codegen.decision.source_text import LONGEST_IDENTIFIER, check_identifier, identifier


def test_identifiers_are_identifiers() -> None:
    rng = random.Random(4)
    for _ in range(3000):
        text = "".join(rng.choice("ab_9 -*é") for _ in range(rng.randint(0, LONGEST_IDENTIFIER + 9)))
        made = identifier(text)
        if len(made) <= LONGEST_IDENTIFIER:
            assert check_identifier(made) == made
    assert identifier("ResNet-50 (v2)") == "ResNet_50_v2"
