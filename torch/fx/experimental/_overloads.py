"""Which overload of an aten operation a call of a torch function is, for operations that are made of others.

Below autograd such an operation has already become its parts; ``torch.export`` keeps it whole.
"""

from __future__ import annotations

import functools

import torch
from torch import _schema

from .. import _calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}
_NUMBERS = (int, float, bool, torch.SymInt, torch.SymFloat)
# What must go to the kernels to be recorded: composites whose parts PyTorch's graphs show.
_NOT_WHOLE = frozenset("to size item sym_size where std var square outer __and__ __or__ __xor__ data".split())


def _is_int(v: Any) -> bool:
    return isinstance(v, (int, torch.SymInt)) and not isinstance(v, bool)


def _is_ints(v: Any) -> bool:
    return isinstance(v, (list, tuple)) and all(map(_is_int, v))


def _is_tensors(v: Any) -> bool:
    return isinstance(v, (list, tuple)) and all(isinstance(t, torch.Tensor) for t in v)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "Tensor": lambda v: isinstance(v, torch.Tensor),
    "Tensor[]": _is_tensors,
    "Scalar": lambda v: isinstance(v, (*_NUMBERS, complex)),
    "int": _is_int,
    "SymInt": _is_int,
    "int[]": _is_ints,
    "SymInt[]": _is_ints,
    "float[]": lambda v: isinstance(v, (list, tuple)) and all(isinstance(f, _NUMBERS) for f in v),
    "float": lambda v: isinstance(v, _NUMBERS) and not isinstance(v, bool),
    "bool": lambda v: isinstance(v, bool),
    "str": lambda v: isinstance(v, str),
    "ScalarType": lambda v: isinstance(v, torch.dtype),
    "Device": lambda v: isinstance(v, (torch.device, str)),
    "MemoryFormat": lambda v: isinstance(v, torch.memory_format),
    "Layout": lambda v: isinstance(v, torch.layout),
}


def _fitted(value: Any, kind: str) -> tuple[bool, Any]:
    """Whether a value fits a type of a schema, and what it is then."""
    if kind.endswith("?"):
        return (True, None) if value is None else _fitted(value, kind[:-1])
    if "[" in kind:
        head, _, rest = kind.partition("[")
        count = rest.rstrip("]")
        if _is_int(value) and count.isdigit() and head in ("int", "SymInt"):
            return True, [value] * int(count)
        kind = f"{head}[]"
    check = _CHECKS.get(kind)
    if check is None or not check(value):
        return False, None
    return True, list(value) if kind.endswith("[]") else value


def bind(schema: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]] | None:
    """The arguments in the schema's order, without the defaults at the end; None where they don't fit."""
    wanted = [a for a in schema.arguments if not a.is_out]
    given = dict(kwargs)
    if wanted and wanted[0].name == "self" and "input" in given:
        given["self"] = given.pop("input")
    positional, keyword, kept = [], {}, 0
    for number, argument in enumerate(wanted):
        if number < len(args) and not argument.kwarg_only:
            value = args[number]
        elif argument.name in given:
            value = given.pop(argument.name)
        elif argument.has_default_value():
            value = argument.default_value
            if not argument.kwarg_only:
                positional.append(value)
            continue
        else:
            return None
        fits, value = _fitted(value, argument.type.annotation_str)
        if not fits:
            return None
        is_default = argument.has_default_value() and _same(
            _fitted(argument.default_value, argument.type.annotation_str)[1], value
        )
        if argument.kwarg_only:
            if not is_default:
                keyword[argument.name] = value
            continue
        positional.append(value)
        if not is_default:
            kept = len(positional)
    if given or len(args) > sum(not a.kwarg_only for a in wanted):
        return None
    return positional[:kept], keyword


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        return a is b
    if any(isinstance(v, (torch.SymInt, torch.SymFloat)) for v in (a, b)):
        return False
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and bool(a == b)


def _batch_norm(i: Any, mean: Any, var: Any, *, weight: Any, bias: Any, training: Any, momentum: Any, eps: Any) -> Any:
    return "batch_norm", (i, weight, bias, mean, var, training, momentum, eps, False), {}


def _instance_norm(
    i: Any,
    *,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    use_input_stats: Any,
    momentum: Any,
    eps: Any,
) -> Any:
    return "instance_norm", (i, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, False), {}


def _cross_entropy(
    i: Any, target: Any, *, weight: Any, ignore_index: Any, reduction: Any, label_smoothing: Any, **old: Any
) -> Any:
    return "cross_entropy_loss", (i, target, weight, _REDUCTIONS[reduction], ignore_index, label_smoothing), {}


def _nll_loss(i: Any, target: Any, *, weight: Any, ignore_index: Any, reduction: Any, **old: Any) -> Any:
    return "nll_loss_nd", (i, target, weight, _REDUCTIONS[reduction], ignore_index), {}


def _softmax(name: str) -> Callable[..., Any]:
    return lambda i, *, dim, dtype, **rest: None if dim is None else (name, (i, dim, dtype), {})


def _dropout(name: str) -> Callable[..., Any]:
    return lambda i, *, p, training, inplace: (name + "_" * bool(inplace), (i, p, training), {})


def _pool(name: str) -> Callable[..., Any]:
    def adapt(
        i: Any, size: Any, *, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, return_indices: Any
    ) -> Any:
        return name, (i, size, [] if stride is None else stride, padding, dilation, ceil_mode), {}

    return adapt


def _activation(name: str, *defaults: Any) -> Callable[..., Any]:
    def adapt(i: Any, *, inplace: Any, **rest: Any) -> Any:
        return None if inplace else (name, (i, *rest.values()), {})

    return adapt


_UPSAMPLE = {
    ("nearest", 1): "upsample_nearest1d", ("nearest", 2): "upsample_nearest2d", ("nearest", 3): "upsample_nearest3d",
    ("nearest-exact", 1): "_upsample_nearest_exact1d", ("nearest-exact", 2): "_upsample_nearest_exact2d",
    ("nearest-exact", 3): "_upsample_nearest_exact3d", ("linear", 1): "upsample_linear1d",
    ("bilinear", 2): "upsample_bilinear2d", ("trilinear", 3): "upsample_trilinear3d",
    ("bicubic", 2): "upsample_bicubic2d",
}  # fmt: skip


def _interpolate(
    i: Any, size: Any, scale_factor: Any, mode: str, align_corners: Any, recompute_scale_factor: Any, antialias: Any
) -> Any:
    n = i.dim() - 2
    name = _UPSAMPLE.get((mode, n))
    if name is None or (size is None) == (scale_factor is None) or recompute_scale_factor:
        return None
    if antialias:
        name = {"bilinear": "_upsample_bilinear2d_aa", "bicubic": "_upsample_bicubic2d_aa"}.get(mode)
    if size is not None:
        size = list(size) if isinstance(size, (list, tuple)) else [size] * n
    if scale_factor is not None:
        factors = scale_factor if isinstance(scale_factor, (list, tuple)) else [scale_factor] * n
        scale_factor = [float(f) for f in factors]
    corners = () if "nearest" in mode else (bool(align_corners),)
    return None if name is None else (name, (i, size, *corners, scale_factor), {})


# Functions whose parameters are in another order than their operation's.
_ADAPTERS: dict[str, Callable[..., Any]] = {
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "cross_entropy": _cross_entropy,
    "nll_loss": _nll_loss,
    "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "dropout": _dropout("dropout"),
    "dropout1d": _dropout("feature_dropout"),
    "dropout2d": _dropout("feature_dropout"),
    "dropout3d": _dropout("feature_dropout"),
    "alpha_dropout": _dropout("alpha_dropout"),
    "max_pool1d": _pool("max_pool1d"),
    "max_pool2d": _pool("max_pool2d"),
    "max_pool3d": _pool("max_pool3d"),
    "relu6": _activation("relu6"),
    "selu": _activation("selu"),
    "layer_norm": lambda i, shape, *, weight, bias, eps: ("layer_norm", (i, shape, weight, bias, eps, False), {}),
    "group_norm": lambda i, groups, *, weight, bias, eps: ("group_norm", (i, groups, weight, bias, eps, False), {}),
    "interpolate": lambda i, size=None, scale_factor=None, mode="nearest", align_corners=None,
    recompute_scale_factor=None, antialias=False: _interpolate(
        i, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    ),
    "einsum": lambda equation, *operands: ("einsum", (equation, list(operands)), {}),
}


@functools.lru_cache(None)
def _whole_overloads(name: str) -> tuple[str, ...]:
    """The overloads of an operation that are made of others."""
    if name in _NOT_WHOLE:
        return ()
    return tuple(o for o, (_, letters) in _schema.overloads(name).items() if "i" in letters and "out" not in o)


def whole_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """(overload, arguments, keyword arguments) of a call of an operation that is made of others; None for others."""
    if isinstance(function, torch._ops.OpOverload):
        return (function, args, kwargs) if "i" in function._letters else None
    try:
        path = _calls.qualified_name(function)
    except (AttributeError, RuntimeError):
        return None
    home, _, name = path.rpartition(".")
    if not home.startswith("torch"):
        return None
    if home == "torch.Tensor":
        args = _collected(name, args)
    elif home in ("torch.nn.functional", "torch.functional"):
        _, args, kwargs = _calls.canonical(function, args, kwargs)
        adapter = _ADAPTERS.get(name)
        if adapter is not None:
            adapted = adapter(*args, **kwargs)
            if adapted is None:
                return None
            name, args, kwargs = adapted
    for overload in _whole_overloads(name):
        schema = _schema.schema(name, overload)
        bound = bind(schema, args, kwargs) if schema is not None else None
        packet = getattr(torch.ops.aten, name, None)
        if bound is not None and packet is not None:
            return getattr(packet, overload), tuple(bound[0]), bound[1]
    return None


# Methods that convert a tensor, with the dtype that they convert to.
CONVERSIONS: dict[str, Any] = {
    "to": None, "type": None, "cpu": None, "float": torch.float32, "double": torch.float64, "half": torch.float16,
    "bfloat16": torch.bfloat16, "long": torch.int64, "int": torch.int32, "short": torch.int16, "char": torch.int8,
    "byte": torch.uint8, "bool": torch.bool, "cfloat": torch.complex64, "cdouble": torch.complex128,
}  # fmt: skip


def conversion(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """(overload, arguments, keyword arguments) of a call that converts a tensor; None for other forms."""
    tensor, rest, given = args[0], list(args[1:]), dict(kwargs)
    to = torch.ops.aten.to
    if CONVERSIONS[name] is not None:
        return (to.dtype, (tensor, CONVERSIONS[name]), {}) if not rest and not given else None
    if name == "cpu":
        rest = [torch.device("cpu")]
    device = given.pop("device", None)
    if rest and isinstance(rest[0], (str, torch.device)):
        device = rest.pop(0)
    dtype = given.pop("dtype", None)
    if rest and isinstance(rest[0], torch.dtype):
        dtype = rest.pop(0)
    other = given.pop("other", rest.pop(0) if rest and isinstance(rest[0], torch.Tensor) else None)
    if other is not None:
        device, dtype = getattr(other, "fake_device", other.device), other.dtype
    options = []
    for key, default in (("non_blocking", False), ("copy", False), ("memory_format", None)):
        options.append(rest.pop(0) if rest else given.pop(key, default))
    if rest or given or (name == "type" and dtype is None):
        return None
    shown = {"memory_format": options[2]} if options[2] is not None else {}
    while options and options[-1] in (False, None):
        options.pop()
    if dtype is None:
        where = tensor.fake_device if device is None else torch.device(device)
        return to.dtype_layout, (tensor,), {"dtype": tensor.dtype, "layout": torch.strided, "device": where, **shown}
    if device is None:
        return to.dtype, (tensor, dtype, *options), {}
    return to.device, (tensor, torch.device(device), dtype, *options), {}


def _collected(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """``x.reshape(2, 3)`` as ``x.reshape([2, 3])``."""
    if len(args) > 2 and all(map(_is_int, args[1:])) and name in ("reshape", "tile", "broadcast_to", "expand", "view"):
        return args[0], list(args[1:])
    if len(args) == 2 and _is_int(args[1]) and name in ("reshape", "tile"):
        return args[0], [args[1]]
    return args
