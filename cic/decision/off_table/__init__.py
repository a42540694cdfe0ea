"""Decisions that no table covers, computed on the spot. Needs numpy and numba, and is imported when one is asked for."""
