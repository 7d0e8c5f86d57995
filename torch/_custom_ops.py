"""The place where ``torch.library``'s functions for operations written in Python were before."""

from __future__ import annotations

from .library import get_ctx, impl_abstract

__all__ = ["get_ctx", "impl_abstract"]
