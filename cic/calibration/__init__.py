"""Calibration: the real heads and tails of a table's cuts are run, their times corrected, and the table is proved anew."""
