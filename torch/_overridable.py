"""Functions written in Python as part of the ``__torch_function__`` protocol: each is seen as itself, not "
"by its parts."""

from __future__ import annotations

import functools
from types import FunctionType

from ._C import _override_needed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])


def relevant_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments whose classes may override: those themselves, and those in lists."""
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        if type(value) in (list, tuple):
            found.extend(value)
        else:
            found.append(value)
    return found


@functools.lru_cache(None)
def overridable(function: F) -> F:
    """The function, behind a look for overriding arguments and modes."""

    # How PyTorch's function passes its arguments on, where that is not how it got them.
    form = getattr(function, "form", None)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        needed = _override_needed(args, kwargs)
        if not needed:
            return function(*args, **kwargs)
        if form is not None:
            args = form(*args)
        if needed is not True:
            from .amp._functions import call_under_autocast

            return call_under_autocast(function, args, kwargs)
        from .overrides import handle_torch_function

        return handle_torch_function(wrapper, relevant_arguments(args, kwargs), *args, **kwargs)

    return wrapper  # type: ignore[return-value]


def make_overridable(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Replace those of a module's functions that are written in Python by overridable ones."""
    for name in names:
        if type(namespace.get(name)) is FunctionType:
            namespace[name] = overridable(namespace[name])
