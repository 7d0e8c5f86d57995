"""What an implementation for tensors without memory may ask for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class FakeImplCtx:
    """The context of a running ``register_fake`` implementation: ``torch.library.get_ctx()``."""

    def __init__(self, qualname: str) -> None:
        self.qualname = qualname

    def new_dynamic_size(self, *, min: int = 0, max: int | None = None) -> NoReturn:
        """Sizes that depend on data would need symbolic sizes: a RuntimeError says so."""
        raise RuntimeError(
            f"{self.qualname}: new_dynamic_size() needs symbolic sizes, which Tabula does not have. An operation whose "
            "result's size depends on its arguments' elements has no implementation for tensors without memory."
        )

    create_unbacked_symint = new_dynamic_size


contexts: list[FakeImplCtx] = []


def get_ctx() -> Any:
    """Inside a ``register_fake`` implementation its context, else None."""
    return contexts[-1] if contexts else None
