"""Sums of products over named or numbered dimensions: ``einsum``, ``tensordot`` and their relatives."""

from __future__ import annotations

import torch

from ._common import into, require_tensors, scalar_type, sizes, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor

_ELLIPSIS = "..."
Labels = list[str]


def _label(number: Any) -> str:
    """The letter that stands for a number of the sublist format."""
    if not 0 <= number < 52:
        raise ValueError(f"einsum(): subscripts in subscript list are not within the valid range [0, 52), got {number}")
    return chr(ord("A") + number) if number < 26 else chr(ord("a") + number - 26)


def _from_sublist(subscripts: Sequence[Any]) -> Labels:
    return [_ELLIPSIS if s is Ellipsis else _label(s) for s in subscripts]


def _tokens(text: str, where: str) -> Labels:
    labels: Labels = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == " ":
            at += 1
        elif char == ".":
            if text[at : at + 3] != _ELLIPSIS or _ELLIPSIS in labels:
                raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis")
            labels.append(_ELLIPSIS)
            at += 3
        elif char.isascii() and char.isalpha():
            labels.append(char)
            at += 1
        else:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {at} in the equation string, subscripts must be in "
                "[a-zA-Z]"
            )
    return labels


def _parse(args: tuple[Any, ...]) -> tuple[list[Labels], Labels | None, list[Tensor]]:
    """The labels of each operand, those of the result if given, and the operands."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if not isinstance(args[0], torch.Tensor) and isinstance(args[0], str):
        equation, operands = args[0], list(args[1:])
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
        left, arrow, right = equation.partition("->")
        inputs = [_tokens(part, f"operand {i}") for i, part in enumerate(left.split(","))]
        output = _tokens(right, "the output") if arrow else None
    else:
        operands = list(args[0 : len(args) - len(args) % 2 : 2])
        inputs = [_from_sublist(s) for s in args[1::2]]
        output = _from_sublist(args[-1]) if len(args) % 2 else None
    if len(operands) < len(inputs):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    if len(operands) > len(inputs):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    return inputs, output, operands


def _spread(labels: Labels, extra: int) -> Labels:
    """Labels with the ellipsis replaced by the last ``extra`` of the broadcast dimensions, numbered from the back."""
    at = labels.index(_ELLIPSIS)
    return [*labels[:at], *(f"#{i}" for i in range(extra, 0, -1)), *labels[at + 1 :]]


def _expand_labels(inputs: list[Labels], output: Labels | None, operands: list[Tensor]) -> tuple[list[Labels], Labels]:
    widest, has_ellipsis = 0, False
    full: list[Labels] = []
    for i, (labels, operand) in enumerate(zip(inputs, operands, strict=True)):
        named = len(labels) - (_ELLIPSIS in labels)
        rank = operand.dim()
        if _ELLIPSIS in labels:
            if named > rank:
                raise RuntimeError(
                    f"einsum(): the number of subscripts in the equation ({named}) is more than the number of "
                    f"dimensions ({rank}) for operand {i}"
                )
            has_ellipsis = True
            widest = max(widest, rank - named)
            labels = _spread(labels, rank - named)
        elif named != rank:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions "
                f"({rank}) for operand {i} and no ellipsis was given"
            )
        full.append(labels)
    batch = [f"#{i}" for i in range(widest, 0, -1)]
    if output is None:
        counts: dict[str, int] = {}
        for labels in full:
            for label in labels:
                counts[label] = counts.get(label, 0) + 1
        return full, batch + sorted(k for k, n in counts.items() if n == 1 and not k.startswith("#"))
    if _ELLIPSIS in output:
        if not has_ellipsis:
            widest = 0
        output = _spread(output, widest)
    known = {label for labels in full for label in labels}
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if label not in known:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
    return full, output


def _diagonals(operand: Tensor, labels: Labels, index: int) -> tuple[Tensor, Labels]:
    """Take the diagonal wherever one operand repeats a label."""
    labels = list(labels)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if operand.shape[first] != operand.shape[second]:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {index} but the sizes don't match, "
                    f"{operand.shape[second]} != {operand.shape[first]}"
                )
            operand = operand.diagonal(0, first, second).movedim(-1, first)
            del labels[second]
    return operand, labels


def _check_sizes(operands: list[Tensor], inputs: list[Labels]) -> None:
    extents: dict[str, int] = {}
    for i, (operand, labels) in enumerate(zip(operands, inputs, strict=True)):
        for label, size in zip(labels, operand.shape, strict=True):
            seen = extents.get(label, 1)
            if size != 1 and seen != 1 and size != seen:
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {size} for operand {i} which does not broadcast with "
                    f"previously seen size {seen}"
                )
            if size != 1:
                extents[label] = size


def _sum_out(t: Tensor, labels: Labels, keep: set[str]) -> tuple[Tensor, Labels]:
    gone = [i for i, label in enumerate(labels) if label not in keep]
    if gone:
        t = t.sum(gone)
        labels = [label for label in labels if label in keep]
    return t, labels


def _squeeze_against(t: Tensor, labels: Labels, other: Tensor, other_labels: Labels) -> tuple[Tensor, Labels]:
    """Drop dimensions of size 1 that the other operand has at a larger size: they only broadcast."""
    drop = [
        i
        for i, label in enumerate(labels)
        if t.shape[i] == 1 and label in other_labels and other.shape[other_labels.index(label)] != 1
    ]
    for i in reversed(drop):
        t = t.squeeze(i)
    return t, [label for i, label in enumerate(labels) if i not in drop]


def _pair(a: Tensor, al: Labels, b: Tensor, bl: Labels, keep: set[str]) -> tuple[Tensor, Labels]:
    """Contract two operands to the labels that are still needed."""
    a, al = _squeeze_against(a, al, b, bl)
    b, bl = _squeeze_against(b, bl, a, al)
    a, al = _sum_out(a, al, keep | set(bl))
    b, bl = _sum_out(b, bl, keep | set(al))
    batch = [x for x in al if x in bl and x in keep]
    inner = [x for x in al if x in bl and x not in keep]
    left = [x for x in al if x not in bl]
    right = [x for x in bl if x not in al]
    result_labels = batch + left + right
    size = dict(zip(bl, b.shape, strict=True)) | dict(zip(al, a.shape, strict=True))
    a = a.permute([al.index(x) for x in batch + left + inner])
    if not inner:
        b = b.permute([bl.index(x) for x in batch + right])
        ones = [1] * len(left)
        a = a.reshape([*a.shape, *[1] * len(right)])
        b = b.reshape([*b.shape[: len(batch)], *ones, *b.shape[len(batch) :]])
        return a * b, result_labels
    b = b.permute([bl.index(x) for x in batch + inner + right])

    def extent(labels: Labels) -> int:
        total = 1
        for label in labels:
            total *= size[label]
        return total

    n, rows, columns, depth = extent(batch), extent(left), extent(right), extent(inner)
    if batch:
        product = torch.bmm(a.reshape(n, rows, depth), b.reshape(n, depth, columns))
    else:
        product = torch.mm(a.reshape(rows, depth), b.reshape(depth, columns))
    return product.reshape([size[x] for x in result_labels]), result_labels


def einsum(*args: Any) -> Tensor:
    """Sum products of operands over the labels that the result does not have.

    Labels name dimensions: ``"ij,jk->ik"`` is a matrix product, ``"ii->i"`` a diagonal, ``"...ij->...ji"`` a batched
    transposition. Operands are contracted in pairs from left to right by matrix products. The form
    ``einsum(a, [0, 1], b, [1, 2], [0, 2])`` gives the labels as numbers.

    >>> torch.einsum("ij,j->i", torch.eye(2), torch.tensor([3., 4.]))
    tensor([3., 4.])
    """
    inputs, wanted, operands = _parse(args)
    full, output = _expand_labels(inputs, wanted, operands)
    for i, (operand, labels) in enumerate(zip(operands, full, strict=True)):
        operands[i], full[i] = _diagonals(operand, labels, i)
    _check_sizes(operands, full)
    result, labels = operands[0], full[0]
    for i in range(1, len(operands)):
        later = {label for rest in full[i + 1 :] for label in rest}
        result, labels = _pair(result, labels, operands[i], full[i], set(output) | later)
    result, labels = _sum_out(result, labels, set(output))
    return result.permute([labels.index(x) for x in output])


def _einsum_form(*args: Any) -> tuple[Any, ...]:
    """Operands in a list become arguments: that is how overriding classes and traces see a call."""
    if len(args) == 2 and isinstance(args[0], str) and isinstance(args[1], (list, tuple)):
        return args[0], *args[1]
    return args


einsum.form = _einsum_form  # type: ignore[attr-defined]


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Contract dimensions of ``a`` with dimensions of ``b``: a number of last and first ones, or a pair of lists.

    >>> torch.tensordot(torch.ones(2, 3), torch.ones(3, 4), 1).shape
    torch.Size([2, 4])
    """
    if isinstance(dims, torch.Tensor):
        if dims.numel() > 1:
            dims = dims.tolist()
        else:
            if dims.item() < 0:
                raise RuntimeError(f"tensordot expects dims >= 0, but got dims={int(dims.item())}")
            dims = int(dims.item())
    if isinstance(dims, (tuple, list)):
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    elif isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        first, second = list(range(-dims, 0)), list(range(dims))
    else:
        raise RuntimeError(
            "tensordot expects dims to be int or tuple[list[int], list[int]] or list[list[int]] containing two lists, "
            f"but got dims={dims}"
        )
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    if a.dtype != b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    if out is not None and out.dtype != a.dtype:
        raise RuntimeError(
            f"tensordot: Expected the output tensor to have dtype {scalar_type(a.dtype)}, but got an output tensor "
            f"with dtype {scalar_type(out.dtype)}"
        )
    first, second = [wrap_dim(d, a.dim()) for d in first], [wrap_dim(d, b.dim()) for d in second]
    for d, e in zip(first, second, strict=True):
        x, y = a.shape[d], b.shape[e]
        if x == y:
            continue
        if y == 1:
            a = a.sum(d, keepdim=True, dtype=a.dtype)
        elif x == 1:
            b = b.sum(e, keepdim=True, dtype=b.dtype)
        else:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {x} in dim {d} and second has size {y} in "
                f"dim {e}"
            )
    kept_a = [d for d in range(a.dim()) if d not in first]
    kept_b = [d for d in range(b.dim()) if d not in second]
    depth = rows = columns = 1
    for d in first:
        depth *= a.shape[d]
    for d in kept_a:
        rows *= a.shape[d]
    for d in kept_b:
        columns *= b.shape[d]
    left = a.permute(kept_a + first).reshape(rows, depth)
    right = b.permute(second + kept_b).reshape(depth, columns)
    shape = [a.shape[d] for d in kept_a] + [b.shape[d] for d in kept_b]
    return into(torch.mm(left, right).reshape(shape), out)


def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products of the last dimensions, summed.

    >>> torch.inner(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor(11)
    """
    if input.dim() == 0 or other.dim() == 0:
        return into(input * other, out)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {sizes(input)} and "
            f"{sizes(other)}"
        )
    return tensordot(input, other, ([-1], [-1]), out)


def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The Kronecker product: ``other`` scaled by each element of ``input``.

    >>> torch.kron(torch.eye(2), torch.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    require_tensors("kron", input=input, other=other)
    rank = max(input.dim(), other.dim())
    a_shape = [1] * (rank - input.dim()) + list(input.shape)
    b_shape = [1] * (rank - other.dim()) + list(other.shape)
    a = input.reshape([n for size in a_shape for n in (size, 1)])
    b = other.reshape([n for size in b_shape for n in (1, size)])
    return into((a * b).reshape([x * y for x, y in zip(a_shape, b_shape, strict=True)]), out)


def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Tensor:
    """The product of matrices in the cheapest order (deprecated: use ``torch.linalg.multi_dot``).

    >>> torch.chain_matmul(torch.eye(2), torch.eye(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    import warnings

    warnings.warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot "
        "instead, which accepts a list of two or more tensors rather than multiple parameters.",
        stacklevel=2,
    )
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for matrix in matrices:
        if matrix.dim() != 2:
            raise RuntimeError(f"Tensor dimension is {matrix.dim()}, expected 2 instead.")
    if len(matrices) == 1:
        return into(matrices[0], out)
    return torch.linalg.multi_dot(matrices, out=out)
