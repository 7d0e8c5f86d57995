#!/usr/bin/env python3
"""Fail if a public name that was there is lost: compares the surface check's table with tests/surface-baseline.json.

    PYTHON tools/check_surface.py SURFACE.py SURFACE.json [--update]

PYTHON is an interpreter that has the torch to check. `--update` writes the baseline anew.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

BASELINE = Path(__file__).resolve().parent.parent / "tests" / "surface-baseline.json"


def listed_names(script: str, record: str) -> dict[str, int]:
    """Return, per namespace, how many of its listed names are present."""
    # the check's own exit status says whether everything is there, which is not what is asked here
    done = subprocess.run([sys.executable, script, "--check", record], capture_output=True, text=True, check=False)
    rows = re.findall(r"^(\S+)(?: +\d+){5} +(\d+)/(\d+)$", done.stdout, re.MULTILINE)
    if not rows:
        sys.exit(f"no table from {script}:\n{done.stdout}{done.stderr}")
    for name, present, listed in rows:
        if name in ("torch", "torch.Tensor", "all"):
            print(f"{name}: {present} of {listed} listed names")
    return {name: int(present) for name, present, _ in rows}


def main() -> None:
    now = listed_names(sys.argv[1], sys.argv[2])
    if "--update" in sys.argv:
        BASELINE.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
        return
    before = json.loads(BASELINE.read_text())
    lost = {name: (count, now.get(name, 0)) for name, count in before.items() if now.get(name, 0) < count}
    for name, (had, has) in lost.items():
        print(f"{name}: had {had} listed names, has {has}")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
