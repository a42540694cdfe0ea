"""Transforms made from calibration inputs: which directions vary, which the answer feels, and how finely."""
