"""The old place of ``torch.hub.load_state_dict_from_url``."""

from __future__ import annotations

import torch
from torch.hub import load_state_dict_from_url as load_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["load_url"]


def __getattr__(name: str) -> Any:
    # tqdm.tqdm where it is installed: packages take it from here.
    if name == "tqdm":
        return torch.hub.tqdm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
