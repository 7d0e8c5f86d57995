"""What this build is."""

from __future__ import annotations

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "tabula", "xpu"]

# The level of the PyTorch API that programs can count on, and Tabula's own version.
__version__ = "2.13.0"
tabula = "0.1.0"
git_version = "unknown"
debug = False
cuda: str | None = None
hip: str | None = None
xpu: str | None = None
rocm: str | None = None
