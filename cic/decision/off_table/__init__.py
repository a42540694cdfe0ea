"""Decisions that no table covers, computed on the spot. Needs numpy and numba, and is imported when one is asked for."""

from cic.own_packages import check_own

check_own("compress", "mincut")
