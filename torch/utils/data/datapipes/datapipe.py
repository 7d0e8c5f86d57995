"""The bases of pipelines."""

from __future__ import annotations

import functools
import inspect
from types import GenericAlias

from torch.utils.data.dataset import Dataset, IterableDataset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe"]

_FEEDBACK = (
    "For feedback regarding this single iterator per IterDataPipe constraint, feel free to comment on this issue: "
    "https://github.com/pytorch/data/issues/45."
)


def describe(pipe: Any) -> str:
    """The class of a pipe and those arguments of its constructor that it keeps under their names."""

    def text(value: Any) -> str:
        return str(getattr(value, "__name__", None) or repr(value))

    kept = sorted(name for name in inspect.signature(type(pipe).__init__).parameters if name in vars(pipe))
    return f"{type(pipe).__name__}({', '.join(f'{name}={text(vars(pipe)[name])}' for name in kept)})"


class _Registry:
    """What both kinds of pipes share: functional forms, hooks for pickling and printing."""

    functions: dict[str, Callable[..., Any]]
    getstate_hook: Callable[[Any], Any] | None = None
    reduce_ex_hook: Callable[[Any], Any] | None = None
    str_hook: Callable[[Any], str] | None = None
    repr_hook: Callable[[Any], str] | None = None

    def __class_getitem__(cls, item: Any) -> Any:
        return GenericAlias(cls, item)

    def __getattr__(self, name: str) -> Any:
        function = type(self).functions.get(name)
        if function is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}")
        return functools.wraps(function)(functools.partial(function, self))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *type(self).functions]

    @classmethod
    def register_function(cls, function_name: str, function: Callable[..., Any]) -> None:
        """Make ``pipe.function_name(...)`` mean ``function(pipe, ...)``."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(
        cls, function_name: str, cls_to_register: Any, enable_df_api_tracing: bool = False
    ) -> None:
        """Make ``pipe.function_name(...)`` mean ``cls_to_register(pipe, ...)``."""
        if function_name in cls.functions:
            raise Exception(f"Unable to add DataPipe function name {function_name} as it is already taken")  # noqa: TRY002

        def make(source: Any, *args: Any, **kwargs: Any) -> Any:
            return cls_to_register(source, *args, **kwargs)

        make.__name__ = function_name
        make.__doc__ = cls_to_register.__doc__
        cls.functions[function_name] = make

    @classmethod
    def set_getstate_hook(cls, hook_fn: Any) -> None:
        if cls.getstate_hook is not None and hook_fn is not None:
            raise RuntimeError("Attempt to override existing getstate_hook")
        cls.getstate_hook = hook_fn

    @classmethod
    def set_reduce_ex_hook(cls, hook_fn: Any) -> None:
        if cls.reduce_ex_hook is not None and hook_fn is not None:
            raise RuntimeError("Attempt to override existing reduce_ex_hook")
        cls.reduce_ex_hook = hook_fn

    def __getstate__(self) -> Any:
        hook = type(self).getstate_hook
        return self.__dict__ if hook is None else hook(self.__dict__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        hook = type(self).reduce_ex_hook
        if hook is not None:
            try:
                return hook(self)
            except NotImplementedError:
                pass
        return super().__reduce_ex__(protocol)

    def __str__(self) -> str:
        hook = type(self).str_hook
        return type(self).__name__ if hook is None else hook(self)

    def __repr__(self) -> str:
        hook = type(self).repr_hook
        return type(self).__name__ if hook is None else hook(self)


class IterDataPipe(_Registry, IterableDataset):
    """A stream that is made of other streams. Subclasses define ``__iter__``.

    Of the iterators of one pipe only the newest is valid: pipes have state, such as buffers, that two passes at once
    would mix up. ``fork`` gives several streams of one. ``reset`` is called when a pass begins.
    """

    functions = {}
    _valid_iterator_id: int | None = None
    _number_of_samples_yielded = 0
    _signs_errors = True  # whether an error that passes through says so

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("__iter__")
        if own is not None:
            cls.__iter__ = _with_one_iterator(own)  # type: ignore[method-assign]

    def __iter__(self) -> Iterator[Any]:
        return self  # type: ignore[return-value]

    def reset(self) -> None:
        """Forget what an unfinished pass left behind."""

    def _begin_pass(self) -> int:
        self._valid_iterator_id = (self._valid_iterator_id or 0) + 1
        self._number_of_samples_yielded = 0
        self.reset()
        return self._valid_iterator_id

    def _check_pass(self, number: int) -> None:
        if self._valid_iterator_id != number:
            raise RuntimeError(
                "This iterator has been invalidated because another iterator has been created from the same "
                f"IterDataPipe: {describe(self)}\nThis may be caused by multiple references to the same IterDataPipe. "
                f"We recommend using `.fork()` if that is necessary.\n{_FEEDBACK}"
            )


def _with_one_iterator(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a pipe's ``__iter__`` invalidate the iterators before it and name the pipe in its errors."""

    def guarded(pipe: Any, make: Callable[[], Any]) -> Iterator[Any]:
        number = pipe._begin_pass()
        source = make()
        try:
            while True:
                try:
                    item = next(source)
                except StopIteration:
                    return
                pipe._number_of_samples_yielded += 1
                yield item
                pipe._check_pass(number)
        except Exception as error:
            first = error.args[0] if error.args else ""
            signed = not pipe._signs_errors or not isinstance(first, str) or "thrown by __iter__" in first
            if not signed and "has been invalidated" not in first:
                note = f"\nThis exception is thrown by __iter__ of {describe(pipe)}"
                error.args = (first + note, *error.args[1:])
            raise
        finally:
            if hasattr(source, "close"):
                source.close()

    @functools.wraps(function)
    def iterate(self: Any) -> Any:
        if inspect.isgeneratorfunction(function):
            return guarded(self, lambda: function(self))
        source = function(self)
        if source is self:
            # It has a __next__ of its own.
            return self
        return guarded(self, lambda: iter(source))

    return iterate


class DFIterDataPipe(IterDataPipe):
    """A stream of data frames."""


class MapDataPipe(_Registry, Dataset):
    """A dataset with indices that is made of others. Subclasses define ``__getitem__`` and ``__len__``."""

    functions = {}


class DataChunk(list):  # type: ignore[type-arg]
    """A batch: a list that knows its items."""

    def __class_getitem__(cls, item: Any) -> Any:
        return GenericAlias(cls, item)

    def __init__(self, items: Any) -> None:
        items = list(items)
        super().__init__(items)
        self.items = items

    def as_str(self, indent: str = "") -> str:
        return indent + "[" + ", ".join(str(item) for item in iter(self)) + "]"

    def raw_iterator(self) -> Iterator[Any]:
        """The items as they were put in."""
        yield from self.items
