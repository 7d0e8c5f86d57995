"""`import torch` stays light: what it loads is counted, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import torch

# How many modules `import torch` may load beyond those of a bare interpreter; it may only be lowered.
MOST_MODULES = 45

HEAVY = {
    "numpy", "scipy", "onnx", "inspect", "dataclasses", "typing_extensions", "sympy", "networkx", "unittest", "ctypes",
    "multiprocessing", "asyncio", "logging", "tempfile", "subprocess", "zipfile", "http", "ssl", "socket",
}  # fmt: skip


def loaded(statement: str, tmp_path) -> set[str]:
    """Return the modules that a statement loads beyond a bare interpreter's."""
    program = f"import json, sys; before = set(sys.modules); {statement}; after = set(sys.modules)"
    program += "; print(json.dumps(sorted(after - before)))"
    # the package under test, wherever it is, and nothing else of the folder it was started in
    environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    return set(json.loads(done.stdout))


def test_import_loads_few_modules_and_no_heavy_ones(tmp_path):
    modules = loaded("import torch", tmp_path)
    assert not HEAVY & {name.split(".")[0] for name in modules}
    assert len(modules) <= MOST_MODULES, sorted(modules)


def test_first_operations_load_nothing_more(tmp_path):
    use = "x = torch.ones(2, requires_grad=True); (x * 2).sum().backward(); x.grad.tolist()"
    extra = loaded(f"import torch; {use}", tmp_path) - loaded("import torch", tmp_path)
    assert not extra


def test_numpy_is_loaded_by_the_first_conversion(tmp_path):
    pytest.importorskip("numpy")
    assert "numpy" in loaded("import torch; torch.tensor([1.0]).numpy()", tmp_path)


def test_version():
    assert torch.__version__.startswith("2.13.")
