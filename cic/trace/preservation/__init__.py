"""Tracing leaves a model as it was: what the model can reach and change is recorded before, and restored after."""
