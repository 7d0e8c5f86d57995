"""Running a module on several devices or in several processes."""

from __future__ import annotations

from . import comm as comm
from . import distributed as distributed
from . import scatter_gather as scatter_gather
from .data_parallel import DataParallel, data_parallel
from .distributed import DistributedDataParallel
from .parallel_apply import parallel_apply
from .replicate import replicate
from .scatter_gather import gather, scatter

__all__ = [
    "replicate",
    "scatter",
    "parallel_apply",
    "gather",
    "data_parallel",
    "DataParallel",
    "DistributedDataParallel",
]


class DistributedDataParallelCPU(DistributedDataParallel):
    """The older name of ``DistributedDataParallel`` for modules on the CPU."""

    def __init__(self, *args, **kwargs) -> None:
        import warnings

        warnings.warn(
            "`torch.nn.parallel.DistributedDataParallelCPU` is deprecated, please use "
            "`torch.nn.parallel.DistributedDataParallel` instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(*args, **kwargs)
