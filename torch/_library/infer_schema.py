"""The schema string of a Python function, from its annotations."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_PLAIN: dict[Any, str] = {
    torch.Tensor: "Tensor", int: "SymInt", float: "float", bool: "bool", str: "str", torch.dtype: "ScalarType",
    torch.device: "Device",
}  # fmt: skip
_LISTED = (torch.Tensor, int, float, bool)
_NUMBERS = {int, float, bool}


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (list, collections.abc.Sequence)


def parameter_type(annotation: Any) -> str | None:
    """The schema type of a parameter with this annotation; None if there is none."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    parts = typing.get_args(annotation)
    if _is_union(annotation):
        rest = [p for p in parts if p is not type(None)]
        if set(rest) == _NUMBERS:
            kind: str | None = "Scalar"
        else:
            kind = parameter_type(rest[0]) if len(rest) == 1 else None
        return None if kind is None else kind + ("?" if len(rest) < len(parts) else "")
    if _is_list(annotation) and len(parts) == 1:
        item = parts[0]
        if item in _LISTED:
            return f"{_PLAIN[item]}[]"
        if _is_union(item):
            kind = parameter_type(item)
            return f"{kind}[]" if kind in ("Tensor?", "Scalar") else None
    return None


def _return_type(annotation: Any) -> str | None:
    if annotation in (torch.Tensor, int, float, bool):
        return _PLAIN[annotation]
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is list and parts == (torch.Tensor,):
        return "Tensor[]"
    return "Scalar" if _is_union(annotation) and set(parts) == _NUMBERS else None


def _default_text(value: Any) -> str | None:
    if value is None or isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, torch.device):
        return f'"{value}"'
    return None


def infer_schema(
    prototype_function: Callable[..., Any],
    /,
    *,
    mutates_args: str | Iterable[str],
    op_name: str | None = None,
    tags: Any = (),
) -> str:
    """The schema string of a function, from its annotations.

    ``mutates_args`` names the arguments that the function writes to, or is "unknown": then all that hold tensors count.
    ValueError for a parameter or result whose type a schema cannot have, and for an argument that is not there.

    >>> def scale(x: torch.Tensor, by: float = 2.0) -> torch.Tensor: ...
    >>> torch.library.infer_schema(scale, mutates_args=())
    '(Tensor x, float by=2.0) -> Tensor'
    """
    signature = inspect.signature(prototype_function)
    try:
        hints = typing.get_type_hints(prototype_function)
    except NameError as error:
        raise ValueError(f"infer_schema(func): an annotation names something unknown: {error}") from error
    shown = signature.replace(
        parameters=[p.replace(annotation=hints.get(p.name, p.annotation)) for p in signature.parameters.values()],
        return_annotation=hints.get("return", signature.return_annotation),
    )

    def refuse(text: str) -> ValueError:
        return ValueError(f"infer_schema(func): {text} Got func with signature {shown})")

    if isinstance(mutates_args, str):
        if mutates_args != "unknown":
            raise ValueError(
                "mutates_args must either be a sequence of the names of the arguments that are mutated or the string "
                "'unknown'. "
            )
        written = None
    else:
        written = set(mutates_args)
        unknown = written - set(signature.parameters)
        if unknown:
            raise refuse(
                f"{unknown} in mutates_args were not found in the custom op's signature. mutates_args should "
                "contain the "
                "names of all args that the custom op mutates, or just the string 'unknown' if you don't know."
            )
    parts, starred = [], False
    for number, (name, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise refuse("We do not support positional-only args, varargs, or varkwargs.")
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        if name not in hints:
            raise refuse(f"Parameter {name} must have a type annotation.")
        annotation = hints[name]
        kind = parameter_type(annotation)
        if kind is None:
            hint = ""
            if typing.get_origin(annotation) is tuple:
                hint = "We do not support Tuple inputs in schema. As a workaround, please try to use List instead. "
                items = ", ".join(str(getattr(p, "__name__", p)) for p in typing.get_args(annotation)[:1])
                hint += f"For example, list[{items}].\n\n"
            valid = [
                *_PLAIN,
                *(list[k] for k in _LISTED),
                *(typing.Optional[k] for k in _PLAIN),
                typing.Union[int, float, bool],
            ]  # noqa: UP007, UP045
            raise refuse(f"Parameter {name} has unsupported type {annotation}. {hint}The valid types are: {valid}.")
        if written is None or name in written:
            if not kind.startswith("Tensor"):
                if written is not None:
                    raise refuse(
                        f"Parameter {name} is in mutable_args but only Tensors or collections of Tensors can be mutated"
                    )
            else:
                kind = f"Tensor(a{number}!){kind.removeprefix('Tensor')}"
        if parameter.default is parameter.empty:
            parts.append(f"{kind} {name}")
            continue
        default = _default_text(parameter.default)
        if default is None:
            raise refuse(
                f"Parameter {name} has an unsupported default value type {type(parameter.default)}. Please "
                "file an issue "
                "on GitHub so we can prioritize this."
            )
        parts.append(f"{kind} {name}={default}")
    if "return" not in hints:
        raise refuse("No return type annotation was provided. Please add one.")
    return f"{op_name or ''}({', '.join(parts)}) -> {_returns(hints['return'], refuse)}"


def _returns(annotation: Any, refuse: Callable[[str], ValueError]) -> str:
    if annotation is None or annotation is type(None):
        return "()"
    single = _return_type(annotation)
    if single is not None:
        return single
    if typing.get_origin(annotation) is tuple:
        kinds = [_return_type(part) for part in typing.get_args(annotation)]
        if None not in kinds:
            return f"({', '.join(map(str, kinds))})"
    raise refuse(
        f"Return has unsupported type {annotation}. The valid types are: Tensor, list[Tensor], int, float, bool, "
        "int | float | bool, and tuples of them."
    )
