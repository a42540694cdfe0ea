"""The exported decision, in C and in Python, answers as `decide` does: 10,000 conditions a model, ties included."""

from __future__ import annotations

import ast
import importlib.util
import math
import operator
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import cic
from benchmarks.harness.bare_tables import provenance
from benchmarks.harness.hand_made import random_conditions
from cic.decision.conditions import Box
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.decision.units import FACTORS, factor
from cic.errors import CicError, EmitError, UnitError
from codegen.decision.source_text import LONGEST_IDENTIFIER, identifier
from tests.cic.emission.models_to_export import make_model, model_of_features
from tests.cic.hand_made import changed, unfinished

COUNT = 10_000

INVALID, OUTSIDE = -1, -2

PREFIX = "exported"

ODD = (0.0, -0.0, -1.0, math.nan, math.inf, -math.inf, 1e-300, 5e-324, 1e-9, 1e-8, 9e-9, 1e6, 1e9, 2e9, 1e14, 1e15, 1e300)

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-O2")

BUILDS = {
    "c99": ("cc", "-x", "c", "-std=c99", *STRICT),
    "c++11": ("c++", "-x", "c++", "-std=c++11", *STRICT),
    "c++20": ("c++", "-x", "c++", "-std=c++20", *STRICT),
    # As a careless user compiles: products melt into sums wherever the processor can.
    "fused": ("cc", "-x", "c", "-std=gnu11", *STRICT, "-O3", "-march=native", "-ffp-contract=fast"),
}

MAIN = """
#include <stdio.h>

int main(void)
{
    double up, down, rtt, device, server;
    while (scanf("%lf %lf %lf %lf %lf", &up, &down, &rtt, &device, &server) == 5) {
        exported_conditions now = {up, down, rtt, device, server};
        int alone = exported_decide(up), all = exported_decide_all(up, down, rtt, device, server);
        int known = exported_best_known(now);
        const char *id = exported_cut_id(known);
        printf("%d %d %d %.17g %.17g %s\\n", alone, all, known, exported_latency_s(alone, exported_default_conditions(up)),
               exported_latency_s(known, now), id == NULL ? "none" : id);
    }
    return 0;
}
"""

Conditions = tuple[float, float, float, float, float]

Answer = tuple[int, int, int, float, float, str]
"""decide, decide_all, best_known, latency of the first, latency of the last, its id."""


def build(directory: Path, name: str, source: str) -> Path:
    """Compile a C program; skip if there is no compiler of that name."""
    compiler, *flags = BUILDS[name]
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    (directory / "main.c").write_text(source)
    program = directory / f"main-{name}"
    command = [compiler, *flags, "-I", str(directory), str(directory / "main.c"), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return program


def answers_of_c(directory: Path, name: str, model: SplittingModel, conditions: Sequence[Conditions]) -> list[Answer]:
    cic.export_decision(model, directory / "cut.h", "c", prefix=PREFIX)
    program = build(directory, name, '#include "cut.h"\n' + MAIN)
    asked = "\n".join(" ".join(map(repr, numbers)) for numbers in conditions)
    printed = subprocess.run([program], input=asked, capture_output=True, text=True, check=True, timeout=60).stdout
    answers = []
    for text in printed.splitlines():
        alone, everything, known, first, second, cut_id = text.split(" ", 5)
        answers.append((int(alone), int(everything), int(known), float(first), float(second), cut_id))
    return answers


def answers_of_python(directory: Path, model: SplittingModel, conditions: Sequence[Conditions]) -> list[Answer]:
    module = exported_module(directory, model)
    answers = []
    for numbers in conditions:
        alone, known = module.decide(numbers[0]), module.best_known(numbers)
        first = module.latency_s(alone, module.default_conditions(numbers[0]))
        second, cut_id = module.latency_s(known, numbers), module.cut_id(known)
        answers.append((alone, module.decide_all(*numbers), known, first, second, cut_id or "none"))
    return answers


def exported_module(directory: Path, model: SplittingModel) -> ModuleType:
    path = directory / "cut.py"
    cic.export_decision(model, path, "python")
    spec = importlib.util.spec_from_file_location("exported_cut", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer_of_cic(model: SplittingModel, numbers: Conditions) -> Answer:
    """What `decide` says where no solver is installed; the codes for what it refuses and for what it does not prove."""
    uplink, downlink, rtt, device, server = numbers
    alone, first, _ = decided(model, (uplink,))
    everything, second, known = decided(model, (uplink, rtt, downlink, device, server))
    if known is None:
        return alone, INVALID, INVALID, first, -1.0, "none"
    return alone, everything, model.cuts.index(known), first, second, known.id


def decided(model: SplittingModel, arguments: tuple[float, ...]) -> tuple[int, float, Cut | None]:
    """Index of the cut or code, latency of what was proved (of all numbers: of what is known), the cut."""
    try:
        decision = model.decide(*arguments)
    except UnitError:
        return INVALID, -1.0, None
    # `sum` compensates for rounding from Python 3.12 on; a device adds plainly.
    latency = reduce(operator.add, decision.terms.values())
    assert latency == pytest.approx(decision.latency_s, rel=1e-15, abs=0)
    if decision.optimal:
        return model.cuts.index(decision.cut), latency, decision.cut
    return OUTSIDE, -1.0 if len(arguments) == 1 else latency, decision.cut


KINDS = (
    "network",
    "network in a narrow box",
    "never on the device alone",
    "any graph",
    "equal cuts",
    "nearly equal cuts",
    "device only",
    "server only",
)


def make_conditions(model: SplittingModel, count: int = COUNT) -> list[Conditions]:
    """In the box, at its edges, at the break points and next to them, where cuts tie, outside, and no conditions at all."""
    rng, box = random.Random(model.name), model.box
    places = [at for point in (*model.break_points, *box.uplink_bps) for at in neighbours(point)]
    edges = [(at, ratio, at * ratio) for at in places for ratio in box.downlink_ratio]
    made: list[Conditions] = []
    while len(made) < count:
        draw, inside = rng.random(), random_conditions(rng, box)
        if draw < 0.5:
            made.append(inside)
        elif draw < 0.6:
            uplink, _, downlink = rng.choice(edges)
            made.append((uplink, rng.choice(neighbours(downlink)), rng.choice(box.rtt_s), 1.0, 1.0))
        elif draw < 0.8:
            uplink = 2.0 ** rng.randint(17, 23)
            rtt, slowdown = rng.choice((0.0, 0.0, 0.25)), (0.5, 1.0, 2.0)
            made.append((uplink, uplink * rng.choice((1.0, 2.0, 4.0)), rtt, rng.choice(slowdown), rng.choice(slowdown)))
        elif draw < 0.9:
            made.append(random_conditions(rng, Box(("1kbps", "1000Gbps"), (0.01, 100), (0, 10), (0.01, 100), (0.01, 100))))
        else:
            spoilt = list(inside)
            spoilt[rng.randrange(5)] = rng.choice(ODD)
            made.append((spoilt[0], spoilt[1], spoilt[2], spoilt[3], spoilt[4]))
    return made


def neighbours(number: float) -> tuple[float, float, float]:
    return math.nextafter(number, 0.0), number, math.nextafter(number, math.inf)


@pytest.fixture(scope="module", params=KINDS)
def asked(request: pytest.FixtureRequest) -> tuple[SplittingModel, list[Conditions], list[Answer]]:
    """A model, conditions, and what `decide` answers without a solver."""
    model = make_model(request.param)
    conditions = make_conditions(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cic.decision.off_table.solving", None)
        return model, conditions, [answer_of_cic(model, numbers) for numbers in conditions]


Asked = tuple[SplittingModel, list[Conditions], list[Answer]]


@pytest.mark.parametrize("name", ["c99", "c++11", "fused"])
def test_the_c_header_answers_as_decide_does(asked: Asked, name: str, tmp_path: Path) -> None:
    model, conditions, expected = asked
    assert differences(answers_of_c(tmp_path, name, model, conditions), expected, conditions) == []


def test_the_python_file_answers_as_decide_does(asked: Asked, tmp_path: Path) -> None:
    model, conditions, expected = asked
    assert differences(answers_of_python(tmp_path, model, conditions), expected, conditions) == []


def differences(answers: list[Answer], expected: list[Answer], conditions: list[Conditions]) -> list[object]:
    assert len(answers) == len(expected)
    compared = zip(conditions, answers, expected, strict=True)
    return [(numbers, got, wanted) for numbers, got, wanted in compared if got != wanted][:3]


def test_the_conditions_meet_every_kind_of_answer(asked: Asked) -> None:
    model, conditions, expected = asked
    for answer in (0, 1):
        codes = [answers[answer] for answers in expected]
        assert min(codes.count(INVALID), codes.count(OUTSIDE)) > 50
        assert sum(code >= 0 for code in codes) > 1000
    if len(model.cuts) > 2:
        assert len({answers[1] for answers in expected}) > 4
    if len(model.cuts) > 50:
        valid = [numbers for numbers, answers in zip(conditions, expected, strict=True) if answers[1] >= 0]
        assert sum(tie(model, numbers) for numbers in valid) > 300


def tie(model: SplittingModel, numbers: Conditions) -> bool:
    """Do two cuts take the least time, but for rounding?"""
    latencies = sorted(cut.latency_s(cic.Conditions(*numbers)) for cut in model.cuts)
    return latencies[1] - latencies[0] <= 1e-15 * latencies[0]


@pytest.mark.parametrize("name", BUILDS)
def test_every_function_compiles_without_a_warning_and_calls_nothing(name: str, tmp_path: Path) -> None:
    if shutil.which("nm") is None:
        pytest.skip("there is no nm")
    cic.export_decision(make_model("network"), tmp_path / "cut.h", "c", prefix=PREFIX)
    source = """
#include "cut.h"
int main(void) {
    exported_conditions now = exported_default_conditions(1e7);
    return exported_decide(1e7) + exported_decide_all(1e7, 1e7, 0.01, 1, 1) + exported_best_known(now) > 0
        && exported_latency_s(0, now) > 0 && exported_cut_id(0) != NULL;
}
"""
    build(tmp_path, name, source)
    compiler, *flags = BUILDS[name]
    command = [compiler, *flags, "-ffreestanding", "-c", str(tmp_path / "main.c"), "-o", str(tmp_path / "main.o")]
    subprocess.run(command, check=True, timeout=60)
    undefined = subprocess.run(["nm", "-u", str(tmp_path / "main.o")], capture_output=True, text=True, check=True).stdout
    assert undefined.split() == []


def test_a_compiler_that_ignores_nan_is_stopped(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no cc")
    cic.export_decision(make_model("network"), tmp_path / "cut.h", "c")
    command = ["cc", "-x", "c", "-ffast-math", "-fsyntax-only", str(tmp_path / "cut.h")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "NaN" in done.stderr


def test_the_limits_are_those_of_units() -> None:
    for limit, beyond in zip(FACTORS, (0.0, math.inf), strict=True):
        assert factor(limit) == limit
        with pytest.raises(UnitError):
            factor(math.nextafter(limit, beyond))


def test_a_compiled_model_exports_and_the_file_says_where_it_comes_from(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.Conv2d(64, 8, 3, 2), nn.Flatten(), nn.Linear(8 * 15 * 15, 10))
    model = cic.compile(network, (torch.zeros(1, 3, 64, 64),), device="raspberry-pi-4", server="epyc-7742")
    conditions = make_conditions(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cic.decision.off_table.solving", None)
        expected = [answer_of_cic(model, numbers) for numbers in conditions]
    assert differences(answers_of_python(tmp_path, model, conditions), expected, conditions) == []
    assert differences(answers_of_c(tmp_path, "c99", model, conditions), expected, conditions) == []
    for file in ("cut.h", "cut.py"):
        text = (tmp_path / file).read_text()
        for fact in (model.name, model.information.graph_digest, "raspberry-pi-4", "epyc-7742", f"{model.proof.gap:.1e}"):
            assert fact in text
        assert model.information.date[:10] not in text


def test_no_longer_proved_is_said(tmp_path: Path) -> None:
    model = unfinished(make_model("network"))
    assert not exported_module(tmp_path, model).PROVED
    cic.export_decision(model, tmp_path / "cut.h", "c")
    assert "_PROVED = 0," in (tmp_path / "cut.h").read_text()


@pytest.mark.parametrize("bad", [None, True, "1e7", b"1", 10**400, [1], 1j])
def test_what_is_no_number_is_no_condition_in_python(bad: object, tmp_path: Path) -> None:
    module = exported_module(tmp_path, make_model("network"))
    assert module.decide(bad) == INVALID
    assert module.decide_all(1e7, 3e7, 0.01, bad, 1.0) == INVALID
    assert module.best_known((1e7, 3e7, bad, 1.0, 1.0)) == INVALID
    assert module.latency_s(0, (bad, 1e7, 0.01, 1.0, 1.0)) == -1.0
    assert module.best_known((1e7, 3e7)) == INVALID
    for cut in (-1, len(module.CUT_IDS)):
        assert module.cut_id(cut) is None
        assert module.latency_s(cut, module.default_conditions(1e7)) == -1.0


HOSTILE = (
    "",
    "50",
    "int",
    "日本語",
    "résumé net",
    "a\nb\r\n#error b\n",
    "*/ int stolen; /*",
    "*\\\n/ int stolen;",
    "*??/\n/ int stolen;",
    '"; int stolen; char *s = "',
    '"""\nimport os\n"""',
    "\\",
    "\\N{BULLET} \\x \\u12",
    "'''",
    "${p} $p $$ {name} %s",
    "__init__",
    "x" * 1000,
    "\0",
    "\x1b[31m\u2028\u202e",
    "\ud800",
)


def hostile_model(text: str) -> SplittingModel:
    """A model whose every free text is this one, but for the ids of its cuts."""
    return changed(make_model("server only"), name=text, information=provenance(0, 0, text))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_names_cannot_break_out_of_the_header(text: str, tmp_path: Path) -> None:
    """Without comments the header is the same whatever the model is called."""
    if shutil.which("cc") is None:
        pytest.skip("there is no cc")
    seen = set()
    for name in ("plain", text):
        cic.export_decision(hostile_model(name), tmp_path / "cut.h", "c", prefix=PREFIX)
        command = ["cc", "-x", "c", "-std=c99", *STRICT, "-E", "-P", str(tmp_path / "cut.h")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and not done.stderr, done.stderr
        seen.add(done.stdout)
    assert len(seen) == 1 and "exported_decide_all" in seen.pop()
    cic.export_decision(hostile_model(text), tmp_path / "cut.h", "c")
    build(tmp_path, "c99", f'#include "cut.h"\nint main(void) {{ return {identifier(text)}_decide(1e7); }}\n')


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_names_cannot_break_out_of_the_python_file(text: str, tmp_path: Path) -> None:
    """But for the docstring and the name the syntax tree is the same whatever the model is called."""
    trees = []
    for name in ("plain", text):
        module = exported_module(tmp_path, hostile_model(name))
        assert name == module.NAME
        tree = ast.parse((tmp_path / "cut.py").read_text())
        assert ast.get_docstring(tree)
        assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))
        trees.append([ast.dump(statement) for statement in tree.body[2:]])
    assert trees[0] == trees[1]


def test_ids_of_cuts_arrive_as_they_are(tmp_path: Path) -> None:
    ids = [text for text in HOSTILE if "\0" not in text and "\ud800" not in text] + ["é1", "a.b-c_d+e", "??'", "?" * 9]
    model = model_of_features([(0, 1, 1, 1, 1)] * len(ids))
    for cut, cut_id in zip(model.cuts, ids, strict=True):
        cut.id = cut_id
    assert list(exported_module(tmp_path, model).CUT_IDS) == ids
    cic.export_decision(model, tmp_path / "cut.h", "c", prefix=PREFIX)
    source = """
#include "cut.h"
#include <stdio.h>
int main(void)
{
    int cut;
    for (cut = 0; cut < exported_CUTS; ++cut) {
        fputs(exported_cut_id(cut), stdout);
        putchar(0);
    }
    return exported_cut_id(-1) != NULL || exported_cut_id(exported_CUTS) != NULL;
}
"""
    for name in ("c99", "c++11"):
        printed = subprocess.run([build(tmp_path, name, source)], capture_output=True, check=True, timeout=60).stdout
        assert printed.split(b"\0")[:-1] == [cut_id.encode() for cut_id in ids]


@pytest.mark.parametrize("cut_id", ["\0", "a\0b", "\ud800"])
def test_ids_that_c_cannot_hold_are_refused(cut_id: str, tmp_path: Path) -> None:
    model = make_model("server only")
    model.cuts[0].id = cut_id
    for format in ("c", "python"):
        with pytest.raises(EmitError, match="cut id"):
            cic.export_decision(model, tmp_path / "cut", format)
    assert list(tmp_path.iterdir()) == []


def test_cuts_of_one_id_say_what_they_send(tmp_path: Path) -> None:
    codecs = [("raw",), ("int8+zstd",), ("uint8, mean=0.485 0.456 0.406, std=0.229 0.224 0.225",), (), ("fp16", "int4-channel")]
    tensors = [("relu",), ("relu",), ("input_1",), (), ("left", 'a "quoted" name')]
    model = model_of_features([(0, 1, 1, 1, 1)] * len(codecs))
    for cut, used, crossing in zip(model.cuts, codecs, tensors, strict=True):
        cut.id = "cut-01" if crossing == ("relu",) else f"cut-{len(crossing)}{crossing[:1] == ('left',)}"
        cut.codecs, cut._details = used, lambda crossing=crossing: ((), crossing)
    expected = [tuple(cut.codec_of.items()) for cut in model.cuts]
    module = exported_module(tmp_path, model)
    assert [module.sent(cut) for cut in range(len(codecs))] == expected
    assert module.sent(-1) is None and module.sent(len(codecs)) is None
    assert module.cut_id(0) == module.cut_id(1) == "cut-01"
    cic.export_decision(model, tmp_path / "cut.h", "c", prefix=PREFIX)
    source = """
#include "cut.h"
#include <stdio.h>
int main(void)
{
    int cut, index;
    for (cut = 0; cut < exported_CUTS; ++cut)
        for (index = 0; exported_sent(cut, index) != NULL; ++index)
            printf("%d|%s|%s\\n", cut, exported_sent(cut, index)->name, exported_sent(cut, index)->codec);
    return exported_sent(-1, 0) != NULL || exported_sent_count(exported_CUTS) != 0 || exported_sent(0, -1) != NULL;
}
"""
    for name in ("c99", "c++11"):
        printed = subprocess.run([build(tmp_path, name, source)], capture_output=True, check=True, timeout=60).stdout.decode()
        lines = [f"{cut}|{tensor}|{codec}" for cut, pairs in enumerate(expected) for tensor, codec in pairs]
        assert printed.splitlines() == lines


@pytest.mark.parametrize("prefix", ["", "5", "a b", "a__b", "_a", "a_", "é", "a;", "a\n", "a" * (LONGEST_IDENTIFIER + 1)])
def test_prefixes_that_are_no_identifiers_are_refused(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(EmitError, match="prefix"):
        cic.export_decision(make_model("network"), tmp_path / "cut.h", "c", prefix=prefix)
    assert list(tmp_path.iterdir()) == []


def test_headers_of_two_models_live_together_and_one_may_be_included_twice(tmp_path: Path) -> None:
    for kind, prefix in (("network", "first"), ("equal cuts", "second")):
        cic.export_decision(make_model(kind), tmp_path / f"{prefix}.h", "c", prefix=prefix)
    source = '#include "first.h"\n#include "second.h"\n#include "first.h"\n'
    build(tmp_path, "c99", source + "int main(void) { return first_decide(1e7) + second_decide(1e7) < 0; }\n")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = make_model("network"), tmp_path / "cut.h"
    with pytest.raises(CicError, match="missing"):
        cic.export_decision(model, tmp_path / "missing" / "cut.h", "c")
    path.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(EmitError, match="No space left"):
        cic.export_decision(model, path, "c")
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["cut.h"]
