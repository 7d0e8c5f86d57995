"""Schemas of operations, and which overload a call means.

PyTorch's tensor operations are those of ``torch.ops.aten`` (``torch/_aten_schemas.txt``); what TorchScript has besides,
for numbers, text, lists and dictionaries, is in ``_schemas.txt``, recorded by ``tools/record_script_schemas.py``.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import torch._schema as aten_schemas

from ._types import (
    ANY,
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    GENERATOR,
    INT,
    NONE,
    NUMBER,
    STR,
    STREAM,
    TENSOR,
    AnyClassType,
    AnyEnumType,
    DictType,
    FutureType,
    ListType,
    OptionalType,
    RRefType,
    ScriptClassType,
    StorageType,
    TensorType,
    TupleType,
    Type,
    TypeVar,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_DEFAULT: Any = type("no_default", (), {"__repr__": lambda self: "no default"})()

# Types that TorchScript's programs hold as whole numbers.
ENUMERATED = {"ScalarType", "Layout", "MemoryFormat", "QScheme"}
_NAMED = {
    "Tensor": TENSOR, "int": INT, "float": FLOAT, "bool": BOOL, "complex": COMPLEX, "str": STR, "Scalar": NUMBER,
    "number": NUMBER, "Device": DEVICE, "Any": ANY, "NoneType": NONE, "Generator": GENERATOR, "Stream": STREAM,
    "AnyEnumType": AnyEnumType.get(), "Storage": StorageType.get(), "SymInt": INT, "SymBool": BOOL,
    "AnyClassType": AnyClassType.get(), "DispatchKeySet": INT, "DeviceIndex": INT, "Dimname": STR,
    **dict.fromkeys(ENUMERATED, INT),
}  # fmt: skip


class Argument:
    """A parameter of a schema. ``size`` is N of ``int[N]``; ``enumerated`` names the Python type of a number."""

    __slots__ = ("name", "type", "default", "kwarg_only", "size", "enumerated", "is_out", "alias")

    def __init__(self, name: str, type: Type, default: Any = NO_DEFAULT, kwarg_only: bool = False) -> None:
        self.name, self.type, self.default, self.kwarg_only = name, type, default, kwarg_only
        self.size: int | None = None
        self.enumerated, self.alias, self.is_out = "", "", False

    @property
    def has_default(self) -> bool:
        return self.default is not NO_DEFAULT

    def has_default_value(self) -> bool:
        return self.has_default

    @property
    def default_value(self) -> Any:
        return self.default if self.has_default else None

    def __str__(self) -> str:
        text = f"{self.type} {self.name}"
        if self.has_default:
            from ._ir import text_of_constant

            text += "=" + _default_text(self.default, self.type, text_of_constant)
        return text


def _default_text(value: Any, type: Type, text_of_constant: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    return str(text_of_constant(value, type))


class Schema:
    """The parameters and the result of an operation or a function."""

    __slots__ = ("name", "overload", "arguments", "results", "variadic", "text", "positional")

    def __init__(
        self, name: str, arguments: list[Argument], results: list[Type], overload: str = "", variadic: bool = False
    ) -> None:
        self.name, self.overload, self.arguments, self.results = name, overload, arguments, results
        self.variadic = variadic
        self.text = ""

    @property
    def returns(self) -> Type:
        return self.results[0] if len(self.results) == 1 else TupleType(self.results)

    def __str__(self) -> str:
        if self.text:
            return self.text
        parts, starred = [], False
        for a in self.arguments:
            if a.kwarg_only and not starred:
                starred = True
                parts.append("*")
            parts.append(str(a))
        if self.variadic:
            parts.append("...")
        returned = str(self.results[0]) if len(self.results) == 1 else f"({', '.join(map(str, self.results))})"
        name = self.name + (f".{self.overload}" if self.overload else "")
        return f"{name}({', '.join(parts)}) -> {returned if not returned.startswith('(') else f'({returned})'}"

    __repr__ = __str__


# ---- reading

_ALIAS = re.compile(r"\((?:[a-z0-9]+(?:\|[a-z0-9]+)*|\*)?!?(?: -> [*a-z|]+)?\)")


def _type(text: str) -> tuple[Type, int | None, str]:
    """The type that a schema writes, N of ``int[N]``, and the name of an enumerated type."""
    text = text.strip()
    size, enumerated = None, ""
    if text.endswith("?"):
        inner, size, enumerated = _type(text[:-1])
        return (inner if inner is ANY else OptionalType(inner)), size, enumerated
    found = re.search(r"\[(\d*)\]$", text)
    if found:
        inner, _, enumerated = _type(text[: found.start()])
        return ListType(inner), int(found[1]) if found[1] else None, enumerated
    if text.startswith("(") and text.endswith(")"):
        return TupleType(_type(part)[0] for part in aten_schemas._split(text[1:-1])), None, ""
    for head, make in (("Dict(", DictType), ("Future(", FutureType), ("RRef(", RRefType)):
        if text.startswith(head):
            return make(*(_type(part)[0] for part in aten_schemas._split(text[len(head) : -1]))), None, ""
    if text in _NAMED:
        return _NAMED[text], None, text if text in ENUMERATED else ""
    if text.startswith("__torch__."):
        return ScriptClassType(text), None, ""
    if re.fullmatch(r"t\w*|[A-Z]", text) or text in ("T", "U"):
        return TypeVar(text), None, ""
    raise ValueError(f"unknown type in a schema: {text}")


def _default(text: str, type: Type) -> Any:
    if text == "None":
        return None
    if text in ("True", "False"):
        return text == "True"
    if text[:1] in "\"'":
        return text[1:-1]
    if text.startswith("["):
        inner = text[1:-1].strip()
        return [_default(part.strip(), type) for part in inner.split(",")] if inner else []
    names = {"Mean": 1, "contiguous_format": 0, "long": 4, "strided": 0, "cpu": "cpu"}
    if text in names:
        return names[text]
    return float(text) if re.search(r"[.einf]", text) else int(text)


def _plain(text: str) -> str:
    """A schema's type without its notes on aliasing."""
    out = text
    # "Tensor(a!)" has a note, "Dict(str, t)" and "(int, int)" have none.
    for found in reversed(list(_ALIAS.finditer(text))):
        before = text[: found.start()]
        word = re.search(r"(\w+|\]|\)|\?)$", before)
        if word and word[0] not in ("Dict", "Future", "RRef", "Union"):
            out = out[: found.start()] + out[found.end() :]
    return out


def parse(text: str) -> Schema:
    """Read a schema, ``aten::add.Tensor(Tensor self, ...) -> Tensor``."""
    head = text[: text.index("(")]
    arrow = text.rindex(") ->")
    name, _, overload = head.partition(".")
    arguments: list[Argument] = []
    kwarg_only = variadic = False
    for part in aten_schemas._split(text[len(head) + 1 : arrow]):
        part = part.strip()
        if part == "*":
            kwarg_only = True
        elif part == "...":
            variadic = True
        elif part:
            left, equals, default = part.partition("=")
            alias = _ALIAS.search(left)
            kind, _, label = _plain(left).rpartition(" ")
            type, size, enumerated = _type(kind)
            argument = Argument(label, type, _default(default, type) if equals else NO_DEFAULT, kwarg_only)
            if argument.has_default and type is FLOAT and isinstance(argument.default, int):
                argument.default = float(argument.default)
            if size is not None and isinstance(argument.default, int) and not isinstance(argument.default, bool):
                argument.default = [argument.default] * size
            argument.size, argument.enumerated = size, enumerated
            argument.alias = alias[0] if alias and "!" in alias[0] else ""
            argument.is_out = kwarg_only and bool(argument.alias)
            arguments.append(argument)
    returned = _plain(text[arrow + 4 :].strip())
    if returned == "...":
        results: list[Type] = []
        variadic = True
    elif returned.startswith("(") and returned.endswith(")"):
        results = [_type(_unnamed(part))[0] for part in aten_schemas._split(returned[1:-1]) if part.strip()]
    else:
        results = [_type(_unnamed(returned))[0]]
    schema = Schema(name, arguments, results, overload, variadic)
    schema.text = text
    return schema


def _unnamed(text: str) -> str:
    """A result's type without its name."""
    text = text.strip()
    found = re.fullmatch(r"(.*[\w\])?]) ([A-Za-z_]\w*)", text)
    return found[1] if found and not found[1].endswith(",") and text.count("(") == text.count(")") else text


@functools.lru_cache(None)
def _own() -> dict[str, list[str]]:
    """Name to the schemas that are not tensor operations of ``torch.ops.aten``, or to names of those, in order."""
    table: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("_schemas.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            name, *order = line[2:].split()
            table.setdefault(name, []).extend("=" + overload for overload in order)
        elif line:
            table.setdefault(line[: line.index("(")].partition(".")[0], []).append(line)
    return table


@functools.lru_cache(None)
def overloads(name: str) -> tuple[Schema, ...]:
    """The schemas of an operation, ``aten::add``, in the order in which a call is tried on them."""
    texts: list[str] = []
    space, _, short = name.partition("::")
    own = _own().get(name, [])
    native = aten_schemas.overloads(short) if space == "aten" else {}
    named = [t[1:] for t in own if t.startswith("=")]
    rest = [o for o in native if o not in named]
    for overload in [*named, *rest]:
        if overload in native:
            texts.append(f"aten::{native[overload][0]}")
    texts += [t for t in own if not t.startswith("=")]
    if not texts and space not in ("aten", "prim"):
        texts = _registered(space, short)
    return tuple(parse(t) for t in texts)


def _registered(space: str, short: str) -> list[str]:
    """Schemas of an operation that ``torch.library`` knows."""
    import torch

    try:
        packet = getattr(getattr(torch.ops, space), short)
        return [str(getattr(packet, o)._schema) for o in packet.overloads()]
    except AttributeError:
        return []


def find(name: str, overload: str) -> Schema | None:
    """One overload of an operation."""
    return next((s for s in overloads(name) if s.overload == overload), None)


def names() -> list[str]:
    """All operations of ``aten`` and ``prim``."""
    return sorted({f"aten::{n}" for n in aten_schemas._table()} | set(_own()))


def is_tensor(type: Type) -> bool:
    return isinstance(type, TensorType)
