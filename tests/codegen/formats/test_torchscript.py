"""Writing a half leaves nothing of the model's weights behind in memory."""

from __future__ import annotations

from pathlib import Path

from codegen.formats.torchscript import TorchScriptEmitter
from tests.codegen.resident_memory import assert_let_go, told_by_linux


@told_by_linux
def test_weights_made_on_the_way_are_let_go(tmp_path: Path) -> None:
    assert_let_go(lambda module, example: TorchScriptEmitter().write(module, example, tmp_path / "half.ts"))
