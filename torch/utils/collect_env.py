"""What to say about a machine in a report: ``python -m torch.utils.collect_env``."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

import torch

__all__ = ["get_env_info", "get_pretty_env_info", "main"]

_PACKAGES = ("numpy", "scipy", "torchvision", "torchaudio", "safetensors")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def get_env_info() -> dict[str, str]:
    """Versions, machine and threads, by what they are called in the report."""
    info = {
        "PyTorch version": torch.__version__,
        "Is debug build": "False",
        "CUDA available": str(torch.cuda.is_available()),
        "OS": platform.platform(),
        "Libc version": "-".join(platform.libc_ver()) or "N/A",
        "Python version": sys.version.replace("\n", " "),
        "Python platform": platform.platform(),
        "CPU": f"{_processor()}, {os.cpu_count()} processors",
        "Threads": str(torch.get_num_threads()),
    }
    for name in _PACKAGES:
        try:
            info[f"[pip3] {name}"] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return info


def get_pretty_env_info() -> str:
    """The report, a line per fact.

    >>> from torch.utils.collect_env import get_pretty_env_info
    >>> get_pretty_env_info().startswith("PyTorch version: ")
    True
    """
    return "\n".join(f"{name}: {value}" for name, value in get_env_info().items())


def main() -> None:
    """Print the report."""
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
