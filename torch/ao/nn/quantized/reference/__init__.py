"""Float modules whose weights are quantised and dequantised each time: what quantised modules are compared with."""

from .modules import *  # noqa: F403
from .modules import __all__ as __all__
