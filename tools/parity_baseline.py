#!/usr/bin/env python3
"""Keep what `check.py --baseline` reads of a parity result: which checks of which records passed.

    python tools/parity_baseline.py NOW.json        # NOW.json from check.py --json; writes tests/parity-baseline.json
"""

import json
import sys
from pathlib import Path

BASELINE = Path(__file__).resolve().parent.parent / "tests" / "parity-baseline.json"


def main() -> None:
    now = json.loads(Path(sys.argv[1]).read_text())
    lines = [
        f"{json.dumps(name)}: {json.dumps({'checks': record['checks']})}"
        for name, record in sorted(now["records"].items())
    ]
    summary = json.dumps(now["summary"])
    BASELINE.write_text('{"summary": ' + summary + ',\n"records": {\n' + ",\n".join(lines) + "\n}}\n")
    print(now["summary"])


if __name__ == "__main__":
    main()
