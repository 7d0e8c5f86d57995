#!/usr/bin/env python3
"""Record the first losses of the examples under the reference PyTorch.

    tools/record_examples.py --python REFERENCE/bin/python [--path SITE_PACKAGES] [--only NAME ...]

Runs under any interpreter. The reference's needs NumPy and what the examples import (scikit-learn, mlxtend,
scikit-image, tqdm); what it lacks may come from the folder given as --path, which must hold no torch. Each
examples/NAME.py runs for 20 steps in float32 and in float64; tests/data/example_losses/NAME.json gets the losses and
the versions that gave them. tests/test_examples.py compares.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests/data/example_losses"
STEPS = 20
VERSIONS = """
import json, platform, numpy, torch
assert not hasattr(torch.version, "tabula"), "this is Tabula, not the reference: expected values would prove nothing"
print(json.dumps({"torch": torch.__version__, "numpy": numpy.__version__, "python": platform.python_version()}))
"""


def examples() -> list[str]:
    """Return the names of the examples that are made with examples/_frame.py."""
    return sorted(path.stem for path in (ROOT / "examples").glob("*.py") if "from _frame import" in path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", required=True, help="the reference's interpreter")
    parser.add_argument("--path", help="a further folder of packages for it")
    parser.add_argument("--only", nargs="+", choices=examples(), default=examples(), metavar="NAME")
    arguments = parser.parse_args()

    # one thread, so that the reference adds up in the same order every time
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    if arguments.path:
        environment["PYTHONPATH"] = arguments.path
    DATA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:

        def reference(*options: str) -> str:
            """Run the reference's interpreter away from the source tree, whose torch/ is not the one meant."""
            command = [arguments.python, *options]
            result = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True)
            if result.returncode:
                sys.exit(f"{result.stderr}{' '.join(command)}: exit status {result.returncode}")
            return result.stdout

        versions = json.loads(reference("-c", VERSIONS))
        for name in arguments.only:
            recorded = dict(versions)
            for dtype in ("float32", "float64"):
                start = time.perf_counter()
                script = str(ROOT / "examples" / f"{name}.py")
                reference(script, "--steps", str(STEPS), "--dtype", dtype, "--losses", "losses.json")
                recorded[dtype] = json.loads(Path(work, "losses.json").read_text())
                print(f"{name} {dtype}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
            body = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in recorded.items())
            (DATA / f"{name}.json").write_text(f"{{\n{body}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
