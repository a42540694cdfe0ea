"""Closed numba kernels: int64 arrays in, ints out, never raise."""
