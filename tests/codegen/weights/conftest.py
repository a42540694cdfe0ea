"""Fixtures of several tests of weights."""

from tests.codegen.weights.exported_residual import file, network  # noqa: F401
from tests.codegen.weights.located import folder  # noqa: F401
