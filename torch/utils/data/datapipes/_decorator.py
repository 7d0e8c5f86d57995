"""Decorators of pipes."""

from __future__ import annotations

import functools
import inspect

from .datapipe import IterDataPipe, MapDataPipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class functional_datapipe:  # noqa: N801
    """Class decorator: ``pipe.name(...)`` makes the decorated pipe over ``pipe``.

    Raises:
        Exception: the name is taken.
    """

    name: str

    def __init__(self, name: str, enable_df_api_tracing: bool = False) -> None:
        self.name = name
        self.enable_df_api_tracing = enable_df_api_tracing

    def __call__(self, cls: Any) -> Any:
        base = MapDataPipe if isinstance(cls, type) and issubclass(cls, MapDataPipe) else IterDataPipe
        base.register_datapipe_as_function(self.name, cls, self.enable_df_api_tracing)
        return cls


_determinism = False


class guaranteed_datapipes_determinism:  # noqa: N801
    """Context in which pipes that are not deterministic cannot be made."""

    prev: bool

    def __init__(self) -> None:
        global _determinism
        self.prev = _determinism
        _determinism = True

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        global _determinism
        _determinism = self.prev


class non_deterministic:  # noqa: N801
    """Class decorator for pipes whose order is left to chance, always or, by a function of the arguments, sometimes."""

    cls: Any = None

    def __init__(self, arg: Any) -> None:
        if isinstance(arg, type):
            if not issubclass(arg, IterDataPipe):
                raise TypeError(
                    f"Only `IterDataPipe` can be decorated with `non_deterministic`, but {arg.__name__} is found"
                )
            self.cls = arg
        elif callable(arg):
            self.deterministic_fn = arg
        else:
            raise TypeError(f"{arg} can not be decorated by non_deterministic")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.cls is not None:
            if _determinism:
                self._refuse(self.cls, "")
            return self.cls(*args, **kwargs)
        if not (isinstance(args[0], type) and issubclass(args[0], IterDataPipe)):
            raise TypeError(f"Only `IterDataPipe` can be decorated, but {args[0]} is found")
        self.cls = args[0]
        return self.deterministic_wrapper_fn

    def deterministic_wrapper_fn(self, *args: Any, **kwargs: Any) -> Any:
        chance = self.deterministic_fn(*args, **kwargs)
        if not isinstance(chance, bool):
            raise TypeError(
                f"deterministic_fn of `non_deterministic` decorator is required to return a boolean value, but "
                f"{type(chance)} is found"
            )
        if _determinism and chance:
            self._refuse(self.cls, " with the inputs")
        return self.cls(*args, **kwargs)

    @staticmethod
    def _refuse(cls: Any, when: str) -> None:
        raise TypeError(
            f"{cls.__name__} is non-deterministic{when}, but you set 'guaranteed_datapipes_determinism'. You can turn "
            "off determinism for this DataPipe if that is acceptable for your application"
        )


def _pipe_class(hint: Any) -> Any:
    # IterDataPipe[int] is an alias of the class.
    origin = getattr(hint, "__origin__", hint)
    return origin if isinstance(origin, type) and issubclass(origin, (IterDataPipe, MapDataPipe)) else None


def argument_validation(f: Callable[..., Any]) -> Callable[..., Any]:
    """Check that the arguments that are annotated as pipes are pipes."""
    signature = inspect.signature(f)

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        import typing

        hints = typing.get_type_hints(f)
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            wanted = _pipe_class(hints.get(name))
            if wanted is not None and not isinstance(value, wanted):
                raise TypeError(
                    f"Expected argument '{name}' as a {wanted.__name__}, but found {type(value)}"
                )
        return f(*args, **kwargs)

    return wrapper


_validating = True


class runtime_validation_disabled:  # noqa: N801
    """Context in which ``runtime_validation`` does not look at what pipes give."""

    prev: bool

    def __init__(self) -> None:
        global _validating
        self.prev = _validating
        _validating = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        global _validating
        _validating = self.prev


def _item_type(cls: type) -> Any:
    for base in getattr(cls, "__orig_bases__", ()):
        arguments = getattr(base, "__args__", ())
        if _pipe_class(base) is not None and len(arguments) == 1 and isinstance(arguments[0], type):
            return arguments[0]
    return object


def runtime_validation(f: Callable[..., Any]) -> Callable[..., Any]:
    """Check that what a pipe's ``__iter__`` gives has the class that the pipe was declared with.

    Raises:
        TypeError: the decorated function is not an ``__iter__``.
        RuntimeError: while iterating, for an item of another class.
    """
    if getattr(f, "__name__", "") != "__iter__":
        raise TypeError(f"Can not decorate function {f.__name__} with 'runtime_validation'")

    @functools.wraps(f)
    def wrapper(self: Any) -> Any:
        wanted = _item_type(type(self))
        for item in f(self):
            if _validating and not isinstance(item, wanted):
                raise RuntimeError(
                    f"Expected an instance as subtype of {wanted}, but found an instance of {item}({type(item)})"
                )
            yield item

    return wrapper
