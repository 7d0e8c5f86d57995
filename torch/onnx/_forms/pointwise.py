"""Operations on each element by itself."""

from __future__ import annotations

import math
from typing import Any

import torch

from .._builder import Builder, Value
from ..errors import UnsupportedOperatorError
from ._registry import form


def promoted(*values: Any) -> torch.dtype:
    """The dtype in which tensors and numbers meet."""
    stand = [torch.empty((1,) * min(v.rank, 1), dtype=v.dtype) if isinstance(v, Value) else v for v in values]
    if len(stand) == 1:
        return stand[0].dtype  # type: ignore[no-any-return]
    return torch.result_type(*stand)


def _in(b: Builder, value: Any, dtype: torch.dtype) -> Value:
    return b.scalar(value, dtype) if not isinstance(value, Value) else b.cast(value, dtype)


def _result(b: Builder) -> tuple[torch.dtype, Any]:
    return b.result.dtype, tuple(b.result.shape)


def binary(b: Builder, kind: str, x: Any, y: Any) -> Value:
    """An operation of two tensors or numbers, in the dtype of the result."""
    dtype = b.result.dtype
    return b.op(kind, _in(b, x, dtype), _in(b, y, dtype), like=_result(b))  # type: ignore[no-any-return]


@form("add.Tensor", "add.Scalar")
def add(b: Builder, x: Any, y: Any, alpha: Any = 1) -> Value:
    if b.result.dtype == torch.bool:
        return binary(b, "Or", x, y)
    if alpha != 1:
        y = b.op("Mul", _in(b, y, b.result.dtype), b.scalar(alpha, b.result.dtype))
    return binary(b, "Add", x, y)


@form("sub.Tensor", "sub.Scalar")
def sub(b: Builder, x: Any, y: Any, alpha: Any = 1) -> Value:
    if alpha != 1:
        y = b.op("Mul", _in(b, y, b.result.dtype), b.scalar(alpha, b.result.dtype))
    return binary(b, "Sub", x, y)


@form("rsub.Tensor", "rsub.Scalar")
def rsub(b: Builder, x: Any, y: Any, alpha: Any = 1) -> Value:
    return sub(b, y, x, alpha)


@form("mul.Tensor", "mul.Scalar")
def mul(b: Builder, x: Any, y: Any) -> Value:
    return binary(b, "And" if b.result.dtype == torch.bool else "Mul", x, y)


@form("div.Tensor", "div.Scalar", "true_divide.Tensor")
def div(b: Builder, x: Any, y: Any) -> Value:
    return binary(b, "Div", x, y)


@form("div.Tensor_mode", "div.Scalar_mode")
def div_mode(b: Builder, x: Any, y: Any, rounding_mode: str | None = None) -> Value:
    if rounding_mode == "floor":
        return floor_divide(b, x, y)
    if rounding_mode is None or not b.result.dtype.is_floating_point:
        return binary(b, "Div", x, y)
    quotient = binary(b, "Div", x, y)
    zero = b.scalar(0, quotient.dtype or torch.float32)
    negative = b.op("Less", quotient, zero)
    up, down = b.op("Ceil", quotient), b.op("Floor", quotient)
    return b.op("Where", negative, up, down, like=_result(b))  # type: ignore[no-any-return]


@form("floor_divide.default", "floor_divide.Scalar")
def floor_divide(b: Builder, x: Any, y: Any) -> Value:
    dtype = b.result.dtype
    if dtype.is_floating_point:
        return b.op("Floor", binary(b, "Div", x, y), like=_result(b))  # type: ignore[no-any-return]
    x, y = _in(b, x, dtype), _in(b, y, dtype)
    quotient, rest = b.op("Div", x, y), b.op("Mod", x, y)
    # Integer division of ONNX goes towards zero.
    zero = b.scalar(0, dtype)
    other = b.op("Xor", b.op("Less", x, zero), b.op("Less", y, zero))
    inexact = b.op("Not", b.op("Equal", rest, zero))
    step = b.cast(b.op("And", other, inexact), dtype)
    return b.op("Sub", quotient, step, like=_result(b))  # type: ignore[no-any-return]


@form("remainder.Tensor", "remainder.Scalar")
def remainder(b: Builder, x: Any, y: Any) -> Value:
    dtype = b.result.dtype
    x, y = _in(b, x, dtype), _in(b, y, dtype)
    if not dtype.is_floating_point:
        return b.op("Mod", x, y, like=_result(b))  # type: ignore[no-any-return]
    whole = b.op("Floor", b.op("Div", x, y))
    return b.op("Sub", x, b.op("Mul", whole, y), like=_result(b))  # type: ignore[no-any-return]


@form("fmod.Tensor", "fmod.Scalar")
def fmod(b: Builder, x: Any, y: Any) -> Value:
    dtype = b.result.dtype
    return b.op("Mod", _in(b, x, dtype), _in(b, y, dtype), fmod=1, like=_result(b))  # type: ignore[no-any-return]


@form("pow.Tensor_Tensor", "pow.Tensor_Scalar", "pow.Scalar")
def power(b: Builder, x: Any, y: Any) -> Value:
    if isinstance(y, (int, float)) and y == 2 and isinstance(x, Value):
        return binary(b, "Mul", x, x)
    if isinstance(y, (int, float)) and y == 0.5:
        return b.op("Sqrt", _in(b, x, b.result.dtype), like=_result(b))  # type: ignore[no-any-return]
    return binary(b, "Pow", x, y)


@form("maximum.default", "max.other")
def maximum(b: Builder, x: Any, y: Any) -> Value:
    return binary(b, "Max", x, y)


@form("minimum.default", "min.other")
def minimum(b: Builder, x: Any, y: Any) -> Value:
    return binary(b, "Min", x, y)


def _comparison(kind: str, negated: bool = False) -> Any:
    def write(b: Builder, x: Any, y: Any) -> Value:
        dtype = promoted(x, y)
        if dtype == torch.bool and kind != "Equal":
            dtype = torch.int32
        found = b.op(kind, _in(b, x, dtype), _in(b, y, dtype), like=_result(b))
        return b.op("Not", found, like=_result(b)) if negated else found  # type: ignore[no-any-return]

    return write


_SIGNS = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"}
for _name, _kind in _SIGNS.items():
    form(f"{_name}.Tensor", f"{_name}.Scalar")(_comparison(_kind))
form("ne.Tensor", "ne.Scalar")(_comparison("Equal", negated=True))


def _truth(b: Builder, value: Value) -> Value:
    return b.cast(value, torch.bool)


def _logical(kind: str) -> Any:
    return lambda b, x, y: b.op(kind, _truth(b, x), _truth(b, y), like=_result(b))


form("logical_and.default")(_logical("And"))
form("logical_or.default")(_logical("Or"))
form("logical_xor.default")(_logical("Xor"))


@form("logical_not.default")
def logical_not(b: Builder, x: Value) -> Value:
    return b.op("Not", _truth(b, x), like=_result(b))  # type: ignore[no-any-return]


def _needs(b: Builder, kind: str, version: int) -> None:
    """UnsupportedOperatorError where this version of ONNX does not have an operation yet."""
    if b.opset < version:
        raise UnsupportedOperatorError(kind, b.opset, version)


def _bits(truth: str, bits: str) -> Any:
    def write(b: Builder, x: Any, y: Any) -> Value:
        if b.result.dtype != torch.bool:
            _needs(b, bits, 18)
        return binary(b, truth if b.result.dtype == torch.bool else bits, x, y)

    return write


for _name in ("and", "or", "xor"):
    form(f"bitwise_{_name}.Tensor", f"bitwise_{_name}.Scalar")(_bits(_name.title(), f"Bitwise{_name.title()}"))


@form("bitwise_not.default")
def bitwise_not(b: Builder, x: Value) -> Value:
    if x.dtype != torch.bool:
        _needs(b, "BitwiseNot", 18)
    return b.op("Not" if x.dtype == torch.bool else "BitwiseNot", x, like=_result(b))  # type: ignore[no-any-return]


def _unary(kind: str) -> Any:
    return lambda b, x: b.op(kind, _in(b, x, b.result.dtype), like=_result(b))


for _name, _kind in {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh",
    "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log",
    "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round", "sigmoid": "Sigmoid", "sign": "Sign",
    "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}.items():  # fmt: skip
    form(f"{_name}.default")(_unary(_kind))
form("sgn.default")(_unary("Sign"))


def _composed(write: Any) -> Any:
    """A form of a unary operation: ``write`` gets the graph, the input in the result's dtype, and makes constants."""

    def form_of(b: Builder, x: Value, *rest: Any, **options: Any) -> Value:
        dtype = b.result.dtype
        return write(b, _in(b, x, dtype), lambda number: b.scalar(number, dtype), *rest, **options)  # type: ignore

    return form_of


form("rsqrt.default")(_composed(lambda b, x, c: b.op("Reciprocal", b.op("Sqrt", x), like=_result(b))))
form("square.default")(_composed(lambda b, x, c: b.op("Mul", x, x, like=_result(b))))
form("expm1.default")(_composed(lambda b, x, c: b.op("Sub", b.op("Exp", x), c(1), like=_result(b))))
form("log1p.default")(_composed(lambda b, x, c: b.op("Log", b.op("Add", x, c(1)), like=_result(b))))
form("log2.default")(_composed(lambda b, x, c: b.op("Div", b.op("Log", x), c(math.log(2)), like=_result(b))))
form("log10.default")(_composed(lambda b, x, c: b.op("Div", b.op("Log", x), c(math.log(10)), like=_result(b))))
form("exp2.default")(_composed(lambda b, x, c: b.op("Pow", c(2), x, like=_result(b))))
form("erfc.default")(_composed(lambda b, x, c: b.op("Sub", c(1), b.op("Erf", x), like=_result(b))))
form("silu.default")(_composed(lambda b, x, c: b.op("Mul", x, b.op("Sigmoid", x), like=_result(b))))
form("log_sigmoid.default")(
    _composed(lambda b, x, c: b.op("Neg", b.op("Softplus", b.op("Neg", x)), like=_result(b)))
)
form("trunc.default")(
    _composed(lambda b, x, c: b.op("Mul", b.op("Sign", x), b.op("Floor", b.op("Abs", x)), like=_result(b)))
)
form("frac.default")(
    _composed(
        lambda b, x, c: b.op("Sub", x, b.op("Mul", b.op("Sign", x), b.op("Floor", b.op("Abs", x))), like=_result(b))
    )
)
form("logit.default")(
    _composed(
        lambda b, x, c, eps=None: b.op(
            "Log",
            (lambda p: b.op("Div", p, b.op("Sub", c(1), p)))(x if eps is None else b.op("Clip", x, c(eps), c(1 - eps))),
            like=_result(b),
        )
    )
)


@form("gelu.default")
def gelu(b: Builder, x: Value, approximate: str = "none") -> Value:
    """Gaussian error linear unit (Hendrycks and Gimpel, 2016)."""
    if b.opset >= 20:
        return b.op("Gelu", x, approximate=approximate, like=_result(b))  # type: ignore[no-any-return]
    assert x.dtype is not None
    c = lambda number: b.scalar(number, x.dtype)  # noqa: E731
    half = b.op("Mul", x, c(0.5))
    if approximate == "tanh":
        cube = b.op("Mul", b.op("Mul", x, x), x)
        inner = b.op("Mul", b.op("Add", x, b.op("Mul", cube, c(0.044715))), c(math.sqrt(2 / math.pi)))
        return b.op("Mul", half, b.op("Add", b.op("Tanh", inner), c(1)), like=_result(b))  # type: ignore[no-any-return]
    part = b.op("Erf", b.op("Div", x, c(math.sqrt(2))))
    return b.op("Mul", half, b.op("Add", part, c(1)), like=_result(b))  # type: ignore[no-any-return]


def _activation(kind: str, **fixed: Any) -> Any:
    return lambda b, x: b.op(kind, x, like=_result(b), **fixed)


form("hardsigmoid.default")(_activation("HardSigmoid", alpha=1 / 6, beta=0.5))
form("hardswish.default")(_activation("HardSwish"))


@form("mish.default")
def mish(b: Builder, x: Value) -> Value:
    return b.op("Mul", x, b.op("Tanh", b.op("Softplus", x)), like=_result(b))  # type: ignore[no-any-return]


@form("softplus.default")
def softplus(b: Builder, x: Value, beta: Any = 1, threshold: Any = 20) -> Value:
    assert x.dtype is not None
    if beta == 1:
        return b.op("Softplus", x, like=_result(b))  # type: ignore[no-any-return]
    factor = b.scalar(beta, x.dtype)
    return b.op("Div", b.op("Softplus", b.op("Mul", x, factor)), factor, like=_result(b))  # type: ignore


@form("leaky_relu.default")
def leaky_relu(b: Builder, x: Value, negative_slope: float = 0.01) -> Value:
    return b.op("LeakyRelu", x, alpha=float(negative_slope), like=_result(b))  # type: ignore[no-any-return]


@form("elu.default")
def elu(b: Builder, x: Value, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Value:
    assert x.dtype is not None
    if input_scale != 1:
        bent = b.op("Sub", b.op("Exp", b.op("Mul", x, b.scalar(input_scale, x.dtype))), b.scalar(1, x.dtype))
        bent = b.op("Mul", bent, b.scalar(alpha, x.dtype))
        made = b.op("Where", b.op("Greater", x, b.scalar(0, x.dtype)), x, bent, like=_result(b))
    else:
        made = b.op("Elu", x, alpha=float(alpha), like=_result(b))
    return made if scale == 1 else b.op("Mul", made, b.scalar(scale, x.dtype), like=_result(b))  # type: ignore


@form("selu.default")
def selu(b: Builder, x: Value) -> Value:
    return b.op("Selu", x, like=_result(b))  # type: ignore[no-any-return]


@form("celu.default")
def celu(b: Builder, x: Value, alpha: float = 1.0) -> Value:
    return b.op("Celu", x, alpha=float(alpha), like=_result(b))  # type: ignore[no-any-return]


@form("prelu.default", "_prelu_kernel.default")
def prelu(b: Builder, x: Value, weight: Value) -> Value:
    if x.rank > 2 and weight.rank == 1:
        weight = b.reshape(weight, [-1] + [1] * (x.rank - 2))
    return b.op("PRelu", x, weight, like=_result(b))  # type: ignore[no-any-return]


@form("clamp.default", "clamp.Tensor", "clip.default", "hardtanh.default")
def clamp(b: Builder, x: Value, min: Any = None, max: Any = None, **bounds: Any) -> Value:
    if not bounds and min is None and max is None:
        min, max = -1.0, 1.0
    dtype = b.result.dtype
    low, high = bounds.get("min_val", min), bounds.get("max_val", max)
    x = _in(b, x, dtype)
    if any(isinstance(v, Value) and v.shape != () for v in (low, high)):
        for kind, bound in (("Max", low), ("Min", high)):
            if bound is not None:
                x = b.op(kind, x, _in(b, bound, dtype), like=_result(b))
        return x
    bounds_in = [None if v is None else _in(b, v, dtype) for v in (low, high)]
    return b.op("Clip", x, *bounds_in, like=_result(b))  # type: ignore[no-any-return]


@form("clamp_min.default", "clamp_min.Tensor")
def clamp_min(b: Builder, x: Value, min: Any) -> Value:
    return binary(b, "Max", x, min)


@form("clamp_max.default", "clamp_max.Tensor")
def clamp_max(b: Builder, x: Value, max: Any) -> Value:
    return binary(b, "Min", x, max)


@form("relu6.default")
def relu6(b: Builder, x: Value) -> Value:
    return clamp(b, x, 0, 6)


@form("softshrink.default")
def softshrink(b: Builder, x: Value, lambd: float = 0.5) -> Value:
    return b.op("Shrink", x, lambd=float(lambd), bias=float(lambd), like=_result(b))  # type: ignore[no-any-return]


@form("hardshrink.default")
def hardshrink(b: Builder, x: Value, lambd: float = 0.5) -> Value:
    return b.op("Shrink", x, lambd=float(lambd), like=_result(b))  # type: ignore[no-any-return]


@form("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")
def where(b: Builder, condition: Value, x: Any, y: Any) -> Value:
    dtype = b.result.dtype
    return b.op("Where", _truth(b, condition), _in(b, x, dtype), _in(b, y, dtype), like=_result(b))  # type: ignore


@form("masked_fill.Scalar", "masked_fill.Tensor")
def masked_fill(b: Builder, x: Value, mask: Value, value: Any) -> Value:
    return where(b, mask, value, x)


@form("isnan.default")
def isnan(b: Builder, x: Value) -> Value:
    return b.op("IsNaN", x, like=_result(b))  # type: ignore[no-any-return]


@form("isinf.default")
def isinf(b: Builder, x: Value) -> Value:
    return b.op("IsInf", x, like=_result(b))  # type: ignore[no-any-return]


@form("nan_to_num.default")
def nan_to_num(b: Builder, x: Value, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Value:
    dtype = b.result.dtype
    limits = torch.finfo(dtype)
    x = b.op("Where", b.op("IsNaN", x), b.scalar(nan or 0.0, dtype), x)
    for number, sign, limit in ((posinf, 1, limits.max), (neginf, -1, limits.min)):
        found = b.op("IsInf", x, detect_negative=int(sign < 0), detect_positive=int(sign > 0))
        x = b.op("Where", found, b.scalar(limit if number is None else number, dtype), x, like=_result(b))
    return x


@form("_to_copy.default", "to.dtype", "to.dtype_layout", "to.device", "type_as.default")
def convert(b: Builder, x: Value, *args: Any, **options: Any) -> Value:
    return b.cast(x, b.result.dtype)


@form("alias.default", "detach.default", "clone.default", "contiguous.default", "lift_fresh_copy.default",
      "lift_fresh.default", "view_as_real_copy.default", "positive.default", "copy.default",
      "dropout.default", "feature_dropout.default", "alpha_dropout.default")  # fmt: skip
def same(b: Builder, x: Value, *rest: Any, **options: Any) -> Value:
    name = b.label
    if "dropout" in name and len(rest) > 1 and rest[1]:
        ratio, training = b.constant(float(rest[0]), torch.float32), b.constant(True)
        return b.op("Dropout", x, ratio, training, like=_result(b))  # type: ignore[no-any-return]
    if name.startswith("copy") and rest:
        return b.op("Expand", b.cast(rest[0], b.result.dtype), b.shape_of(x), like=_result(b))  # type: ignore
    return x


@form("lerp.Scalar", "lerp.Tensor")
def lerp(b: Builder, start: Value, end: Value, weight: Any) -> Value:
    dtype = b.result.dtype
    step = b.op("Mul", b.op("Sub", end, start), _in(b, weight, dtype))
    return b.op("Add", start, step, like=_result(b))  # type: ignore[no-any-return]


@form("addcmul.default")
def addcmul(b: Builder, x: Value, y: Value, z: Value, value: Any = 1) -> Value:
    product = b.op("Mul", y, z)
    if value != 1:
        product = b.op("Mul", product, b.scalar(value, b.result.dtype))
    return b.op("Add", x, product, like=_result(b))  # type: ignore[no-any-return]


@form("addcdiv.default")
def addcdiv(b: Builder, x: Value, y: Value, z: Value, value: Any = 1) -> Value:
    quotient = b.op("Div", y, z)
    if value != 1:
        quotient = b.op("Mul", quotient, b.scalar(value, b.result.dtype))
    return b.op("Add", x, quotient, like=_result(b))  # type: ignore[no-any-return]


@form("glu.default")
def glu(b: Builder, x: Value, dim: int = -1) -> Value:
    assert x.shape is not None and isinstance(x.shape[dim], int)
    half = x.shape[dim] // 2
    first, second = b.op("Split", x, b.ints([half, half]), axis=dim % x.rank, outputs=2)
    first.dtype = second.dtype = x.dtype
    return b.op("Mul", first, b.op("Sigmoid", second), like=_result(b))  # type: ignore[no-any-return]


@form("threshold.default")
def threshold(b: Builder, x: Value, threshold: Any, value: Any) -> Value:
    assert x.dtype is not None
    over = b.op("Greater", x, b.scalar(threshold, x.dtype))
    return b.op("Where", over, x, b.scalar(value, x.dtype), like=_result(b))  # type: ignore[no-any-return]


@form("atan2.default")
def atan2(b: Builder, y: Value, x: Value) -> Value:
    """The angle of a point: the arc tangent, turned by half a circle on the left."""
    dtype = b.result.dtype
    y, x = _in(b, y, dtype), _in(b, x, dtype)
    zero = b.scalar(0, dtype)
    angle = b.op("Atan", b.op("Div", y, x))
    half = b.scalar(math.pi, dtype)
    below = b.op("Less", y, zero)
    turned = b.op("Where", below, b.op("Sub", angle, half), b.op("Add", angle, half))
    found = b.op("Where", b.op("Less", x, zero), turned, angle)
    upright = b.op("Where", below, b.scalar(-math.pi / 2, dtype), b.scalar(math.pi / 2, dtype))
    origin = b.op("And", b.op("Equal", x, zero), b.op("Equal", y, zero))
    found = b.op("Where", b.op("Equal", x, zero), upright, found)
    return b.op("Where", origin, zero, found, like=_result(b))  # type: ignore[no-any-return]


@form("hypot.default")
def hypot(b: Builder, x: Value, y: Value) -> Value:
    squares = b.op("Add", b.op("Mul", x, x), b.op("Mul", y, y))
    return b.op("Sqrt", squares, like=_result(b))  # type: ignore[no-any-return]


@form("sinc.default", "special_sinc.default")
def sinc(b: Builder, x: Value) -> Value:
    assert x.dtype is not None
    angle = b.op("Mul", x, b.scalar(math.pi, x.dtype))
    zero = b.op("Equal", x, b.scalar(0, x.dtype))
    return b.op("Where", zero, b.scalar(1, x.dtype), b.op("Div", b.op("Sin", angle), angle), like=_result(b))  # type: ignore


form("deg2rad.default")(_composed(lambda b, x, c: b.op("Mul", x, c(math.pi / 180), like=_result(b))))
form("rad2deg.default")(_composed(lambda b, x, c: b.op("Mul", x, c(180 / math.pi), like=_result(b))))
