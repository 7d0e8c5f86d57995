"""The old place of ``torch.ao.nn.quantizable``."""

from torch.ao.nn._reexport import reexport as _reexport

_reexport(globals(), "torch.ao.nn.quantizable", "modules modules.activation modules.rnn")
