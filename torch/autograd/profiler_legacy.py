"""``profile`` as it was before ``torch.autograd.profiler.profile``."""

from __future__ import annotations

import warnings

from . import profiler
from .profiler_util import EventList

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

__all__ = ["profile"]


class profile(profiler.profile):  # noqa: N801 - PyTorch's name
    """Use ``torch.profiler.profile``: this is the same with fewer options, and a FutureWarning."""

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, record_shapes: bool = False, with_flops: bool = False,
        profile_memory: bool = False, with_stack: bool = False, with_modules: bool = False,
    ) -> None:  # fmt: skip
        warnings.warn(
            "`torch.autograd.profiler_legacy.profile` is deprecated and will be removed in a future release. Please "
            "use `torch.profiler` instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(
            enabled, use_cuda=use_cuda, record_shapes=record_shapes, with_flops=with_flops,
            profile_memory=profile_memory, with_stack=with_stack, with_modules=with_modules,
        )  # fmt: skip

    def _ensure_function_events(self) -> EventList:
        events = super()._ensure_function_events()
        for event in events:
            event.is_legacy = True
        return events
