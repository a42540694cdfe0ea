"""What hooks of all modules keep is put back."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cic.trace.preservation.preservation import preserved
from tests.codegen.unverified import unverified  # noqa: F401 - emission takes seconds where halves run in processes of their own


def test_what_hooks_of_all_modules_keep_is_put_back() -> None:
    kept: list[Any] = []
    hook = nn.modules.module.register_module_forward_hook(lambda *_: kept.append(1))
    try:
        with preserved(nn.Identity()):
            nn.Identity()(torch.ones(1))
            assert kept == [1]
        assert kept == []
    finally:
        hook.remove()
