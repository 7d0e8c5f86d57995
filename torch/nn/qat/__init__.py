"""The old place of ``torch.ao.nn.qat``."""

from torch.ao.nn._reexport import reexport as _reexport

_reexport(
    globals(),
    "torch.ao.nn.qat",
    "modules modules.conv modules.embedding_ops modules.linear dynamic dynamic.modules dynamic.modules.linear",
)
