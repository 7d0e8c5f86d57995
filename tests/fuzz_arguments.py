"""Random calls of the operations, drawn from their schemas: mostly malformed, with every kind of tensor.

Each choice is made by one source of randomness: `random.Random`, or Hypothesis' stand-in for it, which can shrink.
"""

from __future__ import annotations

import random
from typing import Any

import torch

PLACES = ("_VariableFunctions", "_nn", "_linalg", "_fft", "_special")
SKIPPED = {"from_file"}  # writes files
# their work grows with the value of an argument, in PyTorch too
SKIPPED |= {"range", "mvlgamma", "mvlgamma_", "multigammaln", "laguerre_polynomial_l", "legendre_polynomial_p"}
DTYPES = [torch.float32] * 6 + [
    torch.float64,
    torch.int64,
    torch.int64,
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
]
DTYPES += [torch.int32, torch.bfloat16, torch.float16, torch.complex64, torch.complex128, torch.uint16]
SIZES = [0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 17]
INTS = [0, 1, 1, 2, 2, 3, -1, -1, -2, -3, 4, 5, 7, -5, 100, -100, 2**31, -(2**31) - 1, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, 1.0, 0.5, -0.5, 1e-5, 2.0, -3.7, float("nan"), float("inf"), -float("inf"), 1e300, 1e-300]
WORDS = [
    "none",
    "mean",
    "sum",
    "prod",
    "amax",
    "amin",
    "reflect",
    "constant",
    "replicate",
    "circular",
    "same",
    "valid",
]
WORDS += [
    "tanh",
    "linear",
    "nearest",
    "bilinear",
    "ij",
    "xy",
    "left",
    "right",
    "floor",
    "trunc",
    "fro",
    "nuc",
    "",
    "é",
]
OBJECTS = [None, "text", [], [[1, 2], [3]], object(), 1.5, True, 2**70, torch.float32, torch.device("cpu"), b"x", {}]


class Arguments:
    """Random values per schema type; the same source of randomness gives the same values each time."""

    def __init__(self, source: random.Random):
        self.random = source
        self.dtype = self.random.choice(DTYPES)
        self.shape = self.new_shape()
        self.made: list[torch.Tensor] = []

    def new_shape(self) -> list[int]:
        dims = self.random.choice([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6])
        return [self.random.choice(SIZES if dims < 4 else SIZES[:-2]) for _ in range(dims)]

    def chance(self, percent: int) -> bool:
        return self.random.random() * 100 < percent

    def near_shape(self) -> list[int]:
        shape = list(self.shape)
        if self.chance(20):
            return self.new_shape()
        if shape and self.chance(25):
            shape[self.random.randrange(len(shape))] = self.random.choice(SIZES)
        if shape and self.chance(15):
            del shape[self.random.randrange(len(shape))]
        if self.chance(10):
            shape.insert(self.random.randrange(len(shape) + 1), self.random.choice(SIZES))
        return shape

    def tensor(self) -> torch.Tensor:
        if self.made and self.chance(10):
            return self.random.choice(self.made)
        dtype = self.dtype if self.chance(70) else self.random.choice(DTYPES)
        shape = self.near_shape()
        high = self.random.choice([2, 3, 4, 10, 300])
        made = torch.randint(self.random.choice([0, 0, 0, -3]), high, shape).to(dtype)
        if dtype.is_floating_point or dtype.is_complex:
            made = made * self.random.choice([1, 0.37, -0.37, 1e30])
            if dtype.is_complex:
                made = made * self.random.choice([1, 1 + 1j, 0.5 - 1j])
            if self.chance(10):
                made = made + self.random.choice(FLOATS)
        elif dtype is torch.int64 and self.chance(10):
            made = made * (2**61)
        if made.dim() > 1 and self.chance(20):
            made = made.transpose(self.random.randrange(made.dim()), self.random.randrange(made.dim()))
        if made.dim() and self.chance(10):
            made = made[(slice(None),) * (made.dim() - 1) + (slice(1, None, 2),)]
        if made.dim() and self.chance(7):
            made = made[..., :1].expand([*made.shape[:-1], max(1, made.shape[-1])]) if made.shape[-1] else made
        if self.chance(4):
            made = made.to("meta")
        if dtype.is_complex and self.chance(10):
            made = made.conj()
        if dtype.is_signed and self.chance(3):
            made = torch._neg_view(made)
        if (made.is_floating_point() or made.is_complex()) and self.chance(25):
            made = made.detach().requires_grad_()
            if self.chance(50):
                made = made.view_as(made)
        self.made.append(made)
        return made

    def integer(self) -> int:
        return self.random.choice(INTS[:10] if self.chance(85) else INTS)

    def integers(self, count: int | None) -> object:
        if self.chance(15) and count:
            return self.integer()
        if self.chance(40) and self.shape and not count:
            return list(self.shape)
        length = count if count and self.chance(90) else self.random.randrange(6)
        return [self.random.choice(INTS[:7]) if self.chance(90) else self.integer() for _ in range(length)]

    def value(self, kind: str) -> object:
        if self.chance(2):
            return self.random.choice(OBJECTS)
        if kind.endswith("?") and self.chance(50):
            return None
        kind = kind.rstrip("?")
        if kind.endswith("]"):
            element, _, count = kind[:-1].partition("[")
            if element.rstrip("?") == "int":
                return self.integers(int(count) if count else None)
            return [self.value(element) for _ in range(int(count) if count else self.random.randrange(4))]
        if kind.startswith("Tensor"):
            return self.tensor()
        if kind == "Operand":
            return self.tensor() if self.chance(70) else self.value("Scalar")
        if kind == "Scalar":
            return self.random.choice([*INTS, *FLOATS, True, 1 + 2j])
        if kind == "int":
            return self.integer()
        if kind == "float":
            return self.random.choice(FLOATS)
        if kind == "bool":
            return self.chance(50)
        if kind == "str":
            return self.random.choice(WORDS)
        if kind == "dtype":
            return self.random.choice(DTYPES)
        if kind == "Device":
            return self.random.choice(["cpu", "cpu", "meta"])
        if kind == "Layout":
            return torch.strided
        if kind == "MemoryFormat":
            return self.random.choice([torch.contiguous_format, torch.channels_last, torch.preserve_format])
        if kind == "Generator":
            return torch.Generator()
        return self.random.choice(OBJECTS)

    def for_schema(self, schema: str) -> tuple[list, dict]:
        positional, named, keyword = [], {}, False
        inside = schema[schema.index("(") + 1 : schema.rindex(") ->")]
        for parameter in inside.split(", ") if inside else []:
            if parameter == "*":
                keyword = True
                continue
            kind, _, name = parameter.partition(" ")
            name, has_default, _ = name.partition("=")
            if has_default and (keyword or named) and self.chance(50):
                continue
            if has_default and self.chance(30):
                keyword = True
                continue
            if keyword:
                named[name] = self.value(kind)
            else:
                positional.append(self.value(kind))
        if self.chance(3):
            positional.append(self.random.choice(OBJECTS))
        return positional, named


def targets() -> dict[str, tuple]:
    """Return what can be called: name -> (function, schemas, is it a method)."""
    found = {}
    for place in (*PLACES, "_ops"):
        module = getattr(torch._C, place)
        for name in dir(module):
            if schemas := getattr(getattr(module, name), "_schemas", None):
                key = name if place == "_VariableFunctions" else f"{place.strip('_')}.{name}"
                found[key] = (getattr(module, name), schemas, False)
    for name in dir(torch.Tensor):
        method = getattr(torch.Tensor, name)
        if schemas := getattr(method, "_schemas", None):
            found[f"Tensor.{name}"] = (method, schemas, True)
        elif callable(method) and not name.startswith("__") and type(method).__name__ == "method_descriptor":
            found[f"Tensor.{name}"] = (
                method,
                (
                    "(Tensor self, int a=0, int b=0, float c=0) -> Tensor",
                    "(Tensor self, int[] a=0, int[]? b=0, int? c=0) -> Tensor",
                    "(Tensor self, Tensor a=0, dtype b=0) -> Tensor",
                ),
                True,
            )
    found["Tensor.__getitem__"] = (get_item, ("(Tensor self) -> Tensor",), True)
    found["Tensor.__setitem__"] = (set_item, ("(Tensor self, Operand value) -> Tensor",), True)
    return {name: found[name] for name in sorted(found) if name.rpartition(".")[2] not in SKIPPED}


def random_index(tensor: torch.Tensor, some: Arguments) -> object:
    def one():
        kind = some.random.randrange(9)
        if kind == 0:
            return slice(*(some.random.choice([None, some.integer()]) for _ in range(3)))
        if kind == 1:
            return some.integer()
        if kind == 2:
            return some.random.choice([None, Ellipsis, True, False])
        if kind == 3:
            return torch.randint(-3, 4, some.near_shape()[:2])
        if kind == 4:
            return torch.randint(0, 2, tensor.shape[: some.random.randrange(tensor.dim() + 1)]).bool()
        if kind == 5:
            return [some.random.choice(INTS[:9]) for _ in range(some.random.randrange(4))]
        if kind == 6:
            return some.tensor()
        return slice(None)

    return one() if some.chance(30) else tuple(one() for _ in range(some.random.randrange(5)))


def get_item(tensor, *_, some):
    return tensor[random_index(tensor, some)]


def set_item(tensor, value=0, *_, some):
    tensor[random_index(tensor, some)] = value
    return tensor


def draw(target: tuple, source: random.Random) -> tuple[Any, list, dict]:
    """Return (function, positional, named) of one random call."""
    function, schemas, is_method = target
    some = Arguments(source)
    torch.manual_seed(source.randrange(1000))
    positional, named = some.for_schema(some.random.choice(schemas))
    if function in (get_item, set_item):
        named = {"some": some}
    elif not is_method and some.chance(15):
        into = [some.tensor() for _ in range(some.random.choice([1, 1, 2, 3]))]
        if some.made and some.chance(50):
            into[0] = some.random.choice(some.made)  # overlaps an input
        named["out"] = into[0] if len(into) == 1 else tuple(into)
    return function, positional, named


def prepare(name: str, number: int, target: tuple) -> tuple[Any, list, dict]:
    """Return the call of this number: always the same."""
    return draw(target, random.Random(f"{name}:{number}"))


def describe(name: str, positional: list, named: dict) -> str:
    """Write a call so that a reader can repeat it."""

    def text(value: Any) -> str:
        if isinstance(value, torch.Tensor):
            facts = f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
            facts += "" if value.is_contiguous() else f" strides {value.stride()}"
            facts += " meta" if value.is_meta else f" {value.detach().tolist()}" if value.numel() < 10 else ""
            return f"<{facts}{' grad' if value.requires_grad else ''}{' conj' if value.is_conj() else ''}>"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(text, value))}]"
        return repr(value)

    return f"{name}({', '.join([*map(text, positional), *(f'{key}={text(value)}' for key, value in named.items())])})"
