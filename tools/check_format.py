#!/usr/bin/env python3
"""Check by clang-format the C++ lines that a change touches: git's difference to a base, uncommitted lines included.

    python tools/check_format.py [--base REV] [--fix]

Only touched lines count, so that a change doesn't have to reformat what others are working on. Without --base it is the
point where the branch left `main`, or HEAD on main itself.
"""

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def touched(base: str) -> dict[str, list[tuple[int, int]]]:
    """Return {file: first and last line of each touched piece}, for files that still exist."""
    lines: dict[str, list[tuple[int, int]]] = {}
    name = ""
    for line in git("diff", "-U0", "--diff-filter=d", "--no-color", base, "--", "*.h", "*.cpp", "*.inl").splitlines():
        if line.startswith("+++ b/"):
            name = line[6:]
        elif found := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(found[1]), int(found[2] or 1)
            if count:
                lines.setdefault(name, []).append((first, first + count - 1))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", help="a revision to compare with")
    parser.add_argument("--fix", action="store_true", help="format the touched lines")
    chosen = parser.parse_args()
    tool = shutil.which("clang-format", path=sysconfig.get_path("scripts")) or shutil.which("clang-format")
    if not tool:
        print("clang-format is not installed: skipped")
        return 0
    base = chosen.base or git("merge-base", "main", "HEAD").strip()
    failed = 0
    for name, pieces in touched(base).items():
        options = ["-i"] if chosen.fix else ["--dry-run", "-Werror"]
        ranges = [f"--lines={first}:{last}" for first, last in pieces]
        failed |= subprocess.run([tool, *options, *ranges, name], cwd=ROOT, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
