"""``get_cpp_backtrace``, which says that there are no symbols."""

from ._build import get_cpp_backtrace

__all__ = ["get_cpp_backtrace"]
