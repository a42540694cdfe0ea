"""The C header of a table compiles without a warning, answers what the table says, and takes only identifiers for a prefix."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from codegen.decision.c_header import c_header
from codegen.errors import CodegenError
from tests.codegen.decision.small_tables import two_cuts

MAIN = """
#include "cut.h"
#include <stdio.h>
int main(void)
{
    double up;
    while (scanf("%lf", &up) == 1)
        printf("%d %d %s\\n", two_decide(up), two_decide_all(up, up, 0.0, 1.0, 1.0), two_cut_id(two_decide(up)));
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no cc")
def test_the_best_cut_is_the_one_of_the_least_sum(tmp_path: Path) -> None:
    (tmp_path / "cut.h").write_text(c_header(two_cuts(), "two"))
    (tmp_path / "main.c").write_text(MAIN)
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    uplinks = (2e5, 5e6, 9.9e6, 1.1e7, 5e8)
    asked = " ".join(map(repr, uplinks))
    printed = subprocess.run([tmp_path / "main"], input=asked, capture_output=True, text=True, check=True).stdout
    best = [int(0.01 + 1e6 / uplink > 0.11) for uplink in uplinks]
    assert printed.splitlines() == [f"{cut} {cut} {two_cuts().cut_ids[cut]}" for cut in best]


def test_a_prefix_that_is_no_identifier_is_refused() -> None:
    with pytest.raises(CodegenError, match="prefix"):
        c_header(two_cuts(), "a b")
