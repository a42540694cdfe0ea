"""Emitted tails for inference servers of others."""
