"""A file goes by way of memory to the disk, under its own name, and an error leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.files.memory_file import write_through_memory
from codegen.formats.torchscript import quiet_torchscript


def test_the_file_is_what_torch_writes_itself(tmp_path: Path) -> None:
    with quiet_torchscript():
        program = torch.jit.trace(nn.Linear(3, 2), (torch.zeros(1, 3),))
        (tmp_path / "direct").mkdir()
        torch.jit.save(program, str(tmp_path / "direct" / "head.ts"))
        (tmp_path / "head.ts").write_bytes(b"what was there")
        write_through_memory(tmp_path / "head.ts", lambda name: torch.jit.save(program, name))
    assert (tmp_path / "head.ts").read_bytes() == (tmp_path / "direct" / "head.ts").read_bytes()
    assert not (tmp_path / "head.ts").is_symlink()


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail(name: str) -> None:
        Path(name).write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_through_memory(tmp_path / "head.ts", fail)
    assert list(tmp_path.iterdir()) == []
