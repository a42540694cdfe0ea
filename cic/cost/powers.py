"""What boards and radios draw, by name: figures of others, each with its source, and the `Energy` they make together.

A board draws `busy_w` while it computes and `idle_w` while it waits. A radio draws its own watts on top of an idle board, and
some draw more the faster they are. Figures in powers.json that nobody compared with their source say so. They are good for
planning; for a device at hand, measure it. Standard library only.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from cic.cost.catalogue import machine
from cic.decision.energy import Energy
from cic.errors import CostError


@dataclass(frozen=True)
class BoardPower:
    """Watts of a whole board that computes with all it has, and of one that waits. name: as in the catalogue of machines.

    verified: were the figures compared with the source?
    """

    name: str
    idle_w: float
    busy_w: float
    source: str
    verified: bool


@dataclass(frozen=True)
class RadioPower:
    """Watts of a radio on top of an idle board, and joules for each bit besides.

    verified: were the figures compared with the source?
    """

    name: str
    send_w: float
    receive_w: float
    send_j_per_bit: float
    receive_j_per_bit: float
    source: str
    verified: bool


def energy_of(board: str, radio: str, second_w: float = 0.0) -> Energy:
    """The energy of a board of the catalogue that sends by a radio: `energy_of("raspberry-pi-4", "wifi")`.

    Args:
        board: a name or another name of a machine that `board_powers` has. radio: a name that `radio_powers` has.
        second_w: as of `Energy`.

    Raises:
        CostError: there is no such machine or radio, or nobody knows what the machine draws.
    """
    boards, radios = board_powers(), radio_powers()
    name = machine(board).name
    if name not in boards:
        raise CostError(
            f"what {name} draws is in no source that was found; known are {', '.join(boards)}. Pass cic.Energy your own watts"
        )
    if radio not in radios:
        near = difflib.get_close_matches(radio, radios, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise CostError(f"no radio {radio!r} in the catalogue, which has {', '.join(radios)}{hint}")
    drawn, on_top = boards[name], radios[radio]
    return Energy(
        compute_w=drawn.busy_w,
        send_w=drawn.idle_w + on_top.send_w,
        receive_w=drawn.idle_w + on_top.receive_w,
        wait_w=drawn.idle_w,
        second_w=second_w,
        send_j_per_bit=on_top.send_j_per_bit,
        receive_j_per_bit=on_top.receive_j_per_bit,
    )


def board_powers() -> dict[str, BoardPower]:
    """What boards of the catalogue draw, by name, as far as it is known."""
    return dict(_read()[0])


def radio_powers() -> dict[str, RadioPower]:
    """What radios draw, by name."""
    return dict(_read()[1])


@cache
def _read() -> tuple[dict[str, BoardPower], dict[str, RadioPower]]:
    body = json.loads(resources.files(__package__).joinpath("powers.json").read_text(encoding="utf-8"))
    boards = {entry["name"]: BoardPower(**entry) for entry in body["boards"]}
    return boards, {entry["name"]: RadioPower(**entry) for entry in body["radios"]}
