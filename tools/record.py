#!/usr/bin/env python3
"""Record what the reference PyTorch does with the cases of tests/data, to run under the reference's interpreter.

    REFERENCE/bin/python tools/record.py [NAME ...]

Writes tests/data/NAME.json for each tests/data/NAME.txt (see tests/support.py), seed.json from
examples/seed_programs.py, and programs.json from the folders of tests/programs.py. Without names everything
is recorded anew, but for ecosystem.json: that one needs the packages of tests/test_ecosystem.py on PYTHONPATH, in a
folder that holds no other torch, and is made when it is named.
"""

import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

import programs  # noqa: E402  found by the line above
import seed_programs  # noqa: E402  found by the line above
import support  # noqa: E402


def record_errors(name: str) -> dict:
    """Return {case: exception type and message}; every case has to fail."""
    cases = {}
    for case in support.read_cases(name):
        try:
            support.run_case(case)
        except Exception as error:
            cases[case] = {"type": type(error).__name__, "message": str(error).split("\nException raised from")[0]}
        else:
            sys.exit(f"{name}: nothing is raised by: {case}")
    return cases


def record_first_lines(name: str) -> dict:
    """Return {case: exception type and the first sentence of the message}: the rest lists PyTorch's own backends."""
    cases = record_errors(name)
    for outcome in cases.values():
        outcome["message"] = outcome["message"].split(" This could be because")[0].split("\n")[0]
    return cases


def record_values(name: str) -> dict:
    """Return {case: its result}."""
    return {case: support.to_json(support.run_case(case)) for case in support.read_cases(name)}


def record_seed(name: str) -> dict:
    """Return {program: what it prints and how it ends}."""
    return {program: seed_programs.run(program) for program in seed_programs.PROGRAMS}


def record_programs(name: str) -> dict:
    """Return {program: the lines that it shows}; none may end with an exception of its own."""
    folders = {"programs": programs.FOLDERS, "ecosystem": programs.ECOSYSTEM}.get(name, (name,))
    cases = {program: programs.run(program) for program in programs.names(folders)}
    for program, lines in cases.items():
        if lines[-1].startswith("ends with"):
            sys.exit(f"{program}: {lines[-1]}")
    return cases


def record_printed(name: str) -> dict:
    """Return {title: what the program prints}."""
    return {title: support.run_program(source) for title, source in support.read_programs(name).items()}


RECORDERS = {
    **dict.fromkeys(("fx", "fx_passes", "export", "control_flow", "profiler", "compile", "trace"), record_printed),
    **dict.fromkeys(("flop_counter", "checkpoint", "benchmark", "hub"), record_printed),  # flop_counter needs tabulate
    "bad_input": record_errors,
    "amp_errors": record_errors,
    **dict.fromkeys(("sparse_errors", "linalg_errors", "fft_errors"), record_first_lines),
    "quantization_errors": record_first_lines,
    "distribution_errors": record_errors,
    "seed": record_seed,
    **dict.fromkeys(("programs", "ecosystem", "script_programs"), record_programs),
}


def main() -> None:
    if hasattr(torch.version, "tabula"):
        sys.exit("this is Tabula, not the reference: expected values would prove nothing")
    usual = {path.stem for path in support.DATA.glob("*.txt")} | RECORDERS.keys() - {"ecosystem"}
    names = sys.argv[1:] or sorted(usual)
    torch.set_num_threads(1)
    for name in names:
        cases = RECORDERS.get(name, record_values)(name)
        body = ",\n".join(f"  {json.dumps(case)}: {json.dumps(outcome)}" for case, outcome in cases.items())
        text = f'{{"reference": {json.dumps(torch.__version__)}, "cases": {{\n{body}\n}}}}\n'
        (support.DATA / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}: {len(cases)} cases, {len(text) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
