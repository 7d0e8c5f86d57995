"""Which pipes a pipe is made of."""

from __future__ import annotations

from .datapipes.datapipe import IterDataPipe, MapDataPipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["traverse", "traverse_dps"]


def _connected(pipe: Any) -> list[Any]:
    """The pipes that lie in a pipe's attributes, in containers and in other objects of one's own, in order."""
    found: list[Any] = []
    seen = {id(pipe)}

    def visit(value: Any) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, (IterDataPipe, MapDataPipe)):
            found.append(value)
        elif isinstance(value, dict):
            for item in value.values():
                visit(item)
        elif isinstance(value, (list, tuple, set)):
            for item in value:
                visit(item)

    visit(vars(pipe))
    return found


def _traverse(pipe: Any, above: frozenset[int]) -> dict[int, tuple[Any, Any]]:
    if id(pipe) in above:
        return {}
    below: dict[int, tuple[Any, Any]] = {}
    for part in _connected(pipe):
        below.update(_traverse(part, above | {id(pipe)}))
    return {id(pipe): (pipe, below)}


def traverse_dps(datapipe: Any) -> dict[int, tuple[Any, Any]]:
    """The graph of a pipe: ``{id: (pipe, graph of what it reads from)}``.

    Raises:
        RuntimeError: it is no pipe.
    """
    if not isinstance(datapipe, (IterDataPipe, MapDataPipe)):
        raise RuntimeError(f"Expected `IterDataPipe` or `MapDataPipe`, but {type(datapipe)} is found")
    return _traverse(datapipe, frozenset())


def traverse(datapipe: Any, only_datapipe: bool | None = None) -> dict[int, tuple[Any, Any]]:
    """The graph of a pipe, as ``traverse_dps`` gives it. ``only_datapipe`` makes no difference: attributes are what is
    looked at, nothing is pickled."""
    import warnings

    warnings.warn(
        "`traverse` function and will be removed after 1.13. Please use `traverse_dps` instead.",
        FutureWarning,
        stacklevel=2,
    )
    return traverse_dps(datapipe)
