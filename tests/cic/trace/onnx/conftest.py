"""Fixtures of several tests of ONNX."""

from tests.codegen.weights.located import folder  # noqa: F401
