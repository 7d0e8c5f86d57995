"""What stands for the classes of a checkpoint that nobody allowed: records, which do nothing."""

from __future__ import annotations

from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InertGlobal:
    """A class or function that a checkpoint names and that was not looked up.

    Attributes:
        name: its full name, such as ``"models.Net"``.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"InertGlobal({self.name!r})"


class InertRecord:
    """An object of a class that was not looked up: what the checkpoint says of it, and nothing that runs.

    Attributes:
        name: the full name of its class, or of the function that would have made it.
        args: what the class or function would have been called with.
        kwargs: the same, by name.
        state: what its attributes would have been set from: mostly a dict; None if the checkpoint has none.
        items: the items of a list or set, in order.
        entries: the (key, value) pairs of a mapping, in order.

    >>> from torch.serialization import InertRecord
    >>> InertRecord("models.Net", (3,))
    InertRecord('models.Net', args=(3,))
    """

    __slots__ = ("args", "entries", "items", "kwargs", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs or {}
        self.state: Any = None
        self.items: list[Any] = []
        self.entries: list[tuple[Any, Any]] = []

    def __repr__(self) -> str:
        fields = [repr(self.name)]
        for name in ("args", "kwargs", "state", "items", "entries"):
            value = getattr(self, name)
            if value or (name == "state" and value is not None):
                fields.append(f"{name}={_short(value)}")
        return f"InertRecord({', '.join(fields)})"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return f"<{len(value)} entries: {', '.join(map(str, list(value)[:8]))}{', ...' if len(value) > 8 else ''}>"
    if isinstance(value, list) and len(value) > 4:
        return f"<{len(value)} items>"
    return repr(value)


class inert_unknown:  # noqa: N801
    """Inside the block ``torch.load`` makes records of what it would refuse.

    Objects of classes that are not allowed become :class:`InertRecord`, and the classes and functions themselves, where
    a checkpoint refers to them, :class:`InertGlobal`. Nothing is imported and nothing of the file runs, so that a
    checkpoint of unknown origin, or one whose classes are gone, gives its tensors all the same. It holds for
    ``weights_only=True``, the default, and for the thread that entered it.

    >>> import io, torch
    >>> buffer = io.BytesIO()
    >>> torch.save(torch.nn.Linear(2, 3), buffer)
    >>> _ = buffer.seek(0)
    >>> with torch.serialization.inert_unknown():
    ...     record = torch.load(buffer)
    >>> record.name
    'torch.nn.modules.linear.Linear'
    >>> record.state["_parameters"]["weight"].shape
    torch.Size([3, 2])
    """

    def __enter__(self) -> None:
        _scope.depth = getattr(_scope, "depth", 0) + 1

    def __exit__(self, *exc: object) -> None:
        _scope.depth -= 1


_scope: Any = _local()


def wanted() -> bool:
    """Whether this thread is inside :class:`inert_unknown`."""
    return getattr(_scope, "depth", 0) > 0
