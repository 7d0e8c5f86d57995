"""Whether ``torch.jit.script`` compiles: with PYTORCH_JIT=0 in the environment, or after ``disable()``, it does not."""

from __future__ import annotations

import os


class EnabledProxy:
    """The setting, which the environment gives at first."""

    def __init__(self) -> None:
        self.enabled = os.environ.get("PYTORCH_JIT", "1") not in ("0", "")

    def __bool__(self) -> bool:
        return self.enabled


_enabled = EnabledProxy()


def disable() -> None:
    """From now on ``torch.jit.script`` returns what it is given."""
    _enabled.enabled = False


def enable() -> None:
    """From now on ``torch.jit.script`` compiles."""
    _enabled.enabled = True
