#!/usr/bin/env python3
"""Run the array API checks of tests/array_api.py on many rounds of random arrays.

    python tools/array_api.py --rounds 50 [--json FILE]     # says what fails and is no known deviation of PyTorch
    REFERENCE/bin/python tools/array_api.py --record        # writes tests/data/array_api.json: what PyTorch fails

Needs array-api-compat, array-api-strict and NumPy; a directory with them may stand on PYTHONPATH.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
KNOWN = ROOT / "tests/data/array_api.json"

import array_api  # noqa: E402  found by the line above


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1, help="how many times, each with other values")
    parser.add_argument("--json", help="write {check: what came instead} here")
    parser.add_argument("--record", action="store_true", help="under PyTorch: write what fails into tests/data")
    chosen = parser.parse_args()
    if chosen.record and hasattr(torch.version, "tabula"):
        sys.exit("this is Tabula, not the reference: its own failures would excuse themselves")
    torch.set_num_threads(1)
    failed, count = {}, 0
    for number in range(chosen.rounds):
        for check in array_api.checks(number):
            count += 1
            if text := array_api.outcome(check):
                failed.setdefault(check.name, text)
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(failed, indent=0), encoding="utf-8")
    if chosen.record:
        lines = json.dumps({"reference": torch.__version__, "failed": sorted(failed)}, indent=0)
        KNOWN.write_text(lines + "\n", encoding="utf-8")
    known = json.loads(KNOWN.read_text(encoding="utf-8"))["failed"]
    new = {name: text for name, text in failed.items() if name not in known}
    for name, text in new.items():
        print(f"{name}: {text}")
    print(f"{count} checks, {len(failed)} failed, {len(new)} of them not in PyTorch")
    return int(bool(new))


if __name__ == "__main__":
    sys.exit(main())
