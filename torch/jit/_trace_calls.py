"""Which aten operation a call of a torch function is, with all its arguments, as traces and graphs show them."""

from __future__ import annotations

import functools

import torch
from torch import _schema
from torch.fx import _calls
from torch.fx.experimental import _overloads

from ._trace_graph import TracedInt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["NUMBER_OPERATIONS", "path_of", "resolve"]

# Operations that PyTorch has a tensor for where the program gives a number.
NUMBER_OPERATIONS = frozenset(
    name + form
    for name in "add sub mul div floor_divide true_divide multiply subtract divide".split()
    for form in ("", "_")
)
_RENAMED = {
    "__invert__": "bitwise_not", "__rsub__": "rsub", "__neg__": "neg", "__abs__": "abs", "__pos__": "positive",
    "__matmul__": "matmul", "logsigmoid": "log_sigmoid", "concat": "cat", "concatenate": "cat",
    "__itruediv__": "div_", "__idiv__": "div_", "__iadd__": "add_", "__isub__": "sub_", "__imul__": "mul_",
    "__ifloordiv__": "floor_divide_", "__ipow__": "pow_", "__imod__": "remainder_", "__eq__": "eq", "__ne__": "ne",
    "__lt__": "lt", "__le__": "le", "__gt__": "gt", "__ge__": "ge", "__add__": "add", "__sub__": "sub",
    "__mul__": "mul", "__mod__": "remainder", "__pow__": "pow", "__truediv__": "div", "__div__": "div",
    "__floordiv__": "floor_divide", "unfold_module": "im2col", "__radd__": "add", "__rmul__": "mul",
    "special_softmax": "softmax", "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div",
    "subtract_": "sub_", "multiply_": "mul_", "divide_": "div_", "true_divide_": "div_", "absolute": "abs",
    "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "not_equal": "ne", "negative": "neg",
    "clip": "clamp", "clip_": "clamp_",
}  # fmt: skip
# Functions that go to pieces in PyTorch's traces too, or whose pieces are seen anyway.
_NOT_ONE = frozenset("size item data to retain_grad requires_grad_ backward is_contiguous".split())
_CASTS = {
    "float": torch.float32, "double": torch.float64, "half": torch.float16, "bfloat16": torch.bfloat16,
    "long": torch.int64, "int": torch.int32, "short": torch.int16, "char": torch.int8, "byte": torch.uint8,
    "bool": torch.bool, "cfloat": torch.complex64, "cdouble": torch.complex128, "chalf": torch.complex32,
}  # fmt: skip
_FACTORIES = frozenset(
    """
    arange bartlett_window blackman_window empty empty_strided eye full hamming_window hann_window kaiser_window
    linspace logspace ones rand randint randn randperm range tril_indices triu_indices zeros scalar_tensor
    """.split()
)
_LIKE = frozenset(
    """
    empty_like full_like ones_like rand_like randint_like randn_like zeros_like new_empty new_full new_ones new_zeros
    new_empty_strided
    """.split()
)


def path_of(function: Any) -> str:
    """Where a function is found in PyTorch: ``torch.Tensor.add``; empty if it is not known."""
    try:
        return _calls.qualified_name(function)
    except (AttributeError, RuntimeError):
        return ""


def _reduction(name: str) -> int:
    return _overloads._REDUCTIONS[name]


def _loss(name: str, *extra: str, first: str = "") -> Callable[..., Any]:
    """A loss whose arguments end with the way of reducing, or go on after it."""

    def adapt(i: Any, target: Any, *, reduction: Any, weight: Any = None, **rest: Any) -> Any:
        if rest.get("size_average") is not None or rest.get("reduce") is not None:
            return None
        ahead = (rest.get(first),) if first else ()
        if name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
            if weight is not None or i.shape != target.shape:
                return None
            return name, (i, target, _reduction(reduction), *(rest[k] for k in extra)), {}
        return name, (i, target, weight, *ahead, _reduction(reduction), *(rest[k] for k in extra)), {}

    return adapt


def _embedding(i: Any, weight: Any, *, padding_idx: Any, max_norm: Any, scale_grad_by_freq: Any, sparse: Any,
               **rest: Any) -> Any:  # fmt: skip
    if max_norm is not None:
        return None
    if padding_idx is None:
        padding_idx = -1
    elif padding_idx < 0:
        padding_idx += int(weight.shape[0])
    return "embedding", (weight, i, padding_idx, scale_grad_by_freq, sparse), {}


def _unfold(i: Any, kernel_size: Any, *, dilation: Any, padding: Any, stride: Any) -> Any:
    return "im2col", (i, kernel_size, dilation, padding, stride), {}


def _as_if_on_a_gpu(adapter: Callable[..., Any]) -> Callable[..., Any]:
    """A normalisation that may use cuDNN where there is one: what PyTorch's functions say of themselves."""

    def adapt(*args: Any, **kwargs: Any) -> Any:
        name, positional, named = adapter(*args, **kwargs)
        return name, (*positional[:-1], True), named

    return adapt


def _plain(name: str, *order: str) -> Callable[..., Any]:
    """A function whose operation takes the named keywords in this order."""
    return lambda *args, **kwargs: (
        (name + "_" * bool(kwargs.get("inplace")), (*args, *(kwargs[k] for k in order)), {})
    )


# Functions whose parameters are in another order than their operation's, beside those of ``_overloads``.
_ADAPTERS: dict[str, Callable[..., Any]] = {
    **_overloads._ADAPTERS,
    **{
        name: _as_if_on_a_gpu(_overloads._ADAPTERS[name])
        for name in ("batch_norm", "instance_norm", "layer_norm", "group_norm")
    },
    "embedding": _embedding,
    "mse_loss": _loss("mse_loss"),
    "l1_loss": _loss("l1_loss"),
    "smooth_l1_loss": _loss("smooth_l1_loss", "beta"),
    "huber_loss": _loss("huber_loss", "delta"),
    "binary_cross_entropy": _loss("binary_cross_entropy"),
    "binary_cross_entropy_with_logits": _loss("binary_cross_entropy_with_logits", first="pos_weight"),
    "prelu": lambda i, weight: ("prelu", (i, weight), {}),
    "unfold": _unfold,
    "fold": lambda i, output_size, kernel_size, *, dilation, padding, stride: (
        "col2im", (i, output_size, kernel_size, dilation, padding, stride), {},
    ),
    "kl_div": lambda i, target, *, reduction, log_target, **old: (
        None if reduction == "batchmean" else ("kl_div", (i, target, _reduction(reduction)), {"log_target": log_target})
    ),
    "relu": _plain("relu"),
    "relu6": _plain("relu6"),
    "selu": _plain("selu"),
    "silu": _plain("silu"),
    "mish": _plain("mish"),
    "hardswish": _plain("hardswish"),
    "hardsigmoid": _plain("hardsigmoid"),
    "celu": _plain("celu", "alpha"),
    "elu": _plain("elu", "alpha"),
    "leaky_relu": _plain("leaky_relu", "negative_slope"),
    "hardtanh": _plain("hardtanh", "min_val", "max_val"),
    "threshold": _plain("threshold", "threshold", "value"),
    "glu": _plain("glu", "dim"),
    "rrelu": lambda i, *, lower, upper, training, inplace: (
        "rrelu" + "_" * bool(inplace), (i, lower, upper, training), {},
    ),
}  # fmt: skip


def resolve(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], numbers: Callable[[Any], Any]
) -> tuple[Any, list[Any]] | None:
    """(overload, all its arguments in order) of a call; None where the function is no single operation.

    ``numbers`` gives arguments with tensors replaced by numbers where an operation can only take numbers.
    """
    if isinstance(function, torch._ops.OpOverload):
        return _bound(function, args, kwargs, numbers)
    path = path_of(function)
    home, _, name = path.rpartition(".")
    if not home.startswith("torch") or name in _NOT_ONE:
        return None
    if kwargs.get("out") is not None:
        return None
    kwargs = {k: v for k, v in kwargs.items() if k != "out"}
    if home == "torch.Tensor" and name in _CASTS:
        if len(args) != 1 or kwargs:
            return None
        name, args = "to", (args[0], _CASTS[name])
        return _first("to", ("dtype",), args, {}, numbers)
    if home == "torch.Tensor" and name == "type" and len(args) == 2 and isinstance(args[1], torch.dtype):
        return _first("to", ("dtype",), args, {}, numbers)
    if home == "torch.nn.functional" or (home == "torch.functional" and name == "einsum"):
        _, args, kwargs = _calls.canonical(function, args, kwargs)
        adapter = _ADAPTERS.get(name)
        if adapter is not None:
            try:
                adapted = adapter(*args, **kwargs)
            except (TypeError, KeyError):
                return None
            if adapted is None:
                return None
            name, args, kwargs = adapted
        elif name not in _SAME_AS_OPERATION:
            return None
    elif home == "torch.Tensor":
        args = _overloads._collected(name, args)
        args = _sizes_collected(name, args)
    elif home in ("torch", "torch.functional"):
        args = _sizes_collected(name, args, first=0)
        args, kwargs = _lists_collected(name, args, kwargs)
    elif home in ("torch.linalg", "torch.special", "torch.fft"):
        name = f"{home.rpartition('.')[2]}_{name}"
    if name.startswith("__") and name in _RENAMED or name in _RENAMED:
        name = _RENAMED[name]
    if name == "max" and len(args) == 2 and isinstance(args[1], torch.Tensor) and not kwargs:
        return _first("max", ("other",), args, {}, numbers)
    names = tuple(o for o, (text, _) in _schema.overloads(name).items() if not _is_out(text))
    if name in NUMBER_OPERATIONS:
        names = tuple(o for o in names if not o.startswith("Scalar"))
    if name in ("sum", "mean", "std", "var", "norm", "all", "any", "prod", "argmax"):
        names = tuple(sorted(names, key=len))
    return _first(name, names, args, kwargs, numbers)


# Functions of ``torch.nn.functional`` whose parameters are their operation's, in the same order.
_SAME_AS_OPERATION = frozenset(
    """
    adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d pixel_shuffle
    pixel_unshuffle channel_shuffle pdist cosine_similarity pairwise_distance logsigmoid gelu softplus softshrink
    hardshrink native_channel_shuffle linear bilinear scaled_dot_product_attention one_hot conv_tbc pad tanh sigmoid
    rms_norm
    """.split()
)


def _is_out(text: str) -> bool:
    return "!) out" in text


_SIZED = {
    "view": 1, "reshape": 1, "expand": 1, "repeat": 1, "permute": 1, "new_zeros": 1, "new_ones": 1, "new_empty": 1,
    "tile": 1, "broadcast_to": 1, "flip": 1, "zeros": 0, "ones": 0, "empty": 0, "rand": 0, "randn": 0, "view_copy": 1,
    "unflatten": 2,
}  # fmt: skip


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or isinstance(value, torch.Tensor)


def _sizes_collected(name: str, args: tuple[Any, ...], first: int = 1) -> tuple[Any, ...]:
    """``x.view(2, 3)`` as ``x.view([2, 3])``."""
    at = _SIZED.get(name)
    if at is None:
        return args
    rest = args[at:]
    if rest and all(map(_is_number, rest)):
        return (*args[:at], list(rest))
    return args


def _lists_collected(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Functions that take any number of tensors, as their operations take lists."""
    if name in ("broadcast_tensors", "block_diag", "cartesian_prod", "meshgrid", "einsum") and args:
        ahead, rest = (args[:1], args[1:]) if name == "einsum" else ((), args)
        if len(rest) == 1 and isinstance(rest[0], (list, tuple)):
            rest = tuple(rest[0])
        return (*ahead, list(rest)), kwargs
    return args, kwargs


def _first(name: str, names: tuple[str, ...], args: Any, kwargs: Any, numbers: Any) -> Any:
    """The first overload that takes the arguments as they are, or with numbers for tensors."""
    packet = getattr(torch.ops.aten, name, None) if _schema.overloads(name) else None
    if packet is None:
        return None
    forms = [(args, kwargs)]
    plain = (numbers(args), numbers(kwargs))
    forms.append(plain)
    for a, k in forms:
        for overload in names:
            schema = _schema.schema(name, overload)
            bound = _bind(schema, tuple(a), k, name)
            if bound is not None:
                return getattr(packet, overload), bound
    return None


def _bound(op: Any, args: Any, kwargs: Any, numbers: Any) -> Any:
    for a, k in ((args, kwargs), (numbers(args), numbers(kwargs))):
        found = _bind(op._schema, tuple(a), k, op._opname)
        if found is not None:
            return op, found
    return None


def _bind(schema: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> list[Any] | None:
    """All arguments of a schema, the defaults filled in; None where they do not fit."""
    given = dict(kwargs)
    if schema.arguments and schema.arguments[0].name == "self" and "input" in given:
        given["self"] = given.pop("input")
    if "dim" not in given and "axis" in given:
        given["dim"] = given.pop("axis")
    if "keepdims" in given:
        given["keepdim"] = given.pop("keepdims")
    values = []
    for number, argument in enumerate(schema.arguments):
        if number < len(args) and not argument.kwarg_only:
            value = args[number]
        elif argument.name in given:
            value = given.pop(argument.name)
        elif argument.has_default_value():
            value = argument.default_value
            fits, value = _fitted_default(value, argument.type.annotation_str)
            values.append(value)
            continue
        else:
            return None
        fits, value = _fitted(value, argument.type.annotation_str, name)
        if not fits:
            return None
        values.append(value)
    rest = {k: v for k, v in given.items() if not (k == "requires_grad" and v is False)}
    if rest or len(args) > sum(not a.kwarg_only for a in schema.arguments):
        return None
    if name in _FACTORIES or name in _LIKE:
        # What PyTorch's own parser of these puts in.
        for number, argument in enumerate(schema.arguments):
            if argument.name == "device" and values[number] is None and name in _FACTORIES:
                values[number] = torch.get_default_device() if hasattr(torch, "get_default_device") else None
            if argument.name == "pin_memory" and values[number] is None:
                values[number] = False
    return values


@functools.lru_cache(None)
def _constants() -> dict[str, Any]:
    return {"Mean": 1, "contiguous_format": torch.contiguous_format, "long": torch.int64, "strided": torch.strided}


def _fitted_default(value: Any, kind: str) -> tuple[bool, Any]:
    if isinstance(value, str) and value in _constants():
        return True, _constants()[value]
    if isinstance(value, (int, float)) and "[" in kind and not isinstance(value, bool):
        count = kind[kind.index("[") + 1 : kind.index("]")]
        return True, [value] * int(count) if count else [value]
    return True, value


def _fitted(value: Any, kind: str, name: str) -> tuple[bool, Any]:
    """Whether a value fits a type of a schema, and what it is then."""
    if kind.endswith("?"):
        return (True, None) if value is None else _fitted(value, kind[:-1], name)
    if kind == "Tensor" and name in NUMBER_OPERATIONS:
        return isinstance(value, (torch.Tensor, int, float, complex)) and not isinstance(value, TracedInt), value
    if kind in ("Tensor?[]",):
        return isinstance(value, (list, tuple)), value
    if kind.startswith("float[") and isinstance(value, (list, tuple)):
        return all(isinstance(v, (int, float)) for v in value), [float(v) for v in value]
    if kind == "Generator":
        return isinstance(value, torch.Generator), value
    if kind == "Dimname" or kind.startswith("Dimname["):
        return False, None
    if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, (bool, TracedInt)):
        return True, float(value)
    if kind == "Device" and isinstance(value, (str, torch.device)):
        return True, torch.device(value)
    if "[" in kind and isinstance(value, tuple):
        value = list(value)
    return _overloads._fitted(value, kind)
