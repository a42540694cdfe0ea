"""Fixtures of several tests of formats."""

from tests.codegen.formats.sharing_models import unverified  # noqa: F401
