"""Which operators of torch return their argument's memory although their schemas say that the result is new?

    python -m benchmarks.halves.hidden_aliases

Calls every operator that torch has samples for, by its schema, and compares the memory of results and arguments. What is found
must be seen by `codegen.formats.memory_sharing` or named in `codegen.formats.honest_aliases`. A minute.
"""

from __future__ import annotations

import sys
import types
import unittest
import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch

from benchmarks.harness.report import describe_setting, shared_options, write_json
from codegen.formats.memory_sharing import storages

SAMPLES = 20


def main() -> None:
    """Print the operators found and how many were called, and write both to hidden_aliases.json."""
    options = shared_options(__doc__).parse_args()
    warnings.simplefilter("ignore")
    calls, operators, found = 0, set(), set()
    for name, packet, arguments, keywords in sample_calls():
        try:
            with torch.no_grad():
                result = packet(*arguments, **keywords)
        except Exception:  # a sample for the public function need not fit the operator  # noqa: BLE001
            continue
        calls, _ = calls + 1, operators.add(name)
        given = storages([*_leaves(arguments), *_leaves(tuple(keywords.values()))])
        if given & storages(_leaves(result)) and not _says_so(packet):
            found.add(name)
    print(f"{calls} calls of {len(operators)} operators; hidden aliases: {', '.join(sorted(found))}")
    rows = [{"operator": name} for name in sorted(found)]
    figures = {"calls": calls, "operators": len(operators), "rows": rows}
    write_json(options.results / "hidden_aliases.json", {**describe_setting(("torch",)), **figures})


def sample_calls() -> Iterator[tuple[str, Any, tuple[Any, ...], dict[str, Any]]]:
    """Yield name, operator and arguments, from torch's own tests."""
    stub: Any = types.ModuleType("expecttest")  # torch's tests import it and need nothing of it here
    stub.TestCase, stub.assert_expected_inline = unittest.TestCase, None
    sys.modules.setdefault("expecttest", stub)
    from torch.testing._internal.common_methods_invocations import op_db

    for info in op_db:
        for name in sorted({info.name.split(".")[-1], info.aten_name, info.name.replace(".", "_")}):
            packet = getattr(torch.ops.aten, name, None)
            if packet is None or torch.float32 not in info.dtypes:
                continue
            try:
                samples = list(islice(info.sample_inputs("cpu", torch.float32, requires_grad=False), SAMPLES))
            except Exception:  # samples that need packages which are not here  # noqa: BLE001
                continue
            for sample in samples:
                yield name, packet, (sample.input, *sample.args), sample.kwargs


def _leaves(value: Any) -> list[Any]:
    return list(torch.utils._pytree.tree_leaves(value))


def _says_so(packet: Any) -> bool:
    schemas = [getattr(packet, overload)._schema for overload in packet.overloads()]
    return any(result.alias_info is not None for schema in schemas for result in schema.returns)


if __name__ == "__main__":
    main()
