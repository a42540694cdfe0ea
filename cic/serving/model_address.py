"""Which model an address names, and what is asked of it."""

from __future__ import annotations

ABOUT = "about"
"""What is asked by the address of a model alone."""

_MODELS, _VERSION = "/v2/models/", "versions/1"


def model_and_action(path: str) -> tuple[str, str]:
    """Model and action of an address, both empty if it is none of a model's; each model has the one version 1."""
    if not path.startswith(_MODELS):
        return "", ""
    model, _, action = path.removeprefix(_MODELS).partition("/")
    return model, action.removeprefix(_VERSION).removeprefix("/") or ABOUT
