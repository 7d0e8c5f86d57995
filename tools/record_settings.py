"""Records the names and default values of PyTorch's settings of torch.compile.

Run it with PyTorch 2.13 (``REFERENCE/bin/python tools/record_settings.py``); it writes ``torch/_dynamo/_settings.txt``
and ``torch/_inductor/_settings.txt``. Values that depend on the machine are left out: those are code.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

MACHINE = ("base_dir", "debug_dir_root", "worker_log_path", "compile_threads")


def literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError):
        return False


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    for path in ("torch._dynamo.config", "torch._inductor.config"):
        module = importlib.import_module(path)
        lines, left = [], []
        for name, entry in module._config.items():
            if name == "TYPE_CHECKING":
                continue
            if entry.alias is not None:
                lines.append(f"{name} -> {entry.alias}")
                continue
            value = entry.default
            machine = name in MACHINE or "/" in repr(value)
            (left if machine or not literal(value) else lines).append(f"{name} = {value!r}")
        place = root / path.rpartition(".")[0].replace(".", "/") / "_settings.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_text("\n".join(lines) + "\n")
        print(f"{place}: {len(lines)} settings; left out: {left}")


if __name__ == "__main__":
    main()
