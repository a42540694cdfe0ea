"""Under which codec each tensor crosses: what is allowed, what it weighs, and what of the accuracy is kept."""

from cic.own_packages import check_own

check_own("mincut")
