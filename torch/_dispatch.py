"""What a native call looks like to ``__torch_dispatch__``: PyTorch's overload, and its arguments in its own order.

The rows of the core merge overloads (a number or a tensor, one dimension or none). ``resolve`` finds the overload whose
schema the call's arguments fit; the bindings keep the answer per row and kinds of arguments.
"""

from __future__ import annotations

from . import _schema
from ._ops import OpOverload, overload_of_row, packet, reversed_overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IN_PLACE, _INTO = 1, 2
# Surface bits of src/ops/opdef.h whose rows carry a prefix in aten.
_PREFIXES = ((32, "linalg_"), (64, "fft_"), (128, "special_"))

# Letters of kinds (src/bindings/torch_dispatch.cpp) that each type of parameter takes.
_ACCEPTS = {
    "Tensor": "t", "Tensor[]": "l", "Tensor?[]": "l", "Scalar": "ifbTc", "int": "ibT", "SymInt": "ibT", "float": "fi",
    "bool": "bT", "int[]": "I", "SymInt[]": "I", "float[]": "F", "bool[]": "B", "str": "s", "ScalarType": "d",
    "Device": "v", "Layout": "y", "MemoryFormat": "m", "Generator": "g",
}  # fmt: skip
# Functions of nn that share the name of a method.
_OF_NN = {"unfold": "im2col", "fold": "col2im"}
# What a number and a tensor are, in this order, as an operation of the tensor and the number.
_SWAPPED = {"add": "add", "mul": "mul", "sub": "rsub"}
# PyTorch's Python functions give numbers to the Tensor overloads of these.
_NUMBERS_AS_TENSORS = ("add", "sub", "mul", "div", "add_", "sub_", "mul_", "div_")


# Rows that stand for an operation of another name, if these arguments, which that one has not, are of these kinds;
# and what that one has besides.
_RENAMED: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "nonzero": ("nonzero_numpy", {"as_tuple": "T"}, {}),
    "nll_loss.base": ("nll_loss_forward", {}, {}),
    "kl_div.base": ("kl_div", {}, {"reduction": 0}),
    "softmax": ("_softmax", {"dtype": "n"}, {"half_to_float": False}),
    "log_softmax": ("_log_softmax", {"dtype": "n"}, {"half_to_float": False}),
    "_row_norm": ("native_layer_norm", {"rms": "b"}, {}),
}


# Parameters that rows call otherwise.
_PARAMETERS = {"smooth_l1_loss": {"at": "beta"}, "huber_loss": {"at": "delta"}}


class _Row:
    """A call as the core makes it: the row's parameters, and what each was given."""

    def __init__(self, text: str, kinds: str) -> None:
        self.schema = _schema.FunctionSchema(text)
        self.kinds = kinds[::2]
        self.given = [mark == "+" for mark in kinds[1::2]]
        self.names = ["self" if a.name == "input" else a.name for a in self.schema.arguments]
        other = _PARAMETERS.get(self.schema.name, {})
        self.names = [other.get(name, name) for name in self.names]
        self.aten_name, self.constants = self.schema.name, {}
        key = f"{self.schema.name}.{self.schema.overload_name}".rstrip(".")
        name, implied, constants = _RENAMED.get(key, ("", {}, {}))
        if name and all(self.kinds[self.names.index(n)] == kind for n, kind in implied.items()):
            self.aten_name, self.constants = name, constants
            self.given = [given and n not in implied for n, given in zip(self.names, self.given, strict=True)]


def _accepts(kind: str, letter: str, numbers_too: bool) -> bool:
    optional = kind.endswith("?")
    kind = kind.removesuffix("?")
    if "[" in kind:
        kind = kind.partition("[")[0] + "[]"
    if letter == "n":
        return optional
    return letter in _ACCEPTS.get(kind, "") or (numbers_too and kind == "Tensor" and letter in "ifbTc")


def _match(row: _Row, schema: _schema.FunctionSchema, numbers_too: bool) -> dict[int, int] | None:
    """Schema parameter to row parameter, or None where the call does not fit."""
    at = {name: i for i, name in enumerate(row.names)}
    wanted = [a for a in schema.arguments if not a.is_out]
    first = wanted[0].name if wanted else "self"
    if first not in at and row.names and row.names[0] not in [a.name for a in wanted]:
        at[first] = at.pop(row.names[0])
    mapping = {}
    for number, argument in enumerate(wanted):
        index = at.pop(argument.name, None)
        if index is None:
            if argument.name in row.constants:
                continue
            if not argument.has_default_value() and not argument.type.annotation_str.endswith("?"):
                return None
            continue
        letter = row.kinds[index]
        if not _accepts(argument.type.annotation_str, letter, numbers_too and number > 0):
            if row.given[index] or not argument.has_default_value():
                return None
            continue
        mapping[number] = index
    if any(row.given[index] and row.kinds[index] != "n" for index in at.values()):
        return None
    return mapping if len(schema.returns) == len(row.schema.returns) else None


def _candidates(name: str, into: int) -> list[tuple[str, _schema.FunctionSchema]]:
    found = []
    for overload in _schema.overloads(name):
        schema = _schema.schema(name, overload)
        assert schema is not None
        if sum(a.is_out for a in schema.arguments) == into:
            found.append((overload, schema))
    return sorted(found, key=lambda pair: len(pair[1].arguments))


def _aten_name(row: _Row, form: int, surface: int) -> str:
    base = row.aten_name
    if surface & 16 and not surface & 3:
        base = _OF_NN.get(base, base)
    if form == _IN_PLACE and not base.endswith("_"):
        base += "_"
    names = [base] + [prefix + base for bit, prefix in _PREFIXES if surface & bit]
    if not surface & ~sum(bit for bit, _ in _PREFIXES) & 0xFF:
        names.reverse()  # a prefixed surface alone: the plain name is another operation's
    return next((name for name in names if _schema.overloads(name)), base)


def _find(row: _Row, form: int, surface: int, into: int) -> tuple[OpOverload, dict[int, int]]:
    name = _aten_name(row, form, surface)
    candidates = _candidates(name, into if form == _INTO else 0)
    if name in _NUMBERS_AS_TENSORS:
        candidates.sort(key=lambda pair: pair[0].startswith("Scalar"))
    for numbers_too in (name in _NUMBERS_AS_TENSORS, True):
        for overload, schema in candidates:
            mapping = _match(row, schema, numbers_too)
            if mapping is not None:
                return getattr(packet("aten", name), overload), mapping
    if len(row.kinds) > 1 and row.kinds[0] in "ifbTc" and row.kinds[1] == "t":
        return _number_first(row)
    op = overload_of_row(row.schema, in_place=form == _IN_PLACE)
    return op, {i: i for i in range(len(row.names))}


def _number_first(row: _Row) -> tuple[OpOverload, dict[int, int]]:
    """``2 - x`` as an operation on ``x`` and 2."""
    swapped = _SWAPPED.get(row.schema.name)
    if swapped is not None:
        overload = packet("aten", swapped).Scalar if swapped == "rsub" else packet("aten", swapped).Tensor
        rest = {2: 2} if len(row.kinds) > 2 else {}
        return overload, {0: 1, 1: 0, **rest}
    return reversed_overload(row.schema.name), {0: 1, 1: 0}


def resolve(text: str, form: int, surface: int, into: int, kinds: str) -> tuple[Any, ...]:
    """(overload, positional, keyword, names of out= tensors) for a call of the row with this schema.

    An argument is (index of the row's parameter or -1, constant) and, for keywords, its name. Arguments that have
    their default are left away, positional ones from the end.
    """
    row = _Row(text, kinds)
    op, mapping = _find(row, form, surface, into)
    arguments = [a for a in op._schema.arguments if not a.is_out]
    names = tuple(a.name for a in op._schema.arguments if a.is_out)
    if form == _INTO and not names:
        names = ("out",)
    factory = not any(a.annotation_is_tensor for a in op._schema.arguments)
    positional, keyword, kept = [], [], 0
    for number, argument in enumerate(arguments):
        index = mapping.get(number, -1)
        entry: tuple[Any, ...] = (index, row.constants.get(argument.name, argument.default_value))
        dropped = (index < 0 and argument.name not in row.constants) or (
            index >= 0
            and not row.given[index]
            and argument.has_default_value()
            and (argument.default_value == row.schema.arguments[index].default_value or row.kinds[index] == "n")
        )
        if argument.kwarg_only:
            if factory and argument.name == "device" and index >= 0:
                keyword.append((index, True, "device"))
            elif argument.name == "pin_memory" and (
                factory or op._opname.startswith("new_") or op._opname.endswith("s_like")
            ):
                keyword.append((-1, False, "pin_memory"))
            elif not dropped:
                keyword.append((*entry, argument.name))
        else:
            positional.append(entry)
            if not dropped:
                kept = len(positional)
    return op, tuple(positional[:kept]), tuple(keyword), names


def operation_name(text: str, form: int, surface: int) -> str:
    """What PyTorch calls the operation of a row, whatever its arguments are."""
    return _aten_name(_Row(text, "?-" * text.count(",") + "?-?-"), form, surface).partition(".")[0]
