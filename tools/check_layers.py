#!/usr/bin/env python3
"""Fail on an #include or an import that points up the layers (ARCHITECTURE.md, "Layers").

    python tools/check_layers.py [ROOT]

C++: a file under src/LAYER may include headers of its own layer and of those below it. Only the layers that PYTHON
names may include Python's headers, and headers are named from src/ ("core/dtype.h"), never by a relative path.
Python: only torch/ may import torch._C; build scripts and tools at the top level import nothing of torch at load.
"""

import ast
import re
import sys
from pathlib import Path

LAYERS = ("core", "kernels", "ops", "autograd", "interp", "bindings")
PYTHON = ("interp", "bindings")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
PYTHON_HEADERS = re.compile(r"^(Python|structmember|pybind11/.*|nanobind/.*|numpy/.*)(\.h)?$")


def check_source(path: Path, source_root: Path) -> list[str]:
    """Return what is wrong with the includes of one C++ file."""
    layer = path.relative_to(source_root).parts[0]
    if layer not in LAYERS:
        return [f"{path}: '{layer}' is not a layer: {', '.join(LAYERS)}"]
    wrong = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        quote, header = found.groups()
        where = f"{path}:{number}"
        target = header.split("/")[0]
        if PYTHON_HEADERS.match(header):
            if layer not in PYTHON:
                wrong.append(f"{where}: {layer}/ may not include Python ({header})")
        elif header.startswith((".", "src/")):
            wrong.append(f"{where}: name the header from src/, not by '{header}'")
        elif target in LAYERS and LAYERS.index(target) > LAYERS.index(layer):
            wrong.append(f"{where}: {layer}/ may not include {target}/ ({header})")
        elif quote == '"' and target not in LAYERS:
            wrong.append(f"{where}: '{header}' is in no layer")
    return wrong


def imported(path: Path, root: Path) -> list[tuple[int, str]]:
    """Return (line, absolute module name) for every import statement of a Python file."""
    package = list(path.relative_to(root).with_suffix("").parts)[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.append((node.lineno, module))
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return found


def check_python(path: Path, root: Path) -> list[str]:
    """Return what is wrong with the imports of one Python file."""
    top = path.relative_to(root).parts[0]
    wrong = []
    for line, module in imported(path, root):
        where = f"{path}:{line}"
        if top in ("src", "cmake") and module.split(".")[0] == "torch":
            wrong.append(f"{where}: {top}/ may not import torch")
        elif top == "torch" and module.split(".")[0] in ("tests", "tools", "examples", "bench"):
            wrong.append(f"{where}: torch/ may not import {module}")
        elif top in ("examples", "tests") and (module + ".").startswith("torch._C."):
            wrong.append(f"{where}: {top}/ uses the public API only, not {module}")
    return wrong


def main() -> int:
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    source_root = root / "src"
    wrong = []
    for path in sorted(source_root.rglob("*")):
        if path.suffix in (".h", ".cpp", ".inl", ".cuh"):
            wrong += check_source(path, source_root)
    for folder in ("src", "cmake", "torch", "tests", "examples"):
        for path in sorted((root / folder).rglob("*.py")):
            wrong += check_python(path, root)
    print("\n".join(dict.fromkeys(wrong)) if wrong else "layers: every include and import points down")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
