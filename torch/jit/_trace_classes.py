"""The classes of traced modules."""

from __future__ import annotations

from ._script import RecursiveScriptModule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TopLevelTracedModule", "TracedModule"]


class TracedModule(RecursiveScriptModule):
    """A module inside a traced one: it has the parameters, and the part of the program that belongs to it.

    Calling it by itself raises RuntimeError: what it takes and gives is what the trace needed, and not what ``forward``
    took and gave.
    """

    _compiled_kind = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("Trace submodules cannot be called.")

    def _get_name(self) -> str:
        return self._type.name()

    @property
    def original_name(self) -> str:
        """The name of the class that was traced."""
        return self._type.name()


class TopLevelTracedModule(TracedModule):
    """What ``torch.jit.trace`` makes of a module."""

    _compiled_kind = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return RecursiveScriptModule.__call__(self, *args, **kwargs)


TracedModule.__module__ = TopLevelTracedModule.__module__ = "torch.jit._trace"
