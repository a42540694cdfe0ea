"""Exact rules, one a file, each with its proof."""
