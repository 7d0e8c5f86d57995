#!/usr/bin/env python3
"""Write the checkpoints of tests/checkpoint_programs.py with the reference PyTorch, and what they hold.

    REFERENCE/bin/python tools/record_checkpoints.py

The files go to tests/data/checkpoints/NAME.pt, what the reference reads back from them to recorded.json beside them.
"""

import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import checkpoint_programs  # noqa: E402  found by the line above


def main() -> None:
    if hasattr(torch.version, "tabula"):
        sys.exit("this is Tabula, not the reference: expected values would prove nothing")
    checkpoint_programs.quiet()
    folder = ROOT / "tests" / "data" / "checkpoints"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    found = {}
    for name, case in checkpoint_programs.CASES.items():
        if not case.stored:
            continue
        path = folder / f"{name}.pt"
        case.save(path)
        found[name] = case.describe(case.load(path))
    body = ",\n".join(f"  {json.dumps(name)}: {json.dumps(what)}" for name, what in found.items())
    text = f'{{"reference": {json.dumps(torch.__version__)}, "cases": {{\n{body}\n}}}}\n'
    (folder / "recorded.json").write_text(text, encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{len(found)} checkpoints, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
