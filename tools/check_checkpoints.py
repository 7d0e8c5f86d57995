#!/usr/bin/env python3
"""Have the reference PyTorch load the checkpoints that are written here, and compare what it finds.

    python tools/check_checkpoints.py REFERENCE/bin/python [CASE ...]

Run it under this library. Exit status 1 if a checkpoint is not loaded, or not with the same values.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import checkpoint_programs  # noqa: E402  found by the line above

import torch  # noqa: E402

# What the reference runs: it says what each file holds, once read and, where that is possible, once mapped.
READ = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import checkpoint_programs, torch
assert not hasattr(torch.version, "tabula"), "this is not the reference"
checkpoint_programs.quiet()
found = {}
for path in map(Path, sys.argv[2:]):
    case = checkpoint_programs.CASES[path.stem]
    kinds = [{}] if "_use_new_zipfile_serialization" in case.options else [{}, {"mmap": True}]
    try:
        found[path.stem] = [case.describe(case.load(path, **kind)) for kind in kinds]
    except Exception as error:
        found[path.stem] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def main() -> int:
    if not hasattr(torch.version, "tabula"):
        sys.exit("run this under Tabula: its files are what is checked")
    reference, names = sys.argv[1], sys.argv[2:] or list(checkpoint_programs.CASES)
    checkpoint_programs.quiet()
    with tempfile.TemporaryDirectory() as folder:
        expected, paths = {}, []
        for name in names:
            case = checkpoint_programs.CASES[name]
            path = Path(folder) / f"{name}.pt"
            case.save(path)
            expected[name] = json.loads(json.dumps(case.describe(case.load(path))))
            paths.append(str(path))
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [reference, "-P", "-c", READ, str(ROOT / "tests"), *paths]
        done = subprocess.run(command, capture_output=True, text=True, env=clean, cwd=folder)
    if done.returncode:
        sys.exit(done.stderr)
    wrong = 0
    for name, found in json.loads(done.stdout).items():
        lines = [found] if isinstance(found, str) else [
            line for one in found for line in checkpoint_programs.differences(one, expected[name])
        ]  # fmt: skip
        wrong += bool(lines)
        for line in lines[:5]:
            print(f"{name}: {line}")
    print(f"{len(names) - wrong} of {len(names)} checkpoints written here load in the reference with the same values")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
