#!/usr/bin/env python3
"""The developer's commands: python dev.py VERB [ARGUMENT ...].

    build      compile in build/dev and put the extension into torch/ (seconds after an edit)
    test       run the tests against that build; further arguments go to pytest
    lint       layers, nothing twice, ruff, clang-format on touched lines (where installed); --fix mends what it can
    stubs      write torch/_C.pyi anew from the built extension; --check only compares
    docs       write the reference pages to docs/site
    bench      run ../shared/bench against the reference PyTorch; further arguments go to run.py
    parity     run ../shared/parity/check.py against that build; further arguments go to it
    surface    run ../shared/parity/surface.py --check against that build
    clean      remove build/, docs/site/, caches and the extension in torch/
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("TABULA_SHARED", ROOT.parent / "shared"))
REFERENCE = Path(os.environ.get("TABULA_REFERENCE", Path.home() / ".cache/parity-venv/bin/python"))


def run(*command, **options) -> int:
    """Run a command and return its exit status."""
    return subprocess.run([str(part) for part in command], check=False, **options).returncode


def tool(name: str) -> str | None:
    """Return the path of a tool: beside this interpreter first, then on PATH."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


def need(name: str) -> str:
    path = tool(name)
    if path is None:
        sys.exit(f"dev.py needs {name}: pip install {name}")
    return path


def in_tree() -> dict[str, str]:
    """Return an environment in which `import torch` finds the source tree's package."""
    path = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{path}" if path else str(ROOT)}


def build(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py build")
    parser.add_argument("--sanitize", default="", help="'address,undefined' or 'thread'; built in a folder of its own")
    parser.add_argument("--debug", action="store_true", help="-O1 -g, assertions on")
    parser.add_argument("--werror", action="store_true", help="warnings are errors")
    parser.add_argument("-j", "--jobs", type=int, help="compile jobs at once (default: ninja's choice)")
    chosen = parser.parse_args(arguments)
    name = "san-" + chosen.sanitize.replace(",", "-") if chosen.sanitize else "debug" if chosen.debug else "dev"
    folder = ROOT / "build" / name
    configure = [
        need("cmake"), "-S", ROOT, "-B", folder, "-G", "Ninja",
        f"-DCMAKE_MAKE_PROGRAM={need('ninja')}",
        f"-DCMAKE_BUILD_TYPE={'Debug' if chosen.debug else 'Release'}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DTABULA_SANITIZE={chosen.sanitize}",
        f"-DTABULA_WERROR={'ON' if chosen.werror else 'OFF'}",
        "-DTABULA_IN_TREE=ON", "--log-level=WARNING",
    ]  # fmt: skip
    status = run(*configure, stdout=subprocess.DEVNULL)
    if status:
        return status
    jobs = ["-j", str(chosen.jobs)] if chosen.jobs else []
    status = run(need("ninja"), "-C", folder, "--quiet", *jobs)
    if status == 0 and chosen.sanitize:
        print('how to run it: "Checks on memory and threads" in CONTRIBUTING.md')
    return status


def test(arguments: list[str]) -> int:
    return run(sys.executable, "-m", "pytest", *(arguments or ["tests"]), cwd=ROOT, env=in_tree())


def lint(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py lint")
    parser.add_argument("--fix", action="store_true", help="mend what the tools can mend")
    fix = parser.parse_args(arguments).fix
    failed = run(sys.executable, ROOT / "tools/check_layers.py") != 0
    failed |= run(sys.executable, ROOT / "tools/check_twice.py") != 0
    if ruff := tool("ruff"):
        failed |= run(ruff, "check", *(["--fix"] if fix else []), ROOT) != 0
    else:
        print("ruff is not installed: skipped")
    failed |= run(sys.executable, ROOT / "tools/check_format.py", *(["--fix"] if fix else [])) != 0
    return int(failed)


def stubs(arguments: list[str]) -> int:
    return run(sys.executable, ROOT / "tools/stubs.py", *arguments, cwd=ROOT, env=in_tree())


def docs(arguments: list[str]) -> int:
    return run(sys.executable, ROOT / "tools/docs.py", *arguments, cwd=ROOT, env=in_tree())


def bench(arguments: list[str]) -> int:
    command = [sys.executable, SHARED / "bench/run.py", "--a", sys.executable, "--a-path", ROOT]
    return run(*command, "--b", REFERENCE, *(arguments or ["--quick"]))


def parity(arguments: list[str]) -> int:
    return run(sys.executable, SHARED / "parity/check.py", *arguments, env=in_tree())


def surface(arguments: list[str]) -> int:
    command = [sys.executable, SHARED / "parity/surface.py", "--check", SHARED / "parity/surface-2.13.json"]
    return run(*command, *arguments, env=in_tree())


def clean(arguments: list[str]) -> int:
    if arguments:
        sys.exit("dev.py clean takes no arguments")
    for name in ("build", "dist", "docs/site", ".ruff_cache", ".pytest_cache"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for extension in (ROOT / "torch").glob("_C*.so"):
        extension.unlink()
    for top in ("torch", "tests", "tools", "examples", "bench"):
        for cache in (ROOT / top).rglob("__pycache__"):
            shutil.rmtree(cache, ignore_errors=True)
    return 0


VERBS = {f.__name__: f for f in (build, test, lint, stubs, docs, bench, parity, surface, clean)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        sys.exit(__doc__)
    sys.exit(VERBS[sys.argv[1]](sys.argv[2:]))
