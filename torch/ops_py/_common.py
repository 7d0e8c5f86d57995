"""What the composites share: argument checks, dimension arithmetic and the ``out=`` convention."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor

_SCALAR_TYPES = {
    "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long", "float16": "Half",
    "float32": "Float", "float64": "Double", "complex32": "ComplexHalf", "complex64": "ComplexFloat",
    "complex128": "ComplexDouble", "bool": "Bool", "bfloat16": "BFloat16", "uint16": "UInt16", "uint32": "UInt32",
    "uint64": "UInt64",
}  # fmt: skip


def may_look(*tensors: Tensor) -> bool:
    """Whether checks of values can be made: those of one example of a batch are not known under ``vmap``."""
    return not torch._C._vmap_depth() or all(torch._C._vmap_parts(t) is None for t in tensors)


def scalar_type(dtype: torch.dtype) -> str:
    """The name that error messages use for a dtype, such as ``Float``."""
    name = str(dtype).rpartition(".")[2]
    return _SCALAR_TYPES.get(name, name.capitalize())


# What NumPy calls the parameters; native functions know these names too (src/bindings/parse.cpp).
NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def numpy_names(function: Any) -> Any:
    """``function``, taking its parameters by NumPy's names too (``axis`` for ``dim``), as native functions do."""
    code = getattr(function, "__code__", None)
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    renamed = {theirs: ours for theirs, ours in NUMPY_NAMES.items() if ours in own and theirs not in own}
    if not renamed:
        return function
    from functools import wraps

    @wraps(function)
    def renaming(*args: Any, **kwargs: Any) -> Any:
        for theirs in renamed.keys() & kwargs.keys():
            if renamed[theirs] not in kwargs:
                kwargs[renamed[theirs]] = kwargs.pop(theirs)
        return function(*args, **kwargs)

    return renaming


def require_tensors(function: str, **arguments: Any) -> None:
    """Raise what the native functions raise for an argument that is no tensor."""
    for position, (name, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"{function}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}"
            )


_C_TYPES = {
    "uint8": "unsigned char", "int8": "signed char", "int16": "short int", "int32": "int", "int64": "long int",
    "float16": "c10::Half", "float32": "float", "float64": "double", "bfloat16": "c10::BFloat16", "bool": "bool",
    "complex32": "c10::complex<c10::Half>", "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


def exactly_into(result: Tensor, out: Tensor | None) -> Tensor:
    """Store a result in ``out`` if that was given and has the very dtype of the result."""
    if out is not None and out.dtype != result.dtype:
        have, wanted = (_C_TYPES.get(str(t.dtype)[6:], scalar_type(t.dtype)) for t in (out, result))
        raise RuntimeError(f"Expected out tensor to have dtype {wanted}, but got {have} instead")
    return into(result, out)


def into(result: Tensor, out: Tensor | None) -> Tensor:
    """Store a result in ``out`` if that was given, under the rules of every ``out=`` argument."""
    if out is None:
        return result
    if not torch.can_cast(result.dtype, out.dtype):
        raise RuntimeError(
            f"result type {scalar_type(result.dtype)} can't be cast to the desired output type {scalar_type(out.dtype)}"
        )
    if out.shape != result.shape:
        if out.numel():
            import warnings

            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not "
                f"match the required output shape {list(result.shape)}. This behavior is deprecated, and in a future "
                "PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse "
                "an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
                stacklevel=3,
            )
        out.resize_(result.shape)
    out.copy_(result)
    return out


def into_all(results: Sequence[Tensor], out: Sequence[Tensor] | None) -> tuple[Tensor, ...]:
    """``into`` for several results."""
    if out is None:
        return tuple(results)
    return tuple(into(result, target) for result, target in zip(results, out, strict=True))


def wrap_dim(dim: int, rank: int) -> int:
    """A dimension counted from the front; a tensor without dimensions takes 0 and -1."""
    bound = max(rank, 1)
    if not -bound <= dim < bound:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})")
    return dim % bound


def wrap_dims(dims: Any, rank: int) -> list[int]:
    """Several dimensions, each counted from the front, none twice. ``None`` stands for all."""
    if dims is None:
        return list(range(rank))
    if isinstance(dims, int):
        return [wrap_dim(dims, rank)]
    wrapped = [wrap_dim(dim, rank) for dim in dims]
    for dim in wrapped:
        if wrapped.count(dim) > 1:
            raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return wrapped


def sizes(tensor: Tensor) -> str:
    """A shape as error messages show it."""
    return str(list(tensor.shape))


def promote(*tensors: Tensor) -> torch.dtype:
    """The dtype in which tensors of these dtypes meet."""
    dtype = tensors[0].dtype
    for i in range(1, len(tensors)):
        dtype = torch.promote_types(dtype, tensors[i].dtype)
    return dtype


def flat_arguments(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """``f(a, b)`` and ``f([a, b])`` alike."""
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        return tuple(args[0])
    return args


def factory_options(tensor: Tensor) -> dict[str, Any]:
    """Keyword arguments that make a new tensor like this one."""
    return {"dtype": tensor.dtype, "device": tensor.device}
