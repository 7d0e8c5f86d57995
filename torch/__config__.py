"""How this build was made and how many threads it uses, as text."""

from __future__ import annotations

import os

import torch

__all__ = ["parallel_info", "show"]


def show() -> str:
    """A readable text about the build: its version, the instruction set in use, where LAPACK comes from.

    >>> print(torch.__config__.show().splitlines()[0])
    PyTorch built with:
    """
    from ._lapack import places

    lapack = places()[0][0]
    lines = [
        f"Tabula {torch.version.tabula}: the API of PyTorch {torch.version.__version__}",
        "C++ Version: 202002",
        f"LAPACK: {os.path.basename(lapack)}, opened at first use",
        f"CPU capability usage: {torch.backends.cpu.get_cpu_capability()}",
    ]
    return "PyTorch built with:\n" + "".join(f"  - {line}\n" for line in lines)


def parallel_info() -> str:
    """A readable text about threads.

    >>> print(torch.__config__.parallel_info().splitlines()[0])
    ATen/Parallel:
    """
    lines = [
        "ATen/Parallel:",
        f"\tat::get_num_threads() : {torch.get_num_threads()}",
        f"\tat::get_num_interop_threads() : {torch.get_num_interop_threads()}",
        f"os.cpu_count() : {os.cpu_count()}",
        "Environment variables:",
        f"\tOMP_NUM_THREADS : {os.environ.get('OMP_NUM_THREADS', '[not set]')}",
        "ATen parallel backend: a thread pool of Tabula's own",
    ]
    return "\n".join(lines) + "\n"
