"""Each condition of the compression is needed: a compressor without it loses the optimum of some small problem."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest

from compress.errors import NotExactError
from mincut.errors import InfeasibleError, MincutError
from mincut.lower_envelope import PriceBox
from mincut.network import build
from mincut.problem import Problem
from tests.compress.drawn import close_box, region_problem, tight_problem
from tests.compress.exact import is_exact
from tests.compress.mutants import Compressor, compressor, mutant

DIFFERENCE = "more[0] - less[0], more[1] - less[1], more[2] - less[2]"
SENT = "Sent(forms.wire_bytes, forms.device_ns, forms.server_ns)"
FIRST_FORMS = "(forms.wire_bytes, forms.device_ns, forms.server_ns):"
BLOCK_TIMES = "not (forms.device_ns[first].any() or forms.server_ns[first].any())"

RULES = [
    ("expand", "bounds.device_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])", "True"),
    ("expand", "bounds.sends_no_more(more)", "more.wire_bytes == more.wire_bytes"),
    ("expand", " & (problem.download_bytes == 0)", ""),
    ("expand", "joins &= wires.own_may_cross", ""),
    ("expand", " & (problem.pinned != ON_DEVICE)", ""),
    ("shrink", "bounds.server_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])", "True"),
    ("shrink", "bounds.sends_no_more(more)", "more.wire_bytes == more.wire_bytes"),
    ("shrink", "wires.alone", "wires.made"),
    ("shrink", " & (problem.pinned != ON_SERVER)", ""),
    ("shrink", "joins &= wires.made_may_cross", ""),
    ("heavy", "server_is_free(device_ns, server_ns, more, ", "server_is_free(device_ns, server_ns, more, 0 * "),
    ("heavy", "server_is_free(device_ns, server_ns", "server_is_free(device_ns, 0 * server_ns"),
    ("heavy", "device_is_free(device_ns", "device_is_free(0 * device_ns"),
    ("heavy", "device_is_free(device_ns, server_ns, more", "device_is_free(device_ns, server_ns, more.minus(more)"),
    ("heavy", " & wires.own_may_cross", ""),
    ("heavy", " & wires.made_may_cross", ""),
    ("block", "return _fewest_bytes(problem, inside, before, gate) ==", "return True or 0 =="),
    ("block", "bounds.device_is_never_faster(problem.device_ns[may], problem.server_ns[may])", "True"),
    ("block", "read & (problem", "(problem"),
    ("block", "(problem.download_bytes == 0) & ", ""),
]
"""A rule, a condition in its source, and what takes its place."""

WITH_CODECS = {
    "block does not ask for one form without times": ("rules.block", " or not _in_one_form(problem, inside)", ""),
    "block does not ask for forms without times": ("rules.block", BLOCK_TIMES, "True"),
    "choices leave out what sending takes": ("exchange", DIFFERENCE, "0, more[1] - less[1], more[2] - less[2]"),
    "choices leave out encoding": ("exchange", DIFFERENCE, "more[0] - less[0], 0, more[2] - less[2]"),
    "choices leave out decoding": ("exchange", DIFFERENCE, "more[0] - less[0], more[1] - less[1], 0"),
    "first forms leave out encoding": (
        "exchange", FIRST_FORMS, "(forms.wire_bytes, 0 * forms.device_ns, forms.server_ns):"),
    "first forms leave out decoding": (
        "exchange", FIRST_FORMS, "(forms.wire_bytes, forms.device_ns, 0 * forms.server_ns):"),
    "for some choice there is a choice": ("exchange", ".any(axis=1).all()", ".any()"),
    "for the first choice there is a choice": ("exchange", ".any(axis=1).all()", "[0].any()"),
    "choices are not looked at": ("exchange", ".any(axis=1).all()", ".any() or True"),
    "tensors that stop have their first form": ("exchange", "in (starting, stopping):", "in (starting,):"),
    "only bytes are compared": ("bounds", "if not (more.device_ns.any() or more.server_ns.any()):", "if True:"),
    "encoding has one price": (
        "bounds", "self.box.device if more.device_ns.any() else (", "("),
    "decoding has one price": (
        "bounds", "self.box.server if more.server_ns.any() else (", "("),
    "sending has the highest price": ("bounds", "server, self.box.upload)", "server, self.box.upload[1:])"),
    "sending has the lowest price": ("bounds", "server, self.box.upload)", "server, self.box.upload[:1])"),
    "a form that is dearer somewhere is of no use": (
        "useful_forms", "never_dearer &= np.asarray(costs[other] <= costs[form], dtype=np.bool_)", "pass"),
    "a form is of no use beside itself": ("useful_forms", "form[never_dearer & cheaper]", "form[never_dearer]"),
    "forms are compared at one corner": ("useful_forms", f"bounds.sending_costs({SENT})", f"bounds.sending_costs({SENT})[:1]"),
    "forms are compared without encoding": ("useful_forms", SENT, SENT.replace("forms.device", "0 * forms.device")),
    "forms are compared without decoding": ("useful_forms", SENT, SENT.replace("forms.server", "0 * forms.server")),
    "two tensors with several forms become one": ("reduction", "if several[tensor] and alike in choosing:", "if False:"),
    "what other parts send is left out": ("reduction", "of_forms[place] + others[merged]", "of_forms[place]"),
    "the part with several forms does not lead": ("reduction", "(left, left[counts[left] > 1])", "(left,)"),
    "lifted tensors have their first form": ("reduction", "codec[self.form_of[choosing]]", "0"),
    "lifted tensors have another one's form": (
        "reduction", "> 1, tensors.part_of, NO_CHOICE", "> 1, np.minimum(tensors.part_of, 0), NO_CHOICE"),
    "the first tensor is not lifted": ("reduction", "choosing = self.form_of != NO_CHOICE", "choosing = self.form_of > 0"),
    "the first alternative decides": ("schedule", "for each in found])", "for each in found[:1]])"),
    "the problem that forbids nothing decides": (
        "schedule",
        "np.stack([each.reduction.member_of for each in found])",
        "np.stack([compress(problem, bounds, rules=rules).reduction.member_of])"),
    "only useful forms come back": ("schedule", "if problem.codecs is None else contract(problem, member_of)", ""),
}  # fmt: skip
"""What a mutant does: the module, a line of it, and what takes its place."""

MOST_PROBLEMS = 5000
NOTHING = f"nothing was lost in {MOST_PROBLEMS} problems"

LOST: list[dict[tuple[str, str], int]] = [
    {
        ("expand", "bounds.sends_no_more(more)"): 21,
        ("expand", " & (problem.download_bytes == 0)"): 51,
        ("expand", "joins &= wires.own_may_cross"): 462,
        ("expand", " & (problem.pinned != ON_DEVICE)"): 518,
        ("shrink", "bounds.sends_no_more(more)"): 128,
        ("shrink", "wires.alone"): 128,
        ("shrink", "joins &= wires.made_may_cross"): 219,
        ("heavy", "server_is_free(device_ns, server_ns, more, "): 51,
        ("heavy", "device_is_free(device_ns, server_ns, more"): 128,
        ("heavy", " & wires.own_may_cross"): 30,
        ("heavy", " & wires.made_may_cross"): 88,
        ("block", "return _fewest_bytes(problem, inside, before, gate) =="): 330,
        ("block", "read & (problem"): 60,
        ("block", "(problem.download_bytes == 0) & "): 83,
    },
    {
        ("expand", "bounds.device_is_never_faster(problem.device_ns[joins], problem.server_ns[joins])"): 58,
        ("expand", "bounds.sends_no_more(more)"): 20,
        ("expand", " & (problem.download_bytes == 0)"): 51,
        ("expand", "joins &= wires.own_may_cross"): 132,
        ("shrink", "bounds.sends_no_more(more)"): 143,
        ("shrink", "wires.alone"): 143,
        ("shrink", " & (problem.pinned != ON_SERVER)"): 30,
        ("shrink", "joins &= wires.made_may_cross"): 61,
        ("heavy", "server_is_free(device_ns, server_ns, more, "): 51,
        ("heavy", "server_is_free(device_ns, server_ns"): 58,
        ("heavy", "device_is_free(device_ns, server_ns, more"): 409,
        ("heavy", " & wires.own_may_cross"): 61,
        ("heavy", " & wires.made_may_cross"): 61,
        ("block", "return _fewest_bytes(problem, inside, before, gate) =="): 168,
        ("block", "read & (problem"): 134,
        ("block", "(problem.download_bytes == 0) & "): 83,
    },
]
"""Of a problem that is lost, the number, where it is far from the first: by rule and condition, as they are and with codecs."""

LOST_WITH_CODECS = {
    "block does not ask for one form without times": 3839,
    "choices leave out decoding": 409,
    "first forms leave out decoding": 139,
    "for the first choice there is a choice": 39,
    "tensors that stop have their first form": 39,
    "encoding has one price": 629,
    "forms are compared at one corner": 4948,
    "forms are compared without decoding": 417,
    "the problem that forbids nothing decides": 214,
    "block does not ask for forms without times": 3839,
    "choices leave out encoding": 409,
    "first forms leave out encoding": 20,
    "for some choice there is a choice": 39,
    "only bytes are compared": 20,
    "decoding has one price": 83,
    "forms are compared without encoding": 579,
    "two tensors with several forms become one": 50,
    "the part with several forms does not lead": 42,
    "the first alternative decides": 579,
}


def noticed(changed: Compressor, module: str, codecs: bool, first: int, *, hindered: bool = False) -> int | None:
    """The number of a problem of which the mutant loses the optimum, or in which it merges what so plainly does not belong
    together that checks notice; None if there is none.

    first: the number to begin with. From one that is known to be lost the search ends at once; any other would do.
    """
    real = compressor()
    rule = module.removeprefix("rules.") if module.startswith("rules.") else None
    for number in range(first, first + MOST_PROBLEMS):
        rng = random.Random(number)
        problem = region_problem(rng, codecs) if rule == "block" else tight_problem(rng, codecs, hindered=hindered)[2]
        box = close_box(rng)
        try:
            if _lost(changed, real, problem, box, rule, module in ("reduction", "schedule"), rng):
                return number
        except InfeasibleError:
            continue
    return None


def _lost(
    changed: Compressor, real: Compressor, problem: Problem, box: PriceBox, rule: str | None, always: bool, rng: random.Random
) -> bool:
    network = build(problem)
    names = [rule] if rule else list(real.schedule.RULES)
    rules, real_rules = ({name: each.schedule.RULES[name] for name in names} for each in (changed, real))
    try:
        if not always:
            # The real compressor is exact, as other tests show: where the mutant merges the same, there is nothing to see.
            found = changed.schedule.compress(problem, changed.bounds.Bounds(box), rules=rules).reduction
            expected = real.schedule.compress(problem, real.bounds.Bounds(box), rules=real_rules).reduction
            if (found.member_of == expected.member_of).all():
                return False
        return not is_exact(changed, network, box, Fraction(0), rules, rng, Counter())
    except (AssertionError, IndexError, NotExactError, MincutError):
        return True


@pytest.mark.parametrize(("rule", "source_line", "replacement"), RULES)
@pytest.mark.parametrize("codecs", [False, True], ids=["as they are", "codecs"])
def test_a_rule_with_a_condition_left_out_is_caught(rule: str, source_line: str, replacement: str, codecs: bool) -> None:
    module = f"rules.{rule}"
    hindered = "may_cross" in source_line or "pinned" in source_line
    changed = mutant(module, source_line, replacement)
    first = LOST[codecs].get((rule, source_line), 0)
    assert noticed(changed, module, codecs, first, hindered=hindered) is not None, NOTHING


@pytest.mark.parametrize("name", WITH_CODECS)
def test_a_compressor_that_mistakes_codecs_is_caught(name: str) -> None:
    module, source_line, replacement = WITH_CODECS[name]
    assert noticed(mutant(module, source_line, replacement), module, True, LOST_WITH_CODECS.get(name, 0)) is not None, NOTHING
