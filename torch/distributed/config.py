"""Settings of ``torch.distributed``. Both are off, and cannot be switched on: what they choose does not exist here."""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

use_torchcomms = False
compile_on_one_rank = False


class _Settings(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("use_torchcomms", "compile_on_one_rank") and value:
            raise NotImplementedError(f"torch.distributed.config.{name} is not supported")
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Settings
