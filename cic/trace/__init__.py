"""Torch module to `Graph`."""
