"""What the tests and tools/record.py share: cases written as source text, and results written as JSON.

A case is one line of Python in tests/data/NAME.txt. It runs after torch.manual_seed(0), in a namespace with torch, nn,
F, np (where numpy is there) and math; its result is the value of its last expression. tools/record.py runs the lines
under the reference PyTorch and writes tests/data/NAME.json, which the tests compare with.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def read_cases(name: str) -> list[str]:
    """Return the lines of a case file, without comments and blank lines."""
    lines = (DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    cases = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    twice = {case for case in cases if cases.count(case) > 1}
    if twice:
        raise ValueError(f"{name}.txt has cases twice: {sorted(twice)}")
    return cases


def recorded(name: str) -> dict[str, Any]:
    """Return {case: what the reference gave} of a recorded file."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["cases"]


def run_case(case: str) -> Any:
    """Run a line of source text and return the value of its last expression."""
    import torch

    namespace: dict[str, Any] = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "math": math}
    if "np." in case:
        import numpy

        namespace["np"] = numpy
    tree = ast.parse(case, mode="exec")
    last = tree.body.pop()
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(tree, "<case>", "exec"), namespace)
        if isinstance(last, ast.Expr):
            return eval(compile(ast.Expression(last.value), "<case>", "eval"), namespace)
        exec(compile(ast.Module([last], []), "<case>", "exec"), namespace)
    return None


def to_json(value: Any) -> Any:
    """Write a result as JSON: a tensor as its dtype, shape and flat values."""
    import torch

    if isinstance(value, torch.Tensor):
        flat = value.detach().resolve_conj().reshape(-1).tolist()
        values = [[v.real, v.imag] for v in flat] if value.is_complex() else flat
        return {"dtype": str(value.dtype), "shape": list(value.shape), "values": values}
    if isinstance(value, dict):
        return {"dict": [[to_json(key), to_json(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return {"repr": repr(value)}


def assert_same(actual: Any, expected: Any, rtol: float = 0.0, atol: float = 0.0, where: str = "result") -> None:
    """Assert that two results written by to_json agree; numbers within the tolerance, all else exactly."""
    if isinstance(expected, list):
        assert isinstance(actual, list) and len(actual) == len(expected), f"{where}: {actual} is not {expected}"
        for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
            assert_same(a, e, rtol, atol, f"{where}[{index}]")
    elif isinstance(expected, dict):
        assert isinstance(actual, dict) and actual.keys() == expected.keys(), f"{where}: {actual} is not {expected}"
        for key in expected:
            assert_same(actual[key], expected[key], rtol, atol, f"{where}.{key}")
    elif isinstance(expected, float):
        assert isinstance(actual, float), f"{where}: {actual!r} is not {expected!r}"
        if math.isnan(expected) or math.isinf(expected):
            assert repr(actual) == repr(expected), f"{where}: {actual!r} is not {expected!r}"
        else:
            assert abs(actual - expected) <= atol + rtol * abs(expected), f"{where}: {actual!r} is not {expected!r}"
    else:
        assert type(actual) is type(expected) and actual == expected, f"{where}: {actual!r} is not {expected!r}"


def normalise(message: str) -> str:
    """Reduce an error message to what a user reads: no addresses, overload lists, hints, internal places or quotes."""
    text = message
    for end in ("\nException raised from", "but expected", " For the full list", "\nHint:"):
        text = text.split(end)[0]
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    text = re.sub(r"torch\.(\w+Tensor|Tensor)|\bTensor\b", "Tensor", text)
    text = re.sub(r"[`'\"]", "", text)
    return re.sub(r"\s+", " ", text).strip(" .").lower()


def read_programs(name: str) -> dict[str, str]:
    """Return {title: source} of a file of programs: each begins after a line of ``### title``."""
    programs: dict[str, list[str]] = {}
    for line in (DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            title = line.removeprefix("### ")
            if title in programs:
                raise ValueError(f"{name}.txt has a program twice: {title}")
            programs[title] = []
        elif programs:
            programs[title].append(line)
    return {title: "\n".join(lines) + "\n" for title, lines in programs.items()}


def attempt(function: Any) -> None:
    """Print the value of a call, or the error that it raises."""
    try:
        print(repr(function()))
    except Exception as error:
        print(f"{type(error).__name__}: {str(error).split(chr(10) + 'Hint: ')[0]}")


def run_program(source: str) -> str:
    """Run a program as a module, after torch.manual_seed(0), and return what it prints, without addresses."""
    import contextlib
    import io
    import linecache
    import sys
    import types

    import torch

    # Programs that are compiled by torch.jit.script are read again.
    linecache.cache["<program>"] = (len(source), None, source.splitlines(keepends=True), "<program>")
    module = types.ModuleType("program")
    module.__dict__.update(torch=torch, nn=torch.nn, F=torch.nn.functional, attempt=attempt)
    sys.modules["program"] = module
    torch.manual_seed(0)
    output = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(output):
            warnings.simplefilter("ignore")
            exec(compile(source, "<program>", "exec"), module.__dict__)
    finally:
        del sys.modules["program"]
    return re.sub(r"0x[0-9a-f]+", "0x", output.getvalue())
