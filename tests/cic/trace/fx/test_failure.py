"""What cannot be traced is refused by the name of the op and the line of the user's code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cic.errors import TraceError
from cic.trace.fx.torch_trace import trace
from tests.cic.trace.fx import traced_networks
from tests.cic.trace.fx.traced_networks import Branches, Structured

HERE = Path(traced_networks.__file__)


def test_control_flow_on_values_names_op_and_line() -> None:
    line = next(i for i, text in enumerate(HERE.read_text().splitlines(), 1) if "# the line the error" in text)
    with pytest.raises(TraceError) as caught:
        trace(Branches(), (torch.ones(3),))
    message = str(caught.value)
    assert f"{HERE.name}:{line}" in message and "if y.sum() > 0" in message and "__bool__" in message
    assert "torch.where" in message and "Branches cannot be traced" in message


def test_wrong_arguments_name_the_line() -> None:
    with pytest.raises(TraceError, match=HERE.name):
        trace(Structured("tensor"), (torch.ones(2, 5),), {"states": {"a": [], "b": []}})
