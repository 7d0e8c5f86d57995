"""Copies of a state dict, so that training can go on while it is written."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch.utils._pytree import tree_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["AsyncStager", "BlockingAsyncStager", "DefaultStager", "StagingOptions"]


def copied(value: Any) -> Any:
    """The same structure with its tensors copied, those of several processes piece by piece."""

    def one(tensor: Any) -> Any:
        return tensor.detach().clone() if isinstance(tensor, torch.Tensor) else tensor

    return tree_map(one, value)


@runtime_checkable
class AsyncStager(Protocol):
    """Makes a copy of a state dict."""

    _synchronize_after_execute: bool = True

    @property
    def should_synchronize_after_execute(self) -> bool:
        """Whether ``synchronize_staging`` has to be called."""
        return self._synchronize_after_execute

    def stage(self, state_dict: dict[str, Any]) -> Any:
        """The copy, or a future of it."""
        raise NotImplementedError(f"{type(self).__name__} must implement stage method")

    def synchronize_staging(self) -> None:
        """Wait for the copy."""

    def close(self) -> None:
        """Give back what it holds."""


class BlockingAsyncStager(AsyncStager):
    """Copies at once."""

    _synchronize_after_execute = False

    def __init__(self, cache_staged_state_dict: bool = False, type_check: bool = False) -> None:
        self.cache_staged_state_dict = cache_staged_state_dict
        self.type_check = type_check
        self.state_dict_cache: dict[str, Any] | None = None

    def stage(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        return copied(state_dict)

    def synchronize_staging(self) -> None:
        """It was copied at once."""

    def close(self) -> None:
        """It holds nothing."""


@dataclass
class StagingOptions:
    """How copies are made; in main memory one way serves them all."""

    use_pinned_memory: bool = True
    use_shared_memory: bool = True
    use_async_staging: bool = True
    use_non_blocking_copy: bool = True


class DefaultStager(AsyncStager):
    """Copies in a thread."""

    def __init__(self, config: StagingOptions = StagingOptions()) -> None:
        self._config = config
        self._future: Future[Any] | None = None

    def stage(self, state_dict: dict[str, Any], **kwargs: Any) -> Any:
        if not self._config.use_async_staging:
            return copied(state_dict)
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(max_workers=1)
        self._future = pool.submit(copied, state_dict)
        pool.shutdown(wait=False)  # the thread ends with its work
        return self._future

    def synchronize_staging(self) -> None:
        if self._future is not None:
            self._future.result()

    def close(self) -> None:
        """It holds nothing."""
        self._future = None
