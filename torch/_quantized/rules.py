"""What operations do with quantised tensors: those that PyTorch has for them, and an error for any other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._over_parts import OPERATORS

from . import arithmetic
from .quantizer import PerChannel, PerTensor, title, to_integers
from .tensor import QuantizedTensor, no_kernel, wrap

Rule = Callable[..., Any]

# Moves elements, which keep their meaning.
MOVES = frozenset(
    """
    view reshape flatten unflatten t transpose swapaxes swapdims permute movedim moveaxis expand expand_as view_as
    reshape_as broadcast_to unbind split split_with_sizes chunk tensor_split hsplit vsplit dsplit flip repeat tile
    repeat_interleave unfold as_strided mT T adjoint index_select take_along_dim diagonal pixel_shuffle pixel_unshuffle
    channel_shuffle native_channel_shuffle rot90 fliplr flipud narrow_copy upsample_nearest1d
    upsample_nearest2d upsample_nearest3d
    """.split()
)
# Of these, the ones that per-channel tensors have too.
_PER_CHANNEL_MOVES = frozenset(("view", "reshape", "view_as", "reshape_as", "flatten", "unflatten"))
# Answers about the tensor that need no rule: the integers give them.
QUESTIONS = frozenset(
    """
    size dim ndimension numel nelement stride storage_offset element_size is_complex is_contiguous get_device data_ptr
    is_pinned is_same_size is_floating_point untyped_storage is_conj is_neg is_inference dim_order is_shared
    share_memory_ __len__ is_nonzero const_data_ptr _is_view is_set_to register_hook
    """.split()
)
_ATTRIBUTES = frozenset(
    """
    shape ndim device layout is_cuda is_cpu is_meta is_sparse is_sparse_csr is_leaf grad_fn grad is_mps is_xpu itemsize
    nbytes _version _base is_nested is_mkldnn output_nr names retains_grad is_vulkan is_mtia is_ipu is_xla is_maia
    name _backward_hooks
    """.split()
)
_COMPARISONS = frozenset("eq ne lt le gt ge greater greater_equal less less_equal not_equal".split())
# One operand only, element by element, with the same map before and after.
_SAME_MAP = frozenset(("hardtanh", "hardtanh_", "relu6", "clamp", "clip", "threshold", "std"))
# Averages and interpolations: of the integers, since the map is affine.
_AVERAGES = frozenset(
    """
    avg_pool2d avg_pool3d adaptive_avg_pool2d adaptive_avg_pool3d mean interpolate upsample upsample_bilinear2d
    upsample_nearest upsample_bilinear _adaptive_avg_pool2d _adaptive_avg_pool3d
    """.split()
)


def integers(value: Any) -> Any:
    """Quantised tensors among the arguments as their integers."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(integers, value))
    return value.integers if isinstance(value, QuantizedTensor) else value


def real(value: Any) -> Any:
    """Quantised tensors among the arguments as real numbers."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(real, value))
    return value.dequantize() if isinstance(value, QuantizedTensor) else value


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Answer a call that has a quantised tensor among its arguments.

    Raises:
        NotImplementedError: for an operation that quantised tensors do not have.
    """
    name = getattr(func, "__name__", str(func))
    if isinstance(func, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)) and not str(func).startswith("aten."):
        return func.op(*args, **kwargs)
    if name in ("__get__", "__set__"):
        return _attribute(func, *args)
    name = OPERATORS.get(name, name).removesuffix(".default")
    rule = _RULES.get(name)
    if rule is not None:
        return rule(func, *args, **kwargs)
    if name in MOVES:
        return _move(name, func, args, kwargs)
    if name in QUESTIONS:
        return func(*integers(args), **kwargs)
    if name in _COMPARISONS:
        return func(*real(args), **{key: real(value) for key, value in kwargs.items()})
    if name in _AVERAGES:
        return _average(func, *args, **kwargs)
    if name in _SAME_MAP:
        return _through_reals(func, *args, **kwargs)
    if _is_composite(func):
        # a function of Python's that is made of others: those have rules, or not
        return func.__wrapped__(*args, **kwargs)
    raise no_kernel(name)


def _is_composite(func: Any) -> bool:
    return hasattr(func, "__wrapped__") and callable(func)


def _attribute(func: Any, input: QuantizedTensor, *rest: Any) -> Any:
    name = func.__self__.__name__
    if name == "data":
        return input.like(input.integers)
    if name in ("T", "mT"):
        return _move(name, func, (input, *rest), {})
    if name in _ATTRIBUTES:
        return func(input.integers, *rest)
    raise no_kernel(name)


def _rewrapped(result: Any, quantizer: Any) -> Any:
    if isinstance(result, (tuple, list)):
        return type(result)([_rewrapped(part, quantizer) for part in result])
    return wrap(result, quantizer.with_shape(result.shape))


def _move(name: str, func: Any, args: Any, kwargs: Any) -> Any:
    quantizer = args[0]._quantizer
    if isinstance(quantizer, PerChannel):
        if name == "unbind":
            return _unbind(*args, **kwargs)
        if name == "index_select":
            raise RuntimeError("Only per_tensor quantized quantized tensors are supported by index_select.")
        if name not in _PER_CHANNEL_MOVES:
            raise RuntimeError("Setting strides is possible only on uniformly quantized tensor")
    moved = func(*integers(args), **{key: integers(value) for key, value in kwargs.items()})
    return _rewrapped(moved, quantizer)


def _unbind(input: QuantizedTensor, dim: int = 0) -> tuple[QuantizedTensor, ...]:
    return tuple(_select(None, input, dim, i) for i in range(input.shape[dim]))


# ---- parts of a tensor


def _select(func: Any, input: QuantizedTensor, dim: int, index: int) -> QuantizedTensor:
    part = input.integers.select(dim, index)
    quantizer = input._quantizer
    if isinstance(quantizer, PerChannel):
        dim = dim % input.dim()
        if dim == quantizer.axis:
            index = index % input.shape[dim]
            quantizer = quantizer.at(0, slice(index, index + 1))
        else:
            quantizer = quantizer.at(quantizer.axis - (dim < quantizer.axis))
    return wrap(part, quantizer)


def _narrow(func: Any, input: QuantizedTensor, dim: int, start: int, length: int) -> QuantizedTensor:
    return _sliced(input, dim % input.dim(), slice(int(start), int(start) + length))


def _sliced(input: QuantizedTensor, dim: int, part: slice) -> QuantizedTensor:
    chosen = input.integers[(slice(None),) * dim + (part,)]
    quantizer = input._quantizer
    if isinstance(quantizer, PerChannel) and dim == quantizer.axis:
        quantizer = quantizer.at(dim, part)
    return wrap(chosen, quantizer)


def _unsqueeze(func: Any, input: QuantizedTensor, dim: int) -> QuantizedTensor:
    quantizer = input._quantizer
    if isinstance(quantizer, PerChannel):
        quantizer = quantizer.at(quantizer.axis + (dim % (input.dim() + 1) <= quantizer.axis))
    return wrap(input.integers.unsqueeze(dim), quantizer)


def _squeeze(func: Any, input: QuantizedTensor, dim: Any = None) -> QuantizedTensor:
    quantizer = input._quantizer
    result = input.integers.squeeze() if dim is None else input.integers.squeeze(dim)
    if isinstance(quantizer, PerChannel):
        dims = (
            range(input.dim()) if dim is None else [d % input.dim() for d in ([dim] if isinstance(dim, int) else dim)]
        )
        quantizer = quantizer.at(quantizer.axis - sum(d < quantizer.axis and input.shape[d] == 1 for d in dims))
    return wrap(result, quantizer)


def _getitem(func: Any, input: QuantizedTensor, index: Any) -> QuantizedTensor:
    if not isinstance(input._quantizer, PerChannel):
        return input.like(input.integers[integers(index)])
    result, dim = input, 0
    entries = index if isinstance(index, tuple) else (index,)
    used = sum(e is not None and e is not Ellipsis for e in entries)
    for entry in entries:
        if entry is Ellipsis:
            dim += input.dim() - used
        elif entry is None:
            result, dim = _unsqueeze(None, result, dim), dim + 1
        elif isinstance(entry, slice):
            result, dim = _sliced(result, dim, entry), dim + 1
        elif isinstance(entry, int):
            result = _select(None, result, dim, entry)
        else:
            raise RuntimeError("Only per_tensor quantized quantized tensors are supported by index_select.")
    return result


def _setitem(func: Any, input: QuantizedTensor, index: Any, value: Any) -> None:
    target = _getitem(None, input, index)
    if isinstance(index, Tensor) or (isinstance(index, tuple) and any(isinstance(i, Tensor) for i in index)):
        new = input._quantizer.quantize(torch.as_tensor(real(value), dtype=torch.float32))
        input.integers[integers(index)] = new
        return
    _copy_(None, target, torch.as_tensor(real(value), dtype=torch.float32).expand(target.shape))


# ---- copies and conversions


def _clone(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> QuantizedTensor:
    return input.like(func(input.integers, *args, **kwargs))


def _copy_(func: Any, input: QuantizedTensor, source: Any, non_blocking: bool = False) -> QuantizedTensor:
    if not isinstance(input, QuantizedTensor):
        raise RuntimeError(
            "Copying from quantized Tensor to non-quantized Tensor is not allowed, please use dequantize to get a "
            "float Tensor from a quantized Tensor"
        )
    if isinstance(source, QuantizedTensor):
        if source.dtype is not input.dtype:
            raise RuntimeError(
                "Quantized copy only works with Quantized Tensors of the same dtype: "
                f"{title(input.dtype)} and {title(source.dtype)}"
            )
        # the map comes along
        input.integers.copy_(source.integers)
        input._quantizer = source._quantizer
        return input
    if source.dtype is not torch.float32:
        raise RuntimeError("Quantized copy only works with kFloat as source Tensor")
    input.integers.copy_(input._quantizer.quantize(source.expand(input.shape)))
    return input


def _to(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(input, QuantizedTensor):
        return func(input, *[real(a) for a in args], **kwargs)
    wanted = [a for a in (*args, kwargs.get("dtype")) if isinstance(a, torch.dtype)]
    if wanted and wanted[0] is not input.dtype:
        raise RuntimeError("Creation of quantized tensor requires quantized dtype like torch.quint8")
    rest = [integers(a) for a in args if not isinstance(a, torch.dtype)]
    kwargs = {key: value for key, value in kwargs.items() if key != "dtype"}
    result = input.integers.to(*rest, **kwargs) if rest or kwargs else input.integers
    return input if result.data_ptr() == input.data_ptr() else input.like(result)


def _no_conversion(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("Creation of quantized tensor requires quantized dtype like torch.quint8")


def _type(func: Any, input: QuantizedTensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    if dtype is None:
        return f"torch.quantized.{title(input.dtype)}Tensor"
    return _to(None, input, dtype)


def _same_device(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> QuantizedTensor:
    moved = func(input.integers, *args, **kwargs)
    return input if moved.device == input.device else input.like(moved)


def _empty_like(func: Any, input: QuantizedTensor, **kwargs: Any) -> QuantizedTensor:
    kwargs.pop("dtype", None)
    return input.like(torch.empty_like(input.integers, **kwargs))


def _filled(value: float | None) -> Rule:
    def rule(func: Any, input: QuantizedTensor, fill_value: Any = value, **kwargs: Any) -> QuantizedTensor:
        return _fill_(None, _empty_like(None, input, **kwargs), fill_value)

    return rule


def _fill_(func: Any, input: QuantizedTensor, value: Any) -> QuantizedTensor:
    return _copy_(None, input, torch.full(input.shape, float(value)))


def _masked_fill(func: Any, input: QuantizedTensor, mask: Tensor, value: Any) -> QuantizedTensor:
    filled = torch.full((), float(value))
    return input.like(torch.where(mask, input._quantizer.quantize(filled), input.integers))


def _pad(func: Any, input: QuantizedTensor, pad: Any, mode: str = "constant", value: Any = None) -> QuantizedTensor:
    if mode != "constant":
        if mode == "reflect":
            return input.like(func(input.integers.float(), pad, mode).to(input.integers.dtype))
        raise no_kernel(f"{mode}_pad")
    fill = int(input._quantizer.quantize(torch.tensor(float(value or 0))))
    return _formatted(input, func(input.integers, pad, "constant", fill))


def _as_tensor(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> QuantizedTensor:
    return input


# ---- reductions, and what makes new numbers


def _equal(func: Any, input: Any, other: Any) -> bool:
    both = isinstance(input, QuantizedTensor) and isinstance(other, QuantizedTensor)
    return both and input._quantizer.equals(other._quantizer) and torch.equal(input.integers, other.integers)


def _ordered(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> Any:
    # the order of the integers is that of the real numbers
    _needs_whole(input, func.__name__)
    result = func(input.integers, *args, **kwargs)
    if isinstance(result, Tensor):
        return input.like(result)
    return type(result)((input.like(result[0]), *result[1:]))


def _needs_whole(input: QuantizedTensor, name: str) -> None:
    if not isinstance(input._quantizer, PerTensor):
        raise RuntimeError(
            f"{name.capitalize()} operator for quantized tensors only works for per tensor quantized tensors. Please "
            "open an issue on https://github.com/pytorch/pytorch/issues if you need per channel quantized tensor "
            "support."
        )


def _extreme(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> Any:
    _needs_whole(input, func.__name__)
    return _ordered(func, input, *args, **kwargs)


def _max_pool(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> QuantizedTensor:
    input.q_scale()
    # small integers are exact in float32, and padding with minus infinity never wins
    pooled = func(input.integers.float(), *args, **kwargs)
    return _formatted(input, pooled.to(input.integers.dtype))


def _through_reals(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> QuantizedTensor:
    input.q_scale()
    if kwargs.pop("inplace", False) or getattr(func, "__name__", "").endswith("_"):
        return _copy_integers(input, _requantized(func, input, args, kwargs))
    return input.like(_requantized(func, input, args, kwargs))


def _requantized(func: Any, input: QuantizedTensor, args: Any, kwargs: Any) -> Tensor:
    return input._quantizer.quantize(func(input.dequantize(), *args, **kwargs))


def _average(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> QuantizedTensor:
    zero_point = input.q_zero_point()
    centred = func(input.integers.double() - zero_point, *args, **kwargs)
    return _formatted(input, to_integers(centred.float(), 1.0, zero_point, input.dtype))


def _formatted(input: QuantizedTensor, result: Tensor) -> QuantizedTensor:
    """Wrap integers in the input's memory format."""
    if result.dim() == 4 == input.dim() and not input.is_contiguous():
        if input.is_contiguous(memory_format=torch.channels_last):
            result = result.contiguous(memory_format=torch.channels_last)
    return input.like(result)


def _gelu(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> QuantizedTensor:
    # PyTorch keeps the scale in float32 here
    scale = float(torch.tensor(input.q_scale(), dtype=torch.float32))
    quantizer = PerTensor(scale, input.q_zero_point(), input.dtype)
    return wrap(quantizer.quantize(func(input.dequantize(), *args, **kwargs)), quantizer)


def _leaky_relu(
    func: Any, input: QuantizedTensor, negative_slope: float = 0.01, inplace: bool = False
) -> QuantizedTensor:
    result = arithmetic.leaky_relu(input, negative_slope, False, input.q_scale(), input.q_zero_point())
    return _copy_integers(input, result.integers) if inplace or func.__name__ == "leaky_relu_" else result


def _copy_integers(input: QuantizedTensor, new: Tensor) -> QuantizedTensor:
    input.integers.copy_(new)
    return input


def _relu(func: Any, input: QuantizedTensor, inplace: bool = False) -> QuantizedTensor:
    new = input.integers.clamp(min=input.q_zero_point())
    in_place = inplace or func.__name__ == "relu_"
    return _copy_integers(input, new) if in_place else input.like(new)


def _with_fixed_range(name: str) -> Rule:
    def rule(func: Any, input: QuantizedTensor, inplace: bool = False) -> QuantizedTensor:
        return arithmetic.fixed_range(name, input)

    return rule


def _cat(func: Any, tensors: Any, dim: int = 0) -> QuantizedTensor:
    first = tensors[0]
    for t in tensors:
        if not isinstance(t, QuantizedTensor) or not isinstance(t._quantizer, PerTensor):
            raise RuntimeError("Only per-tensor quantization is supported in 'cat'!")
        if t.dtype is not first.dtype:
            raise RuntimeError("Can't concatenate Quantized Tensors of different dtypes")
    if not all(t._quantizer.equals(first._quantizer) for t in tensors):
        warnings.warn(
            "All inputs of this cat operator must share the same quantization parameters. Otherwise large numerical "
            "inaccuracies may occur.",
            UserWarning,
            stacklevel=3,
        )
    return arithmetic.cat(tensors, dim, first._quantizer)


def _stack(func: Any, tensors: Any, dim: int = 0) -> QuantizedTensor:
    return _cat(None, [t.unsqueeze(dim) for t in tensors], dim)


def _dropout(func: Any, input: QuantizedTensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    if training and p > 0:
        raise no_kernel("bernoulli_.float")
    return input


def _detach_(func: Any, input: QuantizedTensor) -> QuantizedTensor:
    return input


def _refuse_backward(func: Any, *args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")


def _refuse_isclose(func: Any, *args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("isclose is not supported for quantized inputs.")


def _storage(func: Any, input: QuantizedTensor) -> Any:
    return torch.storage.TypedStorage(wrap_storage=input.untyped_storage(), dtype=input.dtype)


def _iterate(func: Any, input: QuantizedTensor) -> Any:
    if input.dim() == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(input.unbind(0))


def _new(func: Any, input: QuantizedTensor, size: Any, *args: Any, **kwargs: Any) -> Tensor:
    # a tensor of another dtype has no need of the map
    if kwargs.get("dtype") in (None, input.dtype):
        raise no_kernel(func.__name__)
    return func(input.integers, size, *args, **kwargs)


def _resize_(func: Any, input: QuantizedTensor, *args: Any, **kwargs: Any) -> QuantizedTensor:
    input.q_scale()
    # of the tensor itself: its integers are another view of the memory
    with torch._C.DisableTorchFunctionSubclass():
        func(input, *args, **kwargs)
    return input


def _hash(func: Any, input: QuantizedTensor) -> int:
    return id(input)


def _as_subclass(func: Any, input: QuantizedTensor, kind: Any) -> Any:
    return func(input, kind)


_RULES: dict[str, Rule] = {
    "select": _select,
    "narrow": _narrow,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "getitem": _getitem,
    "__setitem__": _setitem,
    **dict.fromkeys(("clone", "contiguous", "detach", "alias", "_to_copy"), _clone),
    "detach_": _detach_,
    "copy_": _copy_,
    "to": _to,
    "type_as": _to,
    "type": _type,
    **dict.fromkeys(("cpu", "cuda"), _same_device),
    **dict.fromkeys("float double half bfloat16 int long short char byte bool".split(), _no_conversion),
    "empty_like": _empty_like,
    "ones_like": _filled(1.0),
    "full_like": _filled(None),
    "fill_": _fill_,
    "masked_fill": _masked_fill,
    **dict.fromkeys(("pad", "constant_pad_nd", "_pad"), _pad),
    **dict.fromkeys(("as_tensor", "tensor"), _as_tensor),
    "equal": _equal,
    **dict.fromkeys(("sort", "topk"), _ordered),
    **dict.fromkeys(("max", "min"), _extreme),
    **dict.fromkeys(
        ("max_pool1d", "max_pool2d", "max_pool3d", "quantized_max_pool1d", "quantized_max_pool2d"), _max_pool
    ),
    **dict.fromkeys(("relu", "relu_"), _relu),
    **{name: _with_fixed_range(name) for name in ("sigmoid", "tanh", "hardsigmoid")},
    **dict.fromkeys(("leaky_relu", "leaky_relu_"), _leaky_relu),
    "gelu": _gelu,
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "stack": _stack,
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout"), _dropout),
    "backward": _refuse_backward,
    **dict.fromkeys(("allclose", "isclose"), _refuse_isclose),
    **dict.fromkeys(("storage", "_typed_storage"), _storage),
    "__iter__": _iterate,
    **dict.fromkeys(("new_empty", "new_zeros", "new_ones", "new_full"), _new),
    **dict.fromkeys(("resize_", "resize_as_"), _resize_),
    "__hash__": _hash,
    "as_subclass": _as_subclass,
}
