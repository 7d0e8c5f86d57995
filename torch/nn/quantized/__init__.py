"""The old place of ``torch.ao.nn.quantized``."""

from torch.ao.nn._reexport import reexport as _reexport
from torch.ao.nn.quantized import MaxPool2d as MaxPool2d

_reexport(
    globals(),
    "torch.ao.nn.quantized",
    """
    modules modules.activation modules.batchnorm modules.conv modules.dropout modules.embedding_ops
    modules.functional_modules modules.linear modules.normalization modules.rnn modules.utils functional dynamic
    dynamic.modules dynamic.modules.conv dynamic.modules.linear dynamic.modules.rnn
    """,
)
