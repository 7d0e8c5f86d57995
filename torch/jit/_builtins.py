"""What TorchScript's operations on numbers, text, lists and dictionaries do.

``TEMPLATES`` are operations that are an expression of Python: they are written into the generated functions.
``FUNCTIONS`` are the others, by name, or by name and overload. Tensor operations are those of ``torch.ops.aten``.
"""

from __future__ import annotations

import cmath
import enum
import math
import sys
import time
import warnings

import torch

from ._unit import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Integers of TorchScript have 64 bits.
LARGEST = 9223372036854775807

TEMPLATES = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "floordiv": "{0} // {1}",
    "remainder": "{0} % {1}",
    "neg": "-{0}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "__not__": "not {0}",
    "__is__": "{0} is {1}",
    "__isnot__": "{0} is not {1}",
    "__and__": "{0} & {1}",
    "__or__": "{0} | {1}",
    "__xor__": "{0} ^ {1}",
    "__lshift__": "{0} << {1}",
    "__rshift__": "{0} >> {1}",
    "len": "len({0})",
    "__contains__": "{1} in {0}",
    "Bool": "bool({0})",
    "Float": "float({0})",
    "Int": "int({0})",
    "IntImplicit": "int({0})",
    "FloatImplicit": "float({0})",
    "ComplexImplicit": "complex({0})",
    "keys": "list({0})",
    "values": "list({0}.values())",
    "items": "list({0}.items())",
    "__range_length": "len(range({0}, {1}, {2}))",
    "__derive_index": "{1} + {0} * {2}",
    "list": "list({0})",
    "dict": "dict({0})",
    "ord": "ord({0})",
    "chr": "chr({0})",
    "hex": "hex({0})",
    "oct": "oct({0})",
    "bin": "bin({0})",
    "divmod": "divmod({0}, {1})",
    "any": "any({0})",
    "all": "all({0})",
    "upper": "{0}.upper()",
    "lower": "{0}.lower()",
    "strip": "{0}.strip({1})",
    "replace": "{0}.replace({1}, {2}, {3})",
}


def shown_float(value: float) -> str:
    """A float as TorchScript prints it inside containers and by ``print``."""
    text = f"{value:.17g}"
    return text + "." if text.lstrip("-").isdigit() else text


def shown(value: Any) -> str:
    """A value as ``print`` and ``format`` show it."""
    if value is None or value is True or value is False:
        return str(value)
    kind = value.__class__
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return str(value)
    if kind is float:
        return shown_float(value)
    if kind is complex:
        sign = "-" if math.copysign(1, value.imag) < 0 else "+"
        return f"{shown_float(value.real)}{sign}{shown_float(abs(value.imag))}j"
    if isinstance(value, torch.Tensor):
        return shown_tensor(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(k)}: {shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, enum.Enum):
        return f"Enum<{type(value).__name__}.{value.name}>"
    return str(value)


_TYPE_NAMES = {
    torch.float32: "Float",
    torch.float64: "Double",
    torch.int64: "Long",
    torch.int32: "Int",
    torch.int16: "Short",
    torch.int8: "Char",
    torch.uint8: "Byte",
    torch.bool: "Bool",
    torch.float16: "Half",
    torch.bfloat16: "BFloat16",
    torch.complex64: "ComplexFloat",
    torch.complex128: "ComplexDouble",
}


def shown_tensor(tensor: torch.Tensor) -> str:
    """A tensor as C++ prints it: its numbers in columns, then its type and sizes."""
    sizes = ",".join(map(str, tensor.shape))
    kind = f"{tensor.device.type.upper()}{_TYPE_NAMES.get(tensor.dtype, str(tensor.dtype))}Type"
    tail = f"[ {kind}{{{sizes}}} ]"
    plain = tensor.detach().cpu()
    if plain.dim() == 0:
        number = plain.item()
        text = f"{number:g}" if isinstance(number, float) else str(int(number) if isinstance(number, bool) else number)
        return f"{text}\n{tail}"
    if plain.numel() == 0:
        return tail
    values = plain.to(torch.float64) if not plain.is_complex() else plain
    cells, scale = _cells(values.reshape(-1).tolist())
    rows = values.shape[-1] if plain.dim() > 1 else 1
    if plain.dim() > 2:
        return _planes(plain, tail)
    lines = [" ".join(cells[i : i + rows]) for i in range(0, len(cells), rows)]
    return (f"{scale:g} *\n" if scale != 1 else "") + "\n".join(lines) + "\n" + tail


def _planes(plain: torch.Tensor, tail: str) -> str:
    parts = []
    for at in range(plain[..., 0, 0].numel()):
        place: list[int] = []
        rest = at
        for extent in reversed(plain.shape[:-2]):
            place.insert(0, rest % extent)
            rest //= extent
        body = shown_tensor(plain[tuple(place)]).rpartition("\n")[0]
        parts.append(
            f"({','.join(str(i + 1) for i in place)},.,.) = \n" + "\n".join(f"  {r}" for r in body.split("\n"))
        )
    return "\n\n".join(parts) + "\n" + tail


def _cells(values: list[Any]) -> tuple[list[str], float]:
    if any(isinstance(v, complex) for v in values):
        return [shown(v) for v in values], 1.0
    finite = [abs(v) for v in values if math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    exponents = [math.floor(math.log10(v)) + 1 if v else 1 for v in (low, high)]
    if all(v == int(v) for v in values if math.isfinite(v)):
        if exponents[1] > 9:
            return [f"{v:11.4e}" for v in values], 1.0
        width = exponents[1] + 1
        return [f"{v:{width}.0f}" if math.isfinite(v) else f"{v:>{width}}" for v in values], 1.0
    if exponents[1] - exponents[0] > 4:
        width = 11 if max(map(abs, exponents)) > 99 else 10
        return [f"{v:{width + 1}.4e}" for v in values], 1.0
    if exponents[1] > 5 or exponents[1] < 0:
        scale = 10.0 ** (exponents[1] - 1)
        return [f"{v / scale:7.4f}" for v in values], scale
    width = 6 if exponents[1] == 0 else exponents[1] + 6
    return [f"{v:{width}.4f}" for v in values], 1.0


def print_(*values: Any) -> None:
    sys.stdout.write(" ".join(map(shown, values)) + "\n")


def format_(text: str, *values: Any) -> str:
    pieces = text.split("{}")
    if len(pieces) - 1 > len(values):
        raise RuntimeError(f"Too few arguments for format string: {text}")
    filled = [pieces[0]]
    for piece, value in zip(pieces[1:], values, strict=False):
        filled += [shown(value), piece]
    return "".join(filled)


def percent_format(text: str, *values: Any) -> str:
    if len(values) == 1 and isinstance(values[0], tuple):
        values = values[0]
    out, at, used = [], 0, 0
    while at < len(text):
        end = text.find("%", at)
        if end < 0:
            break
        out.append(text[at:end])
        letter = text[end + 1 : end + 2]
        if letter == "%":
            out.append("%")
        else:
            if used >= len(values):
                raise RuntimeError("Too few arguments for format string")
            value = values[used]
            used += 1
            if letter == "s":
                out.append(shown(value))
            elif letter in "dixX":
                number = value if letter in "xX" else int(value)
                out.append(f"%{'d' if letter in 'di' else letter}" % number)
            elif letter in "eEfFgG":
                out.append(f"%{letter}" % value)
            elif letter == "c":
                out.append(value if isinstance(value, str) else chr(value))
            else:
                raise RuntimeError(f"The specifier %{letter} is not supported in TorchScript format strings")
        at = end + 2
    if used < len(values):
        raise RuntimeError("Too many arguments for format string")
    return "".join(out) + text[at:]


def raise_exception(message: str, kind: str | None = None) -> None:
    error = Error(message)
    error.python_class_name = kind  # type: ignore[attr-defined]
    raise error


def str_(value: Any) -> str:
    if value.__class__ is float:
        return f"{value:.6g}" if value != int(value) or abs(value) > 1e15 else repr(value)
    return shown(value)


def get_item(values: Any, index: Any) -> Any:
    return values[index]


def dict_get_item(values: dict[Any, Any], key: Any) -> Any:
    if key not in values:
        raise RuntimeError(f"Argument passed to at() was not in the map: {shown(key)}")
    return values[key]


def set_item(values: Any, index: Any, value: Any) -> Any:
    values[index] = value
    return values


def delete_item(values: Any, index: Any) -> None:
    del values[index]


def append(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


def extend(values: list[Any], more: list[Any]) -> None:
    values.extend(more)


def insert(values: list[Any], at: int, value: Any) -> None:
    values.insert(at, value)


def remove(values: list[Any], value: Any) -> None:
    del values[index_of(values, value)]


def index_of(values: list[Any], value: Any) -> int:
    for i, v in enumerate(values):
        if v is value or bool((v == value).all() if isinstance(v, torch.Tensor) else v == value):
            return i
    raise RuntimeError(f"'{shown(value)}' is not in list")


def pop(values: Any, *place: Any) -> Any:
    if isinstance(values, dict) and len(place) == 1 and place[0] not in values:
        raise RuntimeError(f"KeyError: {shown(place[0])}")
    if isinstance(values, list) and not values:
        raise RuntimeError("pop from empty list")
    return values.pop(*place)


def pop_item(values: dict[Any, Any]) -> Any:
    if not values:
        raise RuntimeError("popitem(): dictionary is empty")
    return values.popitem()


def get(values: dict[Any, Any], key: Any, default: Any = None) -> Any:
    return values.get(key, default)


def set_default(values: dict[Any, Any], key: Any, default: Any) -> Any:
    return values.setdefault(key, default)


def update(values: dict[Any, Any], more: Any) -> None:
    values.update(more)


def clear(values: Any) -> None:
    values.clear()


def copy(values: Any) -> Any:
    return values.copy()


def add_to_list(values: list[Any], more: list[Any]) -> list[Any]:
    values += more
    return values


def multiply_list(values: list[Any], times: int) -> list[Any]:
    values *= times
    return values


def slice_(values: Any, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return values[start:end:step]


def sort(values: list[Any], *options: Any) -> None:
    values.sort(reverse=bool(options[0]) if options else False)


def sorted_(values: list[Any], *options: Any) -> list[Any]:
    return sorted(values, reverse=bool(options[0]) if options else False)


def reverse(values: list[Any]) -> None:
    values.reverse()


def range_list(n: int) -> list[int]:
    return list(range(n))


def count(values: Any, *args: Any) -> int:
    if isinstance(values, str):
        return int(_string_method("count")(values, *args))
    return sum(1 for v in values if v is args[0] or bool(v == args[0]))


def index(values: Any, *args: Any) -> int:
    return int(_string_method("index")(values, *args)) if isinstance(values, str) else index_of(values, args[0])


def pack_padded_sequence(input: Any, lengths: Any, batch_first: bool) -> Any:
    from torch.nn.utils.rnn import pack_padded_sequence

    packed = pack_padded_sequence(input, lengths, batch_first)
    return packed.data, packed.batch_sizes


def pad_packed_sequence(data: Any, sizes: Any, batch_first: bool, value: Any, total: int) -> Any:
    from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

    return pad_packed_sequence(PackedSequence(data, sizes), batch_first, value, total if total > 0 else None)


def unwrap_optional(value: Any) -> Any:
    if value is None:
        raise RuntimeError("Unwrapping null optional")
    return value


def pow_(a: Any, b: Any) -> Any:
    return math.pow(a, b) if not isinstance(a, complex) and not isinstance(b, complex) else a**b


def int_pow(a: int, b: int) -> int:
    return int(a**b)


def _math(name: str) -> Any:
    real, imaginary = getattr(math, name), getattr(cmath, name, None)

    def function(x: Any) -> Any:
        if x.__class__ is complex and imaginary is not None:
            return imaginary(x)
        try:
            return real(x)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return function


def log(*args: Any) -> Any:
    if isinstance(args[0], complex):
        return cmath.log(*args)
    if len(args) == 2:
        return log(args[0]) / log(args[1])
    return math.log(args[0]) if args[0] > 0 else (-math.inf if args[0] == 0 else math.nan)


def sqrt(x: Any) -> Any:
    return cmath.sqrt(x) if isinstance(x, complex) else (math.sqrt(x) if x >= 0 else math.nan)


def round_(x: Any) -> float:
    return float(round(x))


def complex_(a: Any, b: Any = 0) -> complex:
    return complex(_number(a), _number(b)) if b.__class__ is not int or b else complex(_number(a))


def _number(x: Any) -> Any:
    return x.item() if isinstance(x, torch.Tensor) else x


def angle(x: Any) -> float:
    return cmath.phase(complex(x))


def scalar_implicit(x: torch.Tensor) -> Any:
    return x.item()


def tensor_data(x: torch.Tensor) -> torch.Tensor:
    return x.data


def to_list(x: torch.Tensor) -> Any:
    return x.tolist()


def list_remainder(a: Any, b: Any) -> float:
    return math.remainder(a, b)


def warn(message: str, level: int = 2) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)


def device_from(text: Any, index: Any = None) -> torch.device:
    return torch.device(text) if index is None else torch.device(text, index)


def num_to_tensor(value: Any) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


def interpolate(
    input: torch.Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: Any = None,
    recompute_scale_factor: Any = None,
    antialias: bool = False,
) -> torch.Tensor:
    return torch.nn.functional.interpolate(
        input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )


def wait(future: Any) -> Any:
    return future.wait()


def infer_size(a: list[int], b: list[int]) -> list[int]:
    return list(torch.broadcast_shapes(a, b))


def partition(text: str, separator: str) -> tuple[str, str, str]:
    return text.partition(separator)


def autocast(x: torch.Tensor, *rest: Any) -> torch.Tensor:
    return x


def generator(device: Any = None, seed: Any = None) -> torch.Generator:
    made = torch.Generator(device or "cpu")
    return made if seed is None else made.manual_seed(seed)


def set_grad_enabled(on: bool) -> None:
    torch._C._set_grad_enabled(on)


def enum_name(value: Any) -> str:
    return value.name  # type: ignore[no-any-return]


def enum_value(value: Any) -> Any:
    return value.value


def if_then_else(condition: bool, a: Any, b: Any) -> Any:
    return a if condition else b


_STRING_METHODS = """
    capitalize center count endswith expandtabs find isalnum isalpha isdecimal isdigit isidentifier islower isnumeric
    isprintable isspace istitle isupper join ljust lstrip rfind rindex rjust rpartition rsplit rstrip split splitlines
    swapcase title zfill lower upper strip startswith replace
"""


# Methods of text whose last argument is an end, where -1 is the end of the text.
_UNTIL = frozenset("count endswith find index rfind rindex startswith".split())


def _string_method(name: str) -> Any:
    def function(text: str, *args: Any) -> Any:
        if name in _UNTIL and len(args) == 3 and args[2] < 0:
            args = (*args[:2], len(text) + 1 + args[2])
        while args and args[-1] is None:
            args = args[:-1]
        return getattr(text, name)(*args)

    return function


FUNCTIONS: dict[str, Any] = {
    **{name: _string_method(name) for name in _STRING_METHODS.split()},
    **{
        name: _math(name)
        for name in """
        acos acosh asin asinh atan atanh cos cosh sin sinh tan tanh exp expm1 log2 log10 log1p erf erfc gamma lgamma
        fabs degrees radians isnan isinf isfinite ceil floor factorial
    """.split()
    },
    "log": log,
    "sqrt": sqrt,
    "round": round_,
    "atan2": math.atan2,
    "copysign": math.copysign,
    "fmod": math.fmod,
    "gcd": math.gcd,
    "frexp": math.frexp,
    "ldexp": math.ldexp,
    "modf": math.modf,
    "mathremainder": list_remainder,
    "pow": pow_,
    "pow.int_to_int": int_pow,
    "abs": abs,
    "angle": angle,
    "polar": cmath.rect,
    "Complex": complex_,
    "ScalarImplicit": scalar_implicit,
    "str": str_,
    "format": format_,
    "percentFormat": percent_format,
    "hash": hash,
    "__getitem__": get_item,
    "_set_item": set_item,
    "Delete": delete_item,
    "append": append,
    "extend": extend,
    "insert": insert,
    "remove": remove,
    "index": index,
    "pop": pop,
    "popitem": pop_item,
    "get": get,
    "setdefault": set_default,
    "update": update,
    "clear": clear,
    "copy": copy,
    "add_": add_to_list,
    "mul_": multiply_list,
    "slice": slice_,
    "sort": sort,
    "sorted": sorted_,
    "reverse": reverse,
    "list": list,
    "count": count,
    "_pack_padded_sequence": pack_padded_sequence,
    "_pad_packed_sequence": pad_packed_sequence,
    "_unwrap_optional": unwrap_optional,
    "partition": partition,
    "sum": sum,
    "warn": warn,
    "device": device_from,
    "Size": list,
    "__interpolate": interpolate,
    "wait": wait,
    "_infer_size": infer_size,
    "_autocast_to_full_precision": autocast,
    "_autocast_to_reduced_precision": autocast,
    "Generator": generator,
    "set_grad_enabled": set_grad_enabled,
    "is_grad_enabled": torch.is_grad_enabled,
    "manual_seed": torch.manual_seed,
    "is_autocast_enabled": torch.is_autocast_enabled,
    "is_autocast_cpu_enabled": torch.is_autocast_cpu_enabled,
    "initial_seed": torch.initial_seed,
    "seed": torch.seed,
    "_get_tracing_state": bool,
    "confirmed_by_owner": bool,
    "broadcast_shapes": lambda *s: list(torch.broadcast_shapes(*s)),
    "floordiv": lambda a, b: a // b,
    "is_scripting": lambda: True,
    "has_torch_function": lambda *a: False,
    "_tensor_to_list": to_list,
    "_list_to_tensor": torch.tensor,
    "element_size": torch.Tensor.element_size,
    "__round_to_zero_floordiv": lambda a, b: int(a / b),
    "get_autocast_dtype": torch.get_autocast_dtype,
    "floor": lambda x: math.floor(x),
    "ceil": lambda x: math.ceil(x),
}

PRIMITIVES: dict[str, Any] = {
    "Print": print_,
    "RaiseException": raise_exception,
    "unchecked_unwrap_optional": unwrap_optional,
    "data": tensor_data,
    "rangelist": range_list,
    "NumToTensor": num_to_tensor,
    "EnumName": enum_name,
    "EnumValue": enum_value,
    "IfThenElse": if_then_else,
    "StringIndex": get_item,
    "TupleIndex": get_item,
    "abs": abs,
    "min": min,
    "max": max,
    "id": id,
    "awaitable_wait": wait,
    "TimePoint": lambda: time.time_ns(),
    "AddStatValue": lambda key, value: None,
    "nbytes": lambda t: t.nbytes,
    "itemsize": lambda t: t.itemsize,
    "grad": lambda t: t.grad,
    "name": lambda t: t.name,
}
for _name in "is_cpu is_cuda is_ipu is_maia is_meta is_mtia is_nested is_quantized is_sparse is_xla is_xpu".split():
    PRIMITIVES[_name] = lambda t, _name=_name: getattr(t, _name)
# Attributes of tensors and devices that generated code reads directly.
ATTRIBUTES = {"device": "device", "requires_grad": "requires_grad", "type": "type", "index": "index"}
