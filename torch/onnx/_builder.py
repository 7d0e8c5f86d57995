"""A graph of ONNX operations in the making, without the package ``onnx``: values, nodes and weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from ._enums import ELEMENT_TYPES

__all__ = ["Builder", "Node", "Value"]


@dataclasses.dataclass(eq=False)
class Value:
    """A tensor of the model. ``shape`` may hold symbolic sizes; None where it is not known."""

    name: str
    dtype: torch.dtype | None = None
    shape: tuple[Any, ...] | None = None
    # The elements, where they are known.
    constant: torch.Tensor | None = None

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        if self.shape is None:
            raise RuntimeError(f"the rank of {self.name} is not known")
        return len(self.shape)


@dataclasses.dataclass(eq=False)
class Node:
    """An operation of the model."""

    kind: str
    domain: str
    inputs: list[Value | None]
    outputs: list[Value]
    attributes: dict[str, Any]
    name: str = ""
    place: dict[str, str] = dataclasses.field(default_factory=dict)


class Builder:
    """Makes the nodes of one graph; graphs inside it share its names and weights.

    Args:
        opset: the version of ONNX's operations.
        parent: the graph around this one.
    """

    def __init__(self, opset: int, parent: Builder | None = None) -> None:
        self.opset, self.parent = opset, parent
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.nodes: list[Node] = []
        top = parent.top if parent is not None else self
        self.top = top
        if parent is None:
            self.used: set[str] = set()
            self.weights: dict[str, Value] = {}
            self.domains: dict[str, int] = {"": opset}
        self.place: dict[str, str] = {}
        # The traced node that is being written, and its result.
        self.label = ""
        self.result: Any = None

    # ---- names

    def name(self, wanted: str) -> str:
        """A name that no other value has."""
        used = self.top.used
        found, number = wanted, 0
        while found in used:
            number += 1
            found = f"{wanted}_{number}"
        used.add(found)
        return found

    # ---- values

    def weight(self, name: str, tensor: torch.Tensor) -> Value:
        """A tensor that is stored in the model."""
        plain = tensor.detach()
        made = Value(self.name(name), plain.dtype, tuple(plain.shape), plain)
        self.top.weights[made.name] = made
        return made

    def constant(self, data: Any, dtype: torch.dtype | None = None) -> Value:
        """A small tensor that the model stores."""
        tensor = data if isinstance(data, torch.Tensor) else torch.tensor(data, dtype=dtype)
        if dtype is not None and tensor.dtype != dtype:
            tensor = tensor.to(dtype)
        for known in self.top.weights.values():
            stored = known.constant
            if (
                stored is not None
                and known.name.startswith("val_")
                and stored.dtype == tensor.dtype
                and stored.shape == tensor.shape
                and stored.tolist() == tensor.tolist()
            ):
                return known
        return self.weight(f"val_{len(self.top.used)}", tensor)

    def ints(self, data: Sequence[int] | int) -> Value:
        """Integers, as axes and sizes are given."""
        return self.constant(data, torch.int64)

    # ---- operations

    def op(
        self, kind: str, *inputs: Any, outputs: int = 1, domain: str = "", like: Any = None, **attributes: Any
    ) -> Any:
        """An operation; its result, or a list of them if ``outputs`` is not 1.

        ``like`` gives the dtype and the shape of the result: a value, or a pair.
        """
        given = [v if v is None or isinstance(v, Value) else self.constant(v) for v in inputs]
        while given and given[-1] is None:
            given.pop()
        if domain:
            self.top.domains.setdefault(domain, 1)
        made = [Value(self.name(f"val_{len(self.top.used)}")) for _ in range(outputs)]
        kept = {k: v for k, v in attributes.items() if v is not None}
        node = Node(kind, domain, given, made, kept, self.name(f"node_{kind}_{len(self.top.used)}"), dict(self.place))
        self.nodes.append(node)
        if like is not None:
            made[0].dtype, made[0].shape = (like.dtype, like.shape) if isinstance(like, Value) else like
        elif outputs == 1:
            _guess(kind, given, made[0], kept)
        return made[0] if outputs == 1 else made

    def cast(self, value: Value, dtype: torch.dtype) -> Value:
        """The value in another dtype."""
        if value.dtype == dtype:
            return value
        if value.constant is not None and value.constant.numel() <= 16:
            return self.constant(value.constant.to(dtype))
        return self.op("Cast", value, to=ELEMENT_TYPES[dtype], like=(dtype, value.shape))  # type: ignore[no-any-return]

    def scalar(self, number: Any, dtype: torch.dtype) -> Value:
        """A number, known or a value of the model, as a tensor without dimensions."""
        if isinstance(number, Value):
            return self.cast(number, dtype)
        return self.constant(number, dtype)

    def shape_of(self, value: Value) -> Value:
        """The sizes of a value as integers."""
        if value.shape is not None and all(isinstance(s, int) for s in value.shape):
            return self.ints(list(value.shape))
        return self.op("Shape", value, like=(torch.int64, (len(value.shape or ()),)))  # type: ignore[no-any-return]

    def size_of(self, value: Value, dim: int) -> Value:
        """One size of a value, as a tensor with one element."""
        if value.shape is not None and isinstance(value.shape[dim], int):
            return self.ints([value.shape[dim]])
        dim = dim % value.rank
        return self.op("Shape", value, start=dim, end=dim + 1, like=(torch.int64, (1,)))  # type: ignore[no-any-return]

    def sizes(self, numbers: Sequence[Any]) -> Value:
        """Sizes, some of which are values of the model, as one tensor."""
        if all(isinstance(n, int) for n in numbers):
            return self.ints(list(numbers))
        parts: list[Value] = []
        known: list[int] = []
        for n in numbers:
            if isinstance(n, Value):
                if known:
                    parts.append(self.ints(known))
                known = []
                shaped = n if n.shape == (1,) else self.op("Reshape", n, self.ints([1]), like=(torch.int64, (1,)))
                parts.append(self.cast(shaped, torch.int64))
            else:
                known.append(int(n))
        if known:
            parts.append(self.ints(known))
        if len(parts) == 1:
            return parts[0]
        return self.op("Concat", *parts, axis=0, like=(torch.int64, (len(numbers),)))  # type: ignore[no-any-return]

    def reshape(self, value: Value, sizes: Sequence[Any], shape: tuple[Any, ...] | None = None) -> Value:
        """The elements of a value in other sizes; -1 stands for what is left."""
        known = tuple(sizes) if all(isinstance(s, int) and s >= 0 for s in sizes) else None
        made = self.op("Reshape", value, self.sizes(sizes), allowzero=1 if 0 in list(sizes) else None,
                       like=(value.dtype, shape if shape is not None else known))  # fmt: skip
        if made.shape is None:
            made.shape = (None,) * len(sizes)
        return made  # type: ignore[no-any-return]

    def transpose(self, value: Value, order: Sequence[int]) -> Value:
        """The value with its dimensions in another order."""
        order = [d % value.rank for d in order]
        if order == list(range(value.rank)):
            return value
        assert value.shape is not None
        shape = tuple(value.shape[d] for d in order)
        return self.op("Transpose", value, perm=order, like=(value.dtype, shape))  # type: ignore[no-any-return]

    def unsqueeze(self, value: Value, *dims: int) -> Value:
        """The value with dimensions of size 1 where ``dims`` says, counted in the result."""
        shape = list(value.shape or ())
        rank = value.rank + len(dims)
        for d in sorted(d % rank for d in dims):
            shape.insert(d, 1)
        axes = self.ints(sorted(d % rank for d in dims))
        return self.op("Unsqueeze", value, axes, like=(value.dtype, tuple(shape)))  # type: ignore[no-any-return]

    def squeeze(self, value: Value, *dims: int) -> Value:
        """The value without some dimensions of size 1."""
        gone = {d % value.rank for d in dims}
        shape = tuple(s for i, s in enumerate(value.shape or ()) if i not in gone)
        return self.op("Squeeze", value, self.ints(sorted(gone)), like=(value.dtype, shape))  # type: ignore[no-any-return]

    def reduce(self, kind: str, value: Value, dims: Sequence[int] | None, keepdim: bool) -> Value:
        """A reduction over some dimensions, over all if ``dims`` is None or empty."""
        rank = value.rank
        axes = sorted({d % rank for d in dims}) if dims and rank else list(range(rank))
        if not axes:
            return self.op("Identity", value, like=value)  # type: ignore[no-any-return]
        shape = tuple(
            1 if i in axes else s for i, s in enumerate(value.shape or ()) if keepdim or i not in axes
        )
        like = (value.dtype, shape)
        if self.opset >= 18 or kind == "ReduceSum":
            return self.op(kind, value, self.ints(axes), keepdims=int(keepdim), like=like)  # type: ignore[no-any-return]
        return self.op(kind, value, axes=axes, keepdims=int(keepdim), like=like)  # type: ignore[no-any-return]


_TRUTH = frozenset("Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not IsNaN IsInf".split())


# Operations whose results have the shape of their largest input, if that is the same for all or 1.
_POINTWISE = _TRUTH | frozenset(
    """
    Abs Add Cast Ceil Clip Div Elu Erf Exp Floor Identity Log Max Min Mod Mul Neg Pow Reciprocal Relu Round Sigmoid Sign
    Softplus Sqrt Sub Tanh Where
    """.split()
)


def _guess(kind: str, inputs: list[Value | None], made: Value, attributes: dict[str, Any]) -> None:
    """What is known of a result from its operation: pointwise ones keep the dtype, and the shape of an equal one."""
    given = [v for v in inputs if v is not None]
    if kind in _TRUTH:
        made.dtype = torch.bool
    elif kind == "Cast":
        made.dtype = next(d for d, number in ELEMENT_TYPES.items() if number == attributes["to"])
    elif given:
        made.dtype = given[1].dtype if kind == "Where" else given[0].dtype
    shapes = [v.shape for v in given if v.shape is not None and kind in _POINTWISE]
    if len(shapes) == len(given) and shapes:
        longest = max(shapes, key=len)
        if all(s == longest or all(n == 1 for n in s) for s in shapes):
            made.shape = longest
