"""Weights once on disk and once in memory, however many halves use them."""
