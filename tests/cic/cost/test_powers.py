"""Powers by name fit the machines they are of, and make an `Energy` that is the sum of board and radio."""

from __future__ import annotations

import pytest

import cic
from cic.cost.catalogue import machine
from cic.cost.powers import board_powers, energy_of, radio_powers
from cic.decision.conditions import Conditions
from cic.errors import CostError


def test_every_board_is_a_machine_and_every_figure_has_a_source() -> None:
    for name, board in board_powers().items():
        assert machine(name).name == name == board.name and board.source
        assert 0 < board.idle_w < board.busy_w
    for radio in radio_powers().values():
        assert radio.source and radio.send_w >= radio.receive_w > 0
        # Whatever was not compared with its source says so in words, too.
        assert radio.verified != ("not compared" in radio.source)


def test_a_board_with_a_radio_draws_what_both_draw() -> None:
    conditions = Conditions("8Mbps", "20Mbps")
    board = board_powers()["raspberry-pi-4b"]
    for name, radio in radio_powers().items():
        device, up, server, down, rtt = energy_of("raspberry-pi-4", name).powers(conditions)
        assert (device, server, rtt) == (board.busy_w, board.idle_w, board.idle_w)
        assert up == pytest.approx(board.idle_w + radio.send_w + 8e6 * radio.send_j_per_bit)
        assert down == pytest.approx(board.idle_w + radio.receive_w + 20e6 * radio.receive_j_per_bit)
    assert cic.energy_of("rpi4", "wifi", second_w=2.0).second_w == 2.0


@pytest.mark.parametrize(
    ("board", "radio", "said"),
    [
        ("raspberry-pie", "wifi", "no machine"),
        ("tesla-v100", "wifi", "what tesla-v100 draws is in no source"),
        ("raspberry-pi-4b", "wify", "did you mean wifi"),
    ],
)
def test_what_nobody_knows_is_refused_by_name(board: str, radio: str, said: str) -> None:
    with pytest.raises(CostError, match=said):
        energy_of(board, radio)
