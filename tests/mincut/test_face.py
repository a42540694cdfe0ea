"""The packages offer what they list, and importing them loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import compress
import mincut


@pytest.mark.parametrize("package", [mincut, compress])
def test_every_name_is_there(package: object) -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'simplex'"):
        package.simplex  # noqa: B018


def test_an_import_loads_neither_numpy_nor_numba() -> None:
    heavy = "{'numpy', 'numba'} & set(sys.modules)"
    code = f"import sys; sys.path[:0] = {sys.path!r}; import compress, mincut; sys.exit(len({heavy}))"
    assert subprocess.run([sys.executable, "-I", "-S", "-c", code]).returncode == 0
