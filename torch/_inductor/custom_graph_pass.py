"""Passes over graphs that programs bring, which say by what to tell them apart."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import torch

__all__ = ["CustomGraphModulePass", "CustomGraphPass", "get_hash_for_files"]


class CustomGraphPass(ABC):
    """A pass over a graph."""

    @abstractmethod
    def __call__(self, graph: torch.fx.Graph) -> None:
        """Change the graph."""

    @abstractmethod
    def uuid(self) -> Any:
        """What tells this pass, and this version of it, from others; None if it may not be stored."""


class CustomGraphModulePass(ABC):
    """A pass over a graph module."""

    @abstractmethod
    def __call__(self, gm: torch.fx.GraphModule) -> None:
        """Change the graph module."""

    @abstractmethod
    def uuid(self) -> Any:
        """What tells this pass, and this version of it, from others; None if it may not be stored."""


def get_hash_for_files(paths: tuple[str, ...], extra: str = "") -> bytes:
    """A digest of files, for ``uuid``."""
    digest = hashlib.sha256()
    digest.update(extra.encode("utf-8"))
    for path in paths:
        digest.update(Path(path).read_bytes())
    return digest.digest()
