"""Nested tensors of the strided layout, PyTorch's older prototype: the entries may differ in any dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._over_parts import OPERATORS, OverParts, differentiate

Rule = Callable[..., Any]

# Element by element, of one tensor or of several of equal sizes.
_POINTWISE = frozenset(
    """
    abs add sub mul div neg sin cos sgn relu gelu silu tanh sigmoid logical_not ge gt eq le lt ne exp log sqrt square
    dropout native_dropout clone contiguous detach to float double half bfloat16 int long bool zeros_like ones_like
    empty_like rand_like randn_like full_like fill zero pow reciprocal rsqrt rsub bitwise_not isnan isinf masked_fill
    """.split()
)


class StridedNestedTensor(OverParts):
    """A batch of tensors of one number of dimensions, whose sizes may differ anywhere.

    Made by ``torch.nested.nested_tensor`` and ``as_nested_tensor`` without a layout. The jagged layout does more.

    >>> torch.nested.nested_tensor([torch.tensor([1, 2]), torch.tensor([3])])
    nested_tensor([
      tensor([1, 2]),
      tensor([3])
    ])
    """

    _sizes: tuple[torch.Size, ...]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def like(self, part: Tensor) -> StridedNestedTensor:
        """Other values of the same sizes."""
        return _wrap(part, self._sizes)

    def values(self) -> Tensor:
        """All elements one after the other."""
        return self._part

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """The entries: views.

        Raises RuntimeError for another dimension than the first.
        """
        if dim != 0:
            raise RuntimeError("NestedTensor can only be unbound along dimension 0 ")
        pieces = self._part.split([size.numel() for size in self._sizes]) if self._sizes else ()
        return tuple(piece.view(size) for piece, size in zip(pieces, self._sizes, strict=True))

    def size(self, dim: int | None = None) -> Any:
        """The size of one dimension, if it is the same for all entries; RuntimeError otherwise."""
        if dim is None:
            raise RuntimeError(
                "Internal error: NestedTensorImpl doesn't support sizes. Please file an issue.\nTake them from "
                "the entries: "
                "[t.shape for t in nt.unbind()]"
            )
        d = _dimension(self, dim)
        if d == 0:
            return len(self._sizes)
        found = {size[d - 1] for size in self._sizes}
        if len(found) != 1:
            raise RuntimeError(f"Given dimension {d} is irregular and does not have a size.")
        return found.pop()

    @property
    def shape(self) -> Any:
        """Raise RuntimeError: see ``size``."""
        return self.size()

    def dim(self) -> int:
        """The number of dimensions, with the batch."""
        return (len(self._sizes[0]) if self._sizes else 0) + 1

    def numel(self) -> int:
        """The number of elements."""
        return self._part.numel()

    @property
    def layout(self) -> torch.layout:
        """``torch.strided``."""
        return torch.strided

    @property
    def is_nested(self) -> bool:
        """True."""
        return True

    def is_contiguous(self, memory_format: torch.memory_format = torch.contiguous_format) -> bool:
        """True: the entries lie one after the other."""
        return True

    def to_padded_tensor(self, padding: float, output_size: Sequence[int] | None = None) -> Tensor:
        """The dense batch, as ``torch.nested.to_padded_tensor``."""
        entries = self.unbind()
        longest = [max(sizes) for sizes in zip(*self._sizes, strict=True)]
        if output_size is not None:
            if len(output_size) != self.dim():
                raise RuntimeError(
                    "Length of output_size does not match NestedTensor dims. Broadcasting is not supported."
                )
            if output_size[0] < len(entries) or any(a < b for a, b in zip(output_size[1:], longest, strict=True)):
                raise RuntimeError(
                    "Value in output_size is less than NestedTensor padded size. Truncation is not supported."
                )
            longest = list(output_size[1:])
        padded = []
        for t in entries:
            edges = [pad for size, most in zip(t.shape[::-1], longest[::-1], strict=True) for pad in (0, most - size)]
            padded.append(torch.nn.functional.pad(t, edges, value=padding))
        extra = 0 if output_size is None else output_size[0] - len(entries)
        padded += [self._part.new_full(longest, padding)] * extra
        return torch.stack(padded)

    def _nested_tensor_size(self) -> Tensor:
        """The sizes of all entries, a row each."""
        return torch.tensor([list(size) for size in self._sizes])

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Any:
        return iter(self.unbind())

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        parts = [t.detach().requires_grad_(self.requires_grad) for t in self.unbind()]
        entries = ",\n".join("  " + repr(t).replace("\n", "\n  ") for t in parts)
        history = ""
        if self.requires_grad:
            node = self.grad_fn
            history = f", grad_fn=<{type(node).__name__}>" if node is not None else ", requires_grad=True"
        return f"nested_tensor([\n{entries}\n]{history})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        from torch._utils import _rebuild_nested_tensor

        # The form of PyTorch's files: sizes, strides and offsets of all entries as tensors of integers.
        rows = torch.tensor([list(size) for size in self._sizes], dtype=torch.int64)
        ones = torch.ones(rows.shape[0], 1, dtype=torch.int64)
        strides = torch.cat([rows[:, 1:].flip(1).cumprod(1).flip(1), ones], 1)
        counts = rows.prod(1)
        return _rebuild_nested_tensor, (self._part.detach(), rows, strides, counts.cumsum(0) - counts)


def _wrap(part: Tensor, sizes: Sequence[torch.Size]) -> StridedNestedTensor:
    result = torch.empty(0, dtype=part.dtype, device=part.device).as_subclass(StridedNestedTensor)
    result._part, result._sizes = part, tuple(sizes)
    return result


def gathered(entries: Sequence[Tensor], dtype: Any = None, device: Any = None) -> StridedNestedTensor:
    """Entries as one nested tensor, which autograd ties to them.

    Raises:
        RuntimeError: if they differ in the number of dimensions.
    """
    for i, t in enumerate(entries):
        if t.dim() != entries[0].dim():
            raise RuntimeError(
                "All Tensors given to nested_tensor must have the same dimension. Found dimension "
                f"{t.dim()} for Tensor at index {i} and dimension {entries[0].dim()} for Tensor at index 0."
            )
    if not entries:
        return _wrap(torch.empty(0, dtype=dtype, device=device), ())
    wanted = {"dtype": dtype or entries[0].dtype, "device": device or entries[0].device}
    return _wrap(torch.cat([t.to(**wanted).reshape(-1) for t in entries]), [t.shape for t in entries])


def _dimension(nested: StridedNestedTensor, dim: int, extra: int = 0) -> int:
    n = nested.dim() + extra
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    name = getattr(func, "__name__", str(func))
    name = OPERATORS.get(name, name)
    if name == "__get__":
        return getattr(args[0]._part, func.__self__.__name__)
    if name in _RULES:
        return _RULES[name](func, *args, **kwargs)
    base = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    if base in _POINTWISE:
        return _pointwise(base, func, args, kwargs)
    raise NotImplementedError(
        f"Could not run 'aten::{name}' with arguments from the 'NestedTensorCPU' backend.\nCall it for each entry of "
        "nt.unbind(), or make the tensor with layout=torch.jagged"
    )


def _pointwise(name: str, func: Any, args: Any, kwargs: Any) -> Any:
    nested = [a for a in args if isinstance(a, StridedNestedTensor)]
    first = nested[0]
    for a in args:
        if isinstance(a, StridedNestedTensor):
            if a._sizes != first._sizes:
                raise RuntimeError(f"{name} does not support broadcasting when given a NestedTensor")
        elif isinstance(a, Tensor) and a.dim() > 0:
            raise RuntimeError("Expected both self and other to be nested, but got a nested self and non-nested other")
    result = func(*map(OverParts._plain, args), **{k: OverParts._plain(v) for k, v in kwargs.items()})
    return args[0] if result is getattr(args[0], "_part", None) else first.like(result)


def _each(func: Any, input: StridedNestedTensor, *args: Any, **kwargs: Any) -> StridedNestedTensor:
    return gathered([func(t, *args, **kwargs) for t in input.unbind()])


def _inside(message: str, extra: int = 0) -> Rule:
    """An operation whose dimensions are those of the entries, one less than the batch's."""

    def rule(func: Any, input: StridedNestedTensor, *dims: int, **kwargs: Any) -> StridedNestedTensor:
        inner = [_dimension(input, d, extra) for d in (*dims, *([kwargs.pop("dim")] if "dim" in kwargs else []))]
        if 0 in inner:
            raise RuntimeError(message)
        return _each(func, input, *(d - 1 for d in inner), **kwargs)

    return rule


def _softmax(func: Any, input: StridedNestedTensor, dim: int, *args: Any, **kwargs: Any) -> StridedNestedTensor:
    d = _dimension(input, dim)
    if d == 0:
        raise RuntimeError("Cannot apply softmax across nested dimension 0")
    return _each(func, input, d - 1, *args, **kwargs)


def _sum(func: Any, input: StridedNestedTensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    if dim is None:
        return input._part.sum(**kwargs)
    dims = [dim] if isinstance(dim, int) else list(dim)
    d = _dimension(input, dims[0])
    if len(dims) != 1 or d != input.dim() - 1:
        raise RuntimeError(
            f"NestedTensor can only be reduced across the last dimension for now got dimension {d} instead."
        )
    if not keepdim:
        raise RuntimeError("NestedTensor always requires keepdim=True for now.")
    return _each(func, input, -1, True, **kwargs)


def _select(func: Any, input: StridedNestedTensor, dim: int, index: int) -> Tensor:
    d = _dimension(input, dim)
    if d:
        return gathered([t.select(d - 1, index) for t in input.unbind()])
    count = len(input._sizes)
    if not -count <= index < count:
        raise IndexError(f"index {index} is out of bounds for dimension 0 with size {count}")
    return input.unbind()[index]


def _getitem(func: Any, input: StridedNestedTensor, index: Any) -> Tensor:
    first, *rest = index if isinstance(index, tuple) else (index,)
    if not isinstance(first, int):
        raise NotImplementedError(
            "Could not run 'aten::slice.Tensor' with arguments from the 'NestedTensorCPU' backend.\nThe batch is "
            "indexed by a "
            "number; take more from nt.unbind()"
        )
    entry = _select(None, input, 0, first)
    return entry[tuple(rest)] if rest else entry


def _matmul(func: Any, input: Any, other: Any) -> StridedNestedTensor:
    pair = [isinstance(t, StridedNestedTensor) for t in (input, other)]
    if not all(pair):
        which = ["a nested" if p else "non-nested" for p in pair]
        raise RuntimeError(f"Expected both to be nested, but got {which[0]} self and {which[1]} other")
    return gathered([a @ b for a, b in zip(input.unbind(), other.unbind(), strict=True)])


def _reshape(func: Any, input: StridedNestedTensor, *size: Any) -> StridedNestedTensor:
    wanted = list(size[0]) if len(size) == 1 and not isinstance(size[0], int) else list(size)
    if not wanted or wanted[0] != len(input._sizes):
        raise RuntimeError(
            f"{func.__name__}: For now nested {func.__name__} cannot change the implicit batch dimension"
        )
    results = []
    for t in input.unbind():
        # -1 keeps a size of its own place, and is inferred behind the last of them
        sizes = [
            t.shape[i] if s == -1 and wanted.count(-1) > 1 and i < t.dim() else s for i, s in enumerate(wanted[1:])
        ]
        results.append(t.reshape(sizes))
    return gathered(results)


def _chunk(func: Any, input: StridedNestedTensor, chunks: int, dim: int = 0) -> tuple[StridedNestedTensor, ...]:
    if _dimension(input, dim) != input.dim() - 1:
        raise RuntimeError("Chunk for nested tensors is currently only supported for the last dimension.")
    columns = [t.chunk(chunks, -1) for t in input.unbind()]
    return tuple(gathered(column) for column in zip(*columns, strict=True))


def _cat(func: Any, tensors: Sequence[Any], dim: int = 0) -> StridedNestedTensor:
    listed = isinstance(tensors, (tuple, list))
    if dim != 0 or not listed or not all(isinstance(t, StridedNestedTensor) for t in tensors):
        raise RuntimeError("cat(): nested tensors are joined with nested tensors, along dimension 0")
    return gathered([entry for t in tensors for entry in t.unbind()])


def _attention(func: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> StridedNestedTensor:
    entries = zip(query.unbind(), key.unbind(), value.unbind(), strict=True)
    return gathered([func(q, k, v, *args, **kwargs) for q, k, v in entries])


def _embedding(func: Any, *args: Any, **kwargs: Any) -> StridedNestedTensor:
    indices = next((a for a in args if isinstance(a, StridedNestedTensor) and not a.is_floating_point()), None)
    if indices is None:
        raise RuntimeError("embedding(): expected nested indices of an integer dtype")
    return gathered([func(*(t if a is indices else a for a in args), **kwargs) for t in indices.unbind()])


def _copy_(func: Any, input: StridedNestedTensor, src: Any, non_blocking: bool = False) -> StridedNestedTensor:
    if not isinstance(src, StridedNestedTensor) or src._sizes != input._sizes:
        raise RuntimeError("copy_ only supports tensors that are the same size for Nested implementations")
    input._part.copy_(src._part)
    return input


_LATER = (
    "is not supported at the moment if you need this feature, please open an issue on github describing your use case."
)
_RULES: dict[str, Rule] = {
    "unbind": lambda func, input, dim=0: input.unbind(dim),
    "softmax": _softmax,
    "_softmax": _softmax,
    "sum": _sum,
    "select": _select,
    "getitem": _getitem,
    "transpose": _inside("Nested tensor dimension 0 cannot be transposed"),
    "unsqueeze": _inside(f"unsqueeze(): For nested tensors, unsqueezing dimension 0 {_LATER}", 1),
    "squeeze": _inside(f"squeeze(): For nested tensors, squeezing dimension 0 {_LATER}"),
    **dict.fromkeys(("linear", "layer_norm"), _each),
    **dict.fromkeys(("matmul", "bmm"), _matmul),
    **dict.fromkeys(("reshape", "view"), _reshape),
    "chunk": _chunk,
    "cat": _cat,
    "embedding": _embedding,
    "scaled_dot_product_attention": _attention,
    "copy_": _copy_,
    "numel": lambda func, input: input.numel(),
    "is_nonzero": lambda func, input: bool(input._part),
    "grad": differentiate,
}
