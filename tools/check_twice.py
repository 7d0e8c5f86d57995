#!/usr/bin/env python3
"""Check that nothing that defines an operation stands twice: rows, formulas, derivative rules, composites.

    python tools/check_twice.py

Compared are the names of rows and of formulas, and the text of derivative rules, of formulas and of Python functions
with several statements, names of their own parameters included. Exit status 1 if something stands twice.
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMALL = 60  # characters: shorter rules than this are too plain to be worth a name of their own


def squeezed(text: str) -> str:
    """Return source without comments and white space."""
    return re.sub(r"\s+", "", re.sub(r"//[^\n]*", "", text))


def body_at(text: str, brace: int) -> str:
    """Return the text between the brace at this place and the one that closes it."""
    depth = 0
    for at in range(brace, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[brace + 1 : at]
    return ""


def main() -> int:
    places: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(kind: str, key: str, path: Path, text: str, at: int) -> None:
        places[kind, key].append(f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, at) + 1}")

    for path in sorted((ROOT / "src/ops").glob("*.cpp")):
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r'(?:\.schema = |_row\()"([\w.]+)\(', text):
            add("row", found[1], path, text, found.start())
        for found in re.finditer(r"\w+_vjp\(Backward& b\) \{", text):
            body = squeezed(body_at(text, found.end() - 1))
            if len(body) > SMALL:
                add("derivative rule", body, path, text, found.start())
    for path in sorted((ROOT / "src/kernels/formulas").glob("*.h")):
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"(?m)^  TABULA_FORMULA\d\((\w+),", text):
            add("formula's name", found[1], path, text, found.start())
        for found in re.finditer(r"template <class V>\s+V \w+\(([^)]*)\) \{", text):
            body = squeezed(body_at(text, found.end() - 1))
            if len(body) > SMALL:
                add("formula", squeezed(found[1]) + body, path, text, found.start())
    for path in sorted((ROOT / "torch").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            # errors for missing arguments name the class whose constructor it is, so each has its own
            if not isinstance(node, ast.FunctionDef) or node.name == "__init__":
                continue
            body = node.body[isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant) :]
            if len(body) > 2:
                key = ast.dump(node.args) + ast.dump(ast.Module(body, []))
                places["function", key].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    twice = {key: where for key, where in places.items() if len(where) > 1}
    for (kind, key), where in twice.items():
        name = key if len(key) < SMALL else ""
        print(f"the same {kind} {name}".rstrip() + ": " + ", ".join(where))
    return int(bool(twice))


if __name__ == "__main__":
    sys.exit(main())
