"""Overriding operations: the Python side of the ``__torch_function__`` protocol.

The native core asks overriding arguments and modes by itself. Functions written in Python do it with
``has_torch_function`` and ``handle_torch_function``.
"""

from __future__ import annotations

import functools

import torch
from torch._C import (
    _get_function_stack_at,
    _has_torch_function,
    _has_torch_function_unary,
    _has_torch_function_variadic,
    _is_torch_function_mode_enabled,
    _len_torch_function_stack,
    _overloaded_args,
    _pop_torch_function_stack,
    _push_on_torch_function_stack,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = [
    "enable_reentrant_dispatch",
    "get_ignored_functions",
    "get_overridable_functions",
    "get_testing_overrides",
    "handle_torch_function",
    "has_torch_function",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "redispatch_function",
    "resolve_name",
    "wrap_torch_function",
]

has_torch_function = _has_torch_function
has_torch_function_unary = _has_torch_function_unary
has_torch_function_variadic = _has_torch_function_variadic


def _get_overloaded_args(relevant_args: Iterable[Any], get_type_fn: Callable[[Any], type] = type) -> list[Any]:
    """The overriding arguments, one per class, in the order in which they are asked."""
    if get_type_fn is type:
        overloaded: list[Any] = _overloaded_args(tuple(relevant_args))
        return overloaded
    found: dict[type, Any] = {}
    for arg in relevant_args:
        kind = get_type_fn(arg)
        if kind in found or not hasattr(kind, "__torch_function__"):
            continue
        if kind.__torch_function__ is torch._C._disabled_torch_function_impl:
            continue
        order = list(found.items())
        position = next((i for i, (other, _) in enumerate(order) if issubclass(kind, other)), len(order))
        order.insert(position, (kind, arg))
        found = dict(order)
    return list(found.values())


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Let the active mode, then each overriding argument, answer the call of ``public_api``."""
    overloaded = _get_overloaded_args(relevant_args)
    types = tuple(map(type, overloaded))
    mode = None
    if _is_torch_function_mode_enabled():
        with _pop_mode_temporarily() as mode:
            result = mode.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    for arg in overloaded:
        result = arg.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    message = f"no implementation found for '{name}' on types that implement __torch_function__: {list(types)}"
    if mode is not None:
        message += f" nor in mode {mode}"
    raise TypeError(message)


def redispatch_function(func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """Call ``func`` from a ``__torch_function__``, without its asking subclasses again."""
    with torch._C.DisableTorchFunctionSubclass():
        return func(*args, **(kwargs or {}))


def wrap_torch_function(dispatcher: Callable[..., Iterable[Any]]) -> Callable[..., Any]:
    """Make a function overridable. ``dispatcher`` takes its arguments and returns those that may override it."""

    def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(wrapper, relevant, *args, **kwargs)
            return func(*args, **kwargs)

        return wrapper

    return decorate


def is_tensor_like(inp: Any) -> bool:
    """Whether the object is a tensor, or behaves like one through ``__torch_function__``."""
    return type(inp) is torch.Tensor or hasattr(inp, "__torch_function__")


# ---- modes


class TorchFunctionMode:
    """Inside ``with mode:`` every call of an operation goes to ``mode.__torch_function__`` first.

    While the handler runs the mode is not active, so the handler can call the operation itself.
    """

    inner: TorchFunctionMode

    def __init__(self) -> None:
        pass

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        _push_on_torch_function_stack(self)
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _pop_torch_function_stack()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Any:
        import warnings

        warnings.warn(
            "`Mode.push()` is no longer necessary and can be replaced with just `with Mode()`",
            FutureWarning,
            stacklevel=2,
        )
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """Changes nothing: a base for modes that only look at some calls."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def _get_current_function_mode() -> Any:
    depth = _len_torch_function_stack()
    return _get_function_stack_at(depth - 1) if depth else None


def _get_current_function_mode_stack() -> list[Any]:
    return [_get_function_stack_at(i) for i in range(_len_torch_function_stack())]


def _push_mode(mode: Any) -> None:
    _push_on_torch_function_stack(mode)


def _pop_mode() -> Any:
    return _pop_torch_function_stack()


class _pop_mode_temporarily:  # noqa: N801
    def __enter__(self) -> Any:
        self._mode = _pop_mode()
        return self._mode

    def __exit__(self, *exc: Any) -> None:
        _push_mode(self._mode)


class enable_reentrant_dispatch:  # noqa: N801
    """Inside the block a ``__torch_dispatch__`` may call operations that dispatch again: here they always may."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        pass


# ---- which functions there are


@functools.lru_cache(None)
def get_default_nowrap_functions() -> frozenset[Any]:
    """Functions whose results keep their class in the default ``Tensor.__torch_function__``."""
    tensor = torch.Tensor
    return frozenset({tensor._base.__get__, tensor.grad.__get__, tensor._grad.__get__})  # type: ignore[attr-defined]


# Public functions that cannot take a tensor-like argument, or deal with the state of the library.
_IGNORED_PREFIXES = (
    "_", "are_", "cudnn_", "from_", "get_", "is_", "manual_", "set_", "use_", "init_", "autocast_", "clear_", "can_",
)  # fmt: skip
_IGNORED_NAMES = frozenset(
    """
    arange as_tensor asarray bartlett_window blackman_window broadcast_shapes compile compiled_with_cxx11_abi
    empty empty_permuted empty_strided enable_grad export eye fork frombuffer full hamming_window hann_window
    inference_mode initial_seed kaiser_window linspace load logspace no_grad normal obj ones parse_schema
    parse_type_comment promote_types rand randint randn randperm range result_type save scalar_tensor seed
    sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor sparse_csc_tensor
    sparse_csr_tensor tensor tril_indices triu_indices typename unify_type_list vander_indices vmap wait zeros
    """.split()
)
_IGNORED_TENSOR_METHODS = frozenset(
    """
    __class__ __class_getitem__ __delattr__ __dir__ __doc__ __getattribute__ __init__ __init_subclass__ __new__
    __setattr__ __subclasshook__ __torch_dispatch__ __torch_function__ _make_subclass _make_wrapper_subclass
    __reduce__ __getstate__ __sizeof__ __str__ __eq_raw__ __weakref__ __dict__ __module__ as_subclass new
    new_tensor
    """.split()
)


def _namespaces() -> list[tuple[str, Any]]:
    return [
        ("torch", torch),
        ("torch.nn.functional", torch.nn.functional),
        ("torch.linalg", torch.linalg),
        ("torch.fft", torch.fft),
        ("torch.special", torch.special),
    ]


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _is_overridable_name(space: str, name: str) -> bool:
    if name in _IGNORED_NAMES:
        return False
    return not name.startswith("_" if space != "torch" else _IGNORED_PREFIXES)


def _tensor_attributes() -> Iterator[tuple[str, Any, bool]]:
    """(name, function, is a property) of everything that can be overridden on a tensor."""
    for name in dir(torch.Tensor):
        if name in _IGNORED_TENSOR_METHODS:
            continue
        value = getattr(torch.Tensor, name)
        if hasattr(value, "__get__") and not callable(value):
            yield name, value.__get__, True
        elif _is_function(value):
            yield name, value, False


@functools.lru_cache(None)
def _functions() -> dict[str, Any]:
    """Every overridable function by its full name."""
    found = {}
    for space, module in _namespaces():
        names = getattr(module, "__all__", None) or dir(module)
        for name in names:
            value = getattr(module, name, None)
            if _is_function(value) and _is_overridable_name(space, name):
                found[f"{space}.{name}"] = value
    for name, value, is_property in _tensor_attributes():
        found[f"torch.Tensor.{name}" + (".__get__" if is_property else "")] = value
    return found


@functools.lru_cache(None)
def get_ignored_functions() -> set[Any]:
    """Public functions that cannot be overridden."""
    ignored = {torch.Tensor.__new__, torch.Tensor.__init__}
    for space, module in _namespaces():
        for name in getattr(module, "__all__", None) or dir(module):
            value = getattr(module, name, None)
            if _is_function(value) and not name.startswith("_") and not _is_overridable_name(space, name):
                ignored.add(value)
    for name in _IGNORED_TENSOR_METHODS:
        value = getattr(torch.Tensor, name, None)
        if _is_function(value):
            ignored.add(value)
    return ignored


@functools.lru_cache(None)
def get_overridable_functions() -> dict[Any, list[Any]]:
    """Overridable functions by the namespace that holds them; a property's getter stands under the property."""
    result: dict[Any, list[Any]] = {}
    for space, module in _namespaces():
        result[module] = [f for name, f in _functions().items() if name.rpartition(".")[0] == space]
    methods = result[torch.Tensor] = []
    for name, value, is_property in _tensor_attributes():
        if is_property:
            result[getattr(torch.Tensor, name)] = [value]
        else:
            methods.append(value)
    return result


@functools.lru_cache(None)
def _names() -> dict[Any, str]:
    names: dict[Any, str] = {}
    for name, value in _functions().items():
        names.setdefault(value, name)
    return names


def resolve_name(f: Any) -> str | None:
    """The full name of an overridable function, or ``None``."""
    if isinstance(f, (str, bytes)):
        return str(f)
    return _names().get(f)


@functools.lru_cache(None)
def _tensor_functions() -> set[Any]:
    return {value for _, value, _ in _tensor_attributes()}


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether the function a handler was called with is a method, or a property's getter or setter, of ``Tensor``."""
    return func in _tensor_functions() or getattr(func, "__name__", "") in ("__get__", "__set__")


def _parameters(func: Any) -> str:
    """The parameter list of a function, as source text without the values of its defaults."""
    schemas = getattr(func, "_schemas", None)
    if schemas:
        inside = schemas[0][schemas[0].index("(") + 1 : schemas[0].rindex(") ->")]
        parts, depth, start = [], 0, 0
        for i, char in enumerate(inside + ","):
            depth += (char in "([") - (char in ")]")
            if char == "," and depth == 0:
                parts.append(inside[start:i].strip())
                start = i + 1
        texts = []
        for part in filter(None, parts):
            if part == "*":
                continue
            before, equals, _ = part.partition("=")
            name = before.rpartition(" ")[2]
            # A keyword-only parameter without a default may follow one that has a default.
            texts.append(f"{name}=None" if equals or any("=" in text for text in texts) else name)
        if "out=None" not in texts and not schemas[0].split("(")[0].endswith("_"):
            texts.append("out=None")
        return ", ".join(texts)
    import inspect

    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError):
        return "*args, **kwargs"
    texts = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            texts.append(f"*{parameter.name}")
        elif parameter.kind is parameter.VAR_KEYWORD:
            texts.append(f"**{parameter.name}")
        elif parameter.default is parameter.empty and not any("=" in text for text in texts):
            texts.append(parameter.name)
        else:
            texts.append(f"{parameter.name}=None")
    return ", ".join(texts)


@functools.lru_cache(None)
def get_testing_overrides() -> dict[Any, Any]:
    """For each overridable function a dummy with the same parameters that returns -1."""
    import keyword

    overrides = {}
    for name, func in _functions().items():
        text = "self, instance=None, owner=None" if name.endswith(".__get__") else _parameters(func)
        if any(keyword.iskeyword(word.strip(" *").partition("=")[0]) for word in text.split(",")):
            text = "*args, **kwargs"
        overrides[func] = eval(f"lambda {text}: -1")  # noqa: S307 - the text is made of parameter names alone
    return overrides
