"""Fixtures of several rooms of codegen's tests."""

from tests.codegen.residual_bundle import bundle, copied, residual  # noqa: F401
