"""Exact compression: `Problem` to smaller `Problem` and the way back."""
