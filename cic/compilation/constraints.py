"""What cuts have to keep to: pins, private tensors and limits, as they were asked for; and the fewest that leave no cut.

A set of constraints that leave no cut, and of which any one left out would leave some, is an irreducible infeasible subset. The
deletion filter finds one (Chinneck & Dravnieks, ORSA Journal on Computing 3, 1991): leave out one constraint after the other,
for good wherever the rest still leaves no cut. It is as small as it can be in that sense; another set may have fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cic.compilation.pins import tensors_before
from cic.decision.stored_limits import StoredLimits
from cic.decision.units import show_bytes
from cic.graph import Graph


class Constraint(NamedTuple):
    """kind: "pin", "private", "until" or "limit". name: of the op, tensor or limit. text: for people."""

    kind: str
    name: str
    text: str


@dataclass(frozen=True, eq=False)
class Constraints:
    """See `cic.compilation.pipeline.compile` for what they are."""

    pins: Mapping[str, str] | None = None
    private: Sequence[str] = ()
    private_until: Sequence[str] = ()
    limits: StoredLimits | None = None

    @property
    def asked(self) -> list[Constraint]:
        """Each by itself."""
        limits = {} if self.limits is None else self.limits.bytes_by_name
        return [
            *(Constraint("pin", name, f"{name} on the {side}") for name, side in (self.pins or {}).items()),
            *(Constraint("private", name, f"{name} private") for name in self.private),
            # Several ops that may each be the first layer are one constraint: more of them allow more.
            *(
                Constraint("until", "", f"nothing sent before {' or '.join(self.private_until)}")
                for _ in self.private_until[:1]
            ),
            *(Constraint("limit", name, f"{_LIMITED[name]} at most {show_bytes(most)}") for name, most in limits.items()),
        ]

    def only(self, kept: Sequence[Constraint]) -> Constraints:
        """The same with only some of them."""
        names = {kind: [each.name for each in kept if each.kind == kind] for kind in ("pin", "private", "until", "limit")}
        until = self.private_until if names["until"] else ()
        limits = self.limits
        if limits is not None:
            unlimited = [name for name in limits.bytes_by_name if name not in names["limit"]]
            weights = () if "weights" in unlimited else limits.weights
            limits = limits.replaced(**{f"{name}_bytes": None for name in unlimited}, weights=weights)
        pins = {name: (self.pins or {})[name] for name in names["pin"]}
        return Constraints(pins, names["private"], until, limits)

    def private_tensors(self, graph: Graph) -> list[str]:
        """Private tensors and patterns, and those that are too near to the inputs. Raises CompileError."""
        return [*self.private, *tensors_before(graph, self.private_until)]


_LIMITED = {"upload": "upload", "memory": "memory of activations on the device", "weights": "weights on the device"}


def smallest_contradiction(
    asked: Sequence[Constraint], leaves_a_cut: Callable[[Sequence[Constraint]], bool]
) -> list[Constraint]:
    """Constraints that contradict each other, while all but any one of them do not."""
    kept = list(asked)
    for each in asked:
        rest = [other for other in kept if other is not each]
        if not leaves_a_cut(rest):
            kept = rest
    return kept
