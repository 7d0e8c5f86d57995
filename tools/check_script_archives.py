#!/usr/bin/env python3
"""Check that archives written here load in PyTorch and give equal results.

    python tools/check_script_archives.py REFERENCE/bin/python

Compiles every module of tests/script_cases.py, loads and saves every archive of tests/data/script_archives again, and
lets the reference run all of them. Exit status 1 if one fails or differs.
"""

import io
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

READER = """
import sys, warnings
from pathlib import Path
import torch
warnings.simplefilter("ignore")
def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for v in value for t in flat(v)] if isinstance(value, (list, tuple)) else [value]
failed = total = 0
for path in sorted(Path(sys.argv[1]).glob("*.pt")):
    total += 1
    try:
        module = torch.jit.load(str(path))
        for method, args, expected in torch.load(path.with_suffix(".cases"), weights_only=True):
            got, wanted = flat(getattr(module, method)(*args)), flat(expected)
            assert len(got) == len(wanted), "other number of results"
            for a, b in zip(got, wanted):
                if isinstance(b, torch.Tensor):
                    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
                else:
                    assert a == b, (a, b)
    except Exception as error:
        failed += 1
        print(path.stem, type(error).__name__, str(error)[:400])
print(f"{total - failed} of {total} archives give equal results in PyTorch {torch.__version__}")
sys.exit(bool(failed))
"""


def main() -> int:
    import script_cases

    import torch

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for name, (module, args) in script_cases.cases().items():
            compiled = torch.jit.script(module)
            compiled.save(f"{folder}/{name}.pt")
            result = compiled(*(a.clone() for a in args))
            torch.save([("forward", args, _plain(result))], f"{folder}/{name}.cases")
        for path in (ROOT / "tests/data/script_archives").glob("*.pt"):
            extra = {"cases.pt": ""}
            torch.jit.load(str(path), _extra_files=extra).save(f"{folder}/again_{path.stem}.pt")
            torch.save(torch.load(io.BytesIO(extra["cases.pt"])), f"{folder}/again_{path.stem}.cases")
        # The reference must not find this package.
        others = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run([sys.argv[1], "-P", "-c", READER, folder], check=False, env=others).returncode


def _plain(value):
    """Results without gradients."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach()
    return type(value)(map(_plain, value)) if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    sys.exit(main())
