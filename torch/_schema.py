"""Operation schemas, ``add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor``, and the recorded table of
PyTorch's own.

The table, ``_aten_schemas.txt``, was recorded by ``tools/record_schemas.py``: one overload per line, as ``schema|tag
letters|overloads that follow from it``, where those that follow are the in-place and out= forms.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Letter in the table to name in torch.Tag. "i" marks what PyTorch makes of other operations above autograd.
TAGS = {
    "c": "core",
    "p": "pointwise",
    "r": "reduction",
    "s": "nondeterministic_seeded",
    "y": "dynamic_output_shape",
    "d": "data_dependent_output",
    "v": "inplace_view",
    "w": "view_copy",
    "m": "maybe_aliasing_or_mutating",
}


class Type:
    """A parameter's type: ``str(t)`` as messages name it."""

    def __init__(self, text: str) -> None:
        self.annotation_str = text

    _NAMES = {
        "Scalar": "number", "SymInt": "int", "ScalarType": "int", "MemoryFormat": "int", "Layout": "int",
    }  # fmt: skip

    def __str__(self) -> str:
        text = self.annotation_str
        if text.endswith("?"):
            return f"Optional[{Type(text[:-1])}]"
        listed = re.fullmatch(r"(.*)\[\d*\]", text)
        if listed:
            return f"List[{Type(listed[1])}]"
        return self._NAMES.get(text, text)

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def kind(self) -> str:
        text = str(self)
        if "[" in text:
            return text.partition("[")[0] + "Type"
        return {"number": "NumberType", "str": "StringType", "Device": "DeviceObjType"}.get(
            text, text[0].upper() + text[1:] + "Type"
        )

    def getElementType(self) -> Type:
        text = self.annotation_str
        if text.endswith("?"):
            return Type(text[:-1])
        listed = re.fullmatch(r"(.*)\[\d*\]", text)
        if not listed:
            raise RuntimeError(f"{self} has no element type")
        return Type(listed[1])


class AliasInfo:
    """Which memory an argument shares with others of the same letter, and whether it is written to."""

    def __init__(self, letters: str, is_write: bool, after: str) -> None:
        self.before_set, self.after_set, self.is_write = set(letters.split("|")), set(after.split("|")), is_write


class Argument:
    """A parameter of a schema, or a result."""

    def __init__(
        self, name: str, kind: str, alias: AliasInfo | None, default: Any, has_default: bool, kwarg_only: bool
    ) -> None:
        self.name, self.alias_info, self.kwarg_only = name, alias, kwarg_only
        self.type = self.real_type = Type(kind)
        self.default_value, self._has_default = default, has_default
        size = re.search(r"\[(\d+)\]", kind)
        self.N = int(size[1]) if size else None
        self.is_out = bool(alias and alias.is_write and kwarg_only)

    @property
    def annotation_is_tensor(self) -> bool:
        return self.type.annotation_str.startswith("Tensor")

    def has_default_value(self) -> bool:
        return self._has_default

    def __repr__(self) -> str:
        return f"{self.type} {self.name}".strip()


def _default(text: str, kind: str) -> Any:
    """The value of a default's text; names that are no literals stay text."""
    if text in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[text]
    if text.startswith("["):
        inside = text[1:-1].strip()
        return [_default(item.strip(), kind) for item in inside.split(",")] if inside else []
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text.strip("\"'")


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text + ","):
        depth += (char in "([") - (char in ")]")
        if char == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [part for part in parts if part]


_TYPE = re.compile(r"(\w+)(?:\(([^)]*)\))?((?:\?|\[\d*\])*)(?:\s+(\w+))?(?:=(.*))?")


def _argument(text: str, kwarg_only: bool) -> Argument:
    found = _TYPE.fullmatch(text)
    if not found:
        raise RuntimeError(f"schema: cannot read the argument '{text}'")
    kind, alias_text, suffix, name, default = found.groups()
    alias = None
    if alias_text is not None:
        before, arrow, after = alias_text.partition("->")
        letters = before.strip().rstrip("!").strip()
        alias = AliasInfo(letters, "!" in before, after.strip() if arrow else letters)
    kind += suffix
    value = None if default is None else _default(default.strip(), kind)
    if kind.startswith("float") and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return Argument(name or "", kind, alias, value, default is not None, kwarg_only)


class FunctionSchema:
    """A schema in parts."""

    def __init__(self, text: str) -> None:
        # Whole numbers among the defaults of floats end in a point.
        self._text = re.sub(r"(float\??(?:\[\d*\])? \w+=-?\d+)\.0(?=[,)])", r"\1.", text.strip())
        head, mark, _ = self._text.partition("(")
        qualified = head.strip()
        depth, end = 0, -1
        for i, char in enumerate(self._text):
            depth += (char == "(") - (char == ")")
            if char == ")" and depth == 0:
                end = i
                break
        arrow, returned = self._text[end + 1 :].strip()[:2], self._text[end + 1 :].strip()[2:].strip()
        if not mark or end < 0 or arrow != "->":
            raise RuntimeError(f"expected a schema like 'name(Tensor x) -> Tensor' but got '{text}'")
        space, colons, rest = qualified.rpartition("::")
        base, _, self.overload_name = rest.partition(".")
        self.name = space + colons + base
        self.arguments: list[Argument] = []
        kwarg_only = False
        for part in _split(self._text[len(head) + 1 : end]):
            if part == "*":
                kwarg_only = True
            else:
                self.arguments.append(_argument(part, kwarg_only))
        if returned.startswith("("):
            returned = returned[1:-1]
        self.returns = [_argument(part, False) for part in _split(returned)]

    @property
    def is_mutable(self) -> bool:
        return any(a.alias_info is not None and a.alias_info.is_write for a in self.arguments)

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FunctionSchema) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


# Tags that an overload does not hand on to its in-place and out= forms.
FUNCTIONAL_ONLY = {ord(letter): None for letter in "cvwy"}

# ---- forms that follow from a functional overload


def _pieces(text: str) -> tuple[list[str], str]:
    end = text.rindex(") ->")
    return _split(text[text.index("(") + 1 : end]), text[end + 4 :].strip()


def in_place_text(text: str, name: str, overload: str) -> str:
    """The schema of the overload that writes to the first argument."""
    parts, _ = _pieces(text)
    if parts and parts[0].startswith("Tensor "):
        parts[0] = parts[0].replace("Tensor ", "Tensor(a!) ", 1)
    suffix = "" if overload == "default" else f".{overload}"
    return f"{name}{suffix}({', '.join(parts)}) -> Tensor(a!)"


def out_text(text: str, name: str, overload: str) -> str:
    """The schema of the overload that writes to ``out=``."""
    parts, returned = _pieces(text)
    if "*" not in parts:
        parts.append("*")
    returns = _split(returned.strip("()"))
    names = [r.partition(" ")[2] for r in returns] or [""]
    if returned.startswith("("):
        plain = [name if name else f"out{i}" for i, name in enumerate(names)]
    else:
        plain = ["out"]
    results = []
    for i, (name_of, letter) in enumerate(zip(plain, "abcdefgh", strict=False)):
        parts.append(f"Tensor({letter}!) {name_of}")
        results.append(f"Tensor({letter}!)" + (f" {names[i]}" if names[i] else ""))
    suffix = "" if overload == "default" else f".{overload}"
    result = f"({', '.join(results)})" if returned.startswith("(") else results[0]
    return f"{name}{suffix}({', '.join(parts)}) -> {result}"


@functools.lru_cache(None)
def _table() -> dict[str, dict[str, tuple[str, str]]]:
    """Name to overload to (schema text without the namespace, tag letters)."""
    table: dict[str, dict[str, tuple[str, str]]] = {}
    path = Path(__file__).with_name("_aten_schemas.txt")
    for line in path.read_text(encoding="utf-8").splitlines():
        text, _, rest = line.partition("|")
        letters, _, followers = rest.partition("|")
        name, _, overload = text.partition("(")[0].partition(".")
        table.setdefault(name, {})[overload or "default"] = (text, letters)
        for follower in followers.split():
            other, _, overload = follower.partition(".")
            form = out_text if other == name else in_place_text
            table.setdefault(other, {})[overload] = (form(text, other, overload), letters.translate(FUNCTIONAL_ONLY))
    return table


def overloads(name: str) -> dict[str, tuple[str, str]]:
    """The recorded overloads of an aten operation: name to (schema text, tag letters). Empty if there are none."""
    return _table().get(name, {})


@functools.lru_cache(None)
def schema(name: str, overload: str) -> FunctionSchema | None:
    """The recorded schema of an aten overload."""
    found = overloads(name).get(overload)
    return FunctionSchema(f"aten::{found[0]}") if found else None
