"""Signatures of operations, and arguments brought into their order."""

from __future__ import annotations

import inspect
import numbers
import types
import typing
from typing import NamedTuple

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "ArgsKwargsPair",
    "check_for_mutable_operation",
    "create_type_hint",
    "get_signature_for_torch_op",
    "normalize_function",
    "normalize_module",
    "type_matches",
]


class ArgsKwargsPair(NamedTuple):
    """Arguments of a call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


_TYPES: dict[str, Any] = {
    "Tensor": torch.Tensor, "Scalar": numbers.Number, "int": int, "SymInt": int, "float": float, "bool": bool,
    "str": str, "ScalarType": torch.dtype, "Device": torch.device, "Layout": torch.layout,
    "MemoryFormat": torch.memory_format, "Generator": torch.Generator, "complex": complex, "SymBool": bool,
    "SymFloat": float, "Dimname": str, "Storage": torch.UntypedStorage,
}  # fmt: skip


def _python_type(text: str) -> Any:
    """The Python type that a type of a schema stands for."""
    if text.endswith("?"):
        return typing.Optional[_python_type(text[:-1])]
    if text.endswith("]"):
        return list[_python_type(text[: text.rindex("[")])]  # type: ignore[misc]
    return _TYPES.get(text.partition("(")[0], typing.Any)


def _signature_of_schema(schema: Any) -> inspect.Signature:
    parameters = []
    for argument in schema.arguments:
        name = "input" if argument.name == "self" else argument.name
        kind = inspect.Parameter.KEYWORD_ONLY if argument.kwarg_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
        default = argument.default_value if argument.has_default_value() else inspect.Parameter.empty
        parameters.append(
            inspect.Parameter(name, kind, default=default, annotation=_python_type(argument.type.annotation_str))
        )
    results = [_python_type(r.type.annotation_str) for r in schema.returns]
    answer: Any = None if not results else results[0] if len(results) == 1 else tuple(results)
    return inspect.Signature(parameters, return_annotation=answer)


def _aten_name(op: Any) -> str | None:
    """The name under which ``torch.ops.aten`` has a function of ``torch``."""
    from . import _calls

    try:
        path = _calls.qualified_name(op)
    except (AttributeError, RuntimeError):
        return None
    head, _, name = path.rpartition(".")
    if head not in ("torch", "torch._C._nn", "torch._C._linalg", "torch._C._fft", "torch._C._special", "torch.Tensor"):
        return None
    return name


def get_signature_for_torch_op(op: Callable[..., Any], return_schemas: bool = False) -> Any:
    """The signatures that an operation of torch has, or None for another function.

    With ``return_schemas=True``, the pair of these and the schemas.

    >>> print(torch.fx.operator_schemas.get_signature_for_torch_op(torch.relu)[0])
    (input: torch.Tensor) -> torch.Tensor
    """
    from torch import _schema

    if isinstance(op, torch._ops.OpOverload):
        schemas = [op._schema]
    else:
        name = op._opname if isinstance(op, torch._ops.OpOverloadPacket) else _aten_name(op)
        if name is None or not _schema.overloads(name):
            return (None, None) if return_schemas else None
        schemas = [s for s in (_schema.schema(name, o) for o in _schema.overloads(name)) if s is not None]
    signatures = [_signature_of_schema(s) for s in schemas]
    return (signatures, schemas) if return_schemas else signatures


def check_for_mutable_operation(target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise RuntimeError if a call of an operation writes to one of its arguments."""
    signatures, schemas = get_signature_for_torch_op(target, return_schemas=True)
    if not signatures:
        return
    fitting = []
    for signature, schema in zip(signatures, schemas, strict=True):
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            continue
        fitting.append(schema)
    mutable = [s for s in fitting if any(a.alias_info is not None and a.alias_info.is_write for a in s.arguments)]
    if mutable and len(mutable) == len(fitting):
        raise RuntimeError(
            f"Tried to trace mutable operation {mutable[0]}. FX only supports functional code, so operations that "
            "mutate operands in-place (e.g. via `out` arguments) are not supported"
        )


def create_type_hint(x: object) -> object:
    """The type that a list or tuple of types stands for: ``[int, int]`` is a list of int.

    >>> torch.fx.operator_schemas.create_type_hint([int, int])
    typing.List[int]
    """
    if not isinstance(x, (list, tuple)):
        return x
    if not x:
        return list[typing.Any] if isinstance(x, list) else tuple[typing.Any, ...]
    base = x[0]
    for part in x:
        if isinstance(part, type) and isinstance(base, type) and issubclass(base, part):
            base = part
        elif not (isinstance(part, type) and isinstance(base, type) and issubclass(part, base)):
            base = typing.Any
            break
    if isinstance(x, list):
        return typing.List[base]  # noqa: UP006  the form that programs compare with
    return typing.Tuple[base, ...]  # noqa: UP006


def type_matches(signature_type: Any, argument_type: Any) -> bool:
    """Whether an argument of one type fits a parameter of another."""
    if signature_type is argument_type or signature_type is typing.Any:
        return True
    origin = typing.get_origin(signature_type)
    if origin is typing.Union or isinstance(signature_type, types.UnionType):
        return any(type_matches(part, argument_type) for part in typing.get_args(signature_type))
    if origin is list:
        (element,) = typing.get_args(signature_type)
        if argument_type is element or (element is int and argument_type is int):
            return True
        inner = typing.get_origin(argument_type)
        if inner in (list, tuple):
            return all(type_matches(element, t) for t in typing.get_args(argument_type) if t is not ...)
        return False
    if signature_type is numbers.Number and argument_type in (int, float, bool, complex):
        return True
    if isinstance(argument_type, type) and isinstance(signature_type, type):
        return issubclass(argument_type, signature_type) or (signature_type is float and argument_type is int)
    return False


def _normalize_function_or_error(
    target: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    arg_types: Any = None,
    kwarg_types: dict[str, Any] | None = None,
    normalize_to_only_use_kwargs: bool = False,
) -> ArgsKwargsPair:
    found = normalize_function(target, args, kwargs, arg_types, kwarg_types, normalize_to_only_use_kwargs)
    if found is None:
        raise RuntimeError(f"Failed to normalize function {target}")
    return found


def normalize_function(
    target: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    arg_types: tuple[Any] | None = None,
    kwarg_types: dict[str, Any] | None = None,
    normalize_to_only_use_kwargs: bool = False,
) -> ArgsKwargsPair | None:
    """The arguments of a call of a torch function, with defaults filled in and, if asked for, all by keyword.

    None if the function has no signature that fits, or several and no ``arg_types`` that tell which.

    >>> x = torch.ones(2)
    >>> torch.fx.operator_schemas.normalize_function(
    ...     torch.nn.functional.relu, (x,), normalize_to_only_use_kwargs=True).kwargs
    {'input': tensor([1., 1.]), 'inplace': False}
    """
    from . import _calls

    kwargs = {} if kwargs is None else kwargs
    form = _calls._forms().get(_path(target))
    if form is not None:
        signature = inspect.Signature([
            *(inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in form.positional),
            *(inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=form.defaults.get(n))
              for n in form.keyword),
        ])  # fmt: skip
        return _bind(signature, args, kwargs, normalize_to_only_use_kwargs)
    signatures = get_signature_for_torch_op(target)
    if not signatures:
        if isinstance(target, types.FunctionType):
            return _bind(inspect.signature(inspect.unwrap(target)), args, kwargs, normalize_to_only_use_kwargs)
        return None
    fitting = []
    for signature in signatures:
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            continue
        fitting.append(signature)
    if len(fitting) > 1 and (arg_types is not None or kwarg_types is not None):
        fitting = [s for s in fitting if _types_fit(s, arg_types or (), kwarg_types or {})]
    if len(fitting) > 1:
        shown = "\n".join(str(s) for s in fitting)
        raise RuntimeError(
            f"Tried to normalize arguments to {target.__module__}.{target.__name__} but the schema match was "
            f"ambiguous! Please provide argument types to the normalize_arguments() call. Available schemas:\n{shown}"
        )
    return _bind(fitting[0], args, kwargs, normalize_to_only_use_kwargs) if fitting else None


def _path(target: Any) -> str:
    from . import _calls

    try:
        return _calls.qualified_name(target)
    except (AttributeError, RuntimeError):
        return ""


def _types_fit(signature: inspect.Signature, arg_types: Any, kwarg_types: dict[str, Any]) -> bool:
    bound = signature.bind(*arg_types, **kwarg_types)
    return all(type_matches(signature.parameters[name].annotation, t) for name, t in bound.arguments.items())


def normalize_module(
    root: torch.nn.Module,
    target: str,
    args: tuple[Any],
    kwargs: dict[str, Any] | None = None,
    normalize_to_only_use_kwargs: bool = False,
) -> ArgsKwargsPair | None:
    """The arguments of a call of a submodule, with defaults filled in; None for modules that are not torch's.

    Raises:
        RuntimeError: there is no module at the path.
    """
    try:
        module = root.get_submodule(target)
    except AttributeError as e:
        raise RuntimeError(f"Tried to normalize node with target {target} but root did not have that target!") from e
    if getattr(torch.nn, type(module).__name__, None) is not type(module):
        return None
    return _bind(inspect.signature(module.forward), args, kwargs or {}, normalize_to_only_use_kwargs)


def _bind(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any], only_kwargs: bool
) -> ArgsKwargsPair | None:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if any(p.kind not in kinds for p in signature.parameters.values()):
        return None
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    new_args, new_kwargs = [], {}
    for i, (name, parameter) in enumerate(signature.parameters.items()):
        by_keyword = only_kwargs or parameter.kind == inspect.Parameter.KEYWORD_ONLY or i >= len(args)
        if by_keyword:
            new_kwargs[name] = bound.arguments[name]
        else:
            new_args.append(bound.arguments[name])
    return ArgsKwargsPair(tuple(new_args), new_kwargs)
