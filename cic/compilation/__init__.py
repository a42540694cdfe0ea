"""Model and machines to splitting model: names become numbers, the numbers are solved, the cuts get names again."""

from cic.own_packages import check_own

check_own("compress", "mincut")
