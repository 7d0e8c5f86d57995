"""Which sizes of the example inputs of an exported program are open."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import torch
from torch.fx.experimental.symbolic_shapes import int_oo
from torch.utils import _pytree as pytree

from ._errors import HINT, UserError, UserErrorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exported_program import ExportedProgram

__all__ = ["AdditionalInputs", "Constraint", "Dim", "ShapesCollection", "dims"]


class _DimHintType(enum.Enum):
    AUTO = enum.auto()
    STATIC = enum.auto()
    DYNAMIC = enum.auto()


@dataclass
class _DimHint:
    """How a size without a name is treated; called with ``min`` and ``max`` it gets bounds."""

    type: _DimHintType
    min: int | None = None
    max: int | None = None
    _factory: bool | None = True

    @staticmethod
    def AUTO() -> _DimHint:  # noqa: N802
        return _DimHint(_DimHintType.AUTO)

    @staticmethod
    def DYNAMIC() -> _DimHint:  # noqa: N802
        return _DimHint(_DimHintType.DYNAMIC)

    @staticmethod
    def STATIC() -> _DimHint:  # noqa: N802
        return _DimHint(_DimHintType.STATIC)

    def __call__(self, min: int | None = None, max: int | None = None) -> _DimHint:
        if not self._factory:
            raise TypeError(f"'{type(self)}' object is not callable")
        if min is not None and min < 0:
            raise AssertionError("min must be non-negative")
        if max is not None and max < 0:
            raise AssertionError("max must be non-negative")
        if min is not None and max is not None and min > max:
            raise AssertionError("min must be <= max")
        return _DimHint(self.type, min, max, _factory=False)

    def __repr__(self) -> str:
        bounds = [f"{n}={v}" for n, v in (("min", self.min), ("max", self.max)) if v is not None]
        return f"DimHint({', '.join([self.type.name, *bounds])})"


class Dim:
    """A name for an open size. Sizes of the same name are equal; ``2 * dim + 1`` is a size that depends on it.

    Args:
        name: an identifier.
        min: the least that it may be.
        max: the most.

    ``Dim.AUTO`` leaves a size open if the program allows it, ``Dim.DYNAMIC`` insists, ``Dim.STATIC`` keeps it.

    >>> from torch.export import Dim
    >>> batch = Dim("batch", max=64)
    >>> batch, 2 * batch + 1
    (Dim('batch', min=0, max=64), 2*batch + 1)
    """

    AUTO = _DimHint.AUTO()
    DYNAMIC = _DimHint.DYNAMIC()
    STATIC = _DimHint.STATIC()

    def __init__(self, name: str, *, min: int | None = None, max: int | None = None) -> None:
        low = 0 if min is None else min
        high = int_oo if max is None else max
        if not high > low:
            raise AssertionError(f"Cannot create Dim with inconsistent min={min}, max={max}")
        if not name.isidentifier():
            raise AssertionError(f"Dim name must be a valid identifier, got {name}")
        self.__name__ = name
        self.min, self.max = low, high

    def __repr__(self) -> str:
        high = "" if self.max == int_oo else f", max={self.max}"
        return f"Dim('{self.__name__}', min={self.min}{high})"

    def _whole(self, other: object, what: str) -> int:
        if type(other) is not int:
            raise NotImplementedError(
                f"Attempted to {what} {other} {'to' if what == 'add' else 'with' if what == 'multiply' else 'from'} "
                f"{self.__name__}, where an integer was expected. (Only increasing linear operations with integer "
                "coefficients are supported.)"
            )
        return other

    def __add__(self, other: int) -> Dim:
        return _DerivedDim(self, 1, self._whole(other, "add"))

    def __radd__(self, other: int) -> Dim:
        return self + other

    def __sub__(self, other: int) -> Dim:
        return _DerivedDim(self, 1, -self._whole(other, "subtract"))

    def __rsub__(self, other: int) -> Dim:
        raise NotImplementedError(
            f"Attempted to negate {self.__name__}. (Only increasing linear operations with integer coefficients are "
            "supported.)"
        )

    def __mul__(self, other: int) -> Dim:
        factor = self._whole(other, "multiply")
        if factor <= 0:
            raise NotImplementedError(
                f"Attempted to multiply {other} with {self.__name__}, where a positive integer was expected. (Only "
                "increasing linear operations with integer coefficients are supported.)"
            )
        return _DerivedDim(self, factor, 0)

    def __rmul__(self, other: int) -> Dim:
        return self * other


class _DerivedDim(Dim):
    """A size that is a multiple of another one and a number."""

    def __init__(self, root: Dim, factor: int, offset: int) -> None:
        if isinstance(root, _DerivedDim):
            factor, offset, root = root.factor * factor, root.offset * factor + offset, root.root
        self.root, self.factor, self.offset = root, factor, offset
        name = root.__name__ if factor == 1 else f"{factor}*{root.__name__}"
        self.__name__ = name if not offset else f"{name} {'+' if offset > 0 else '-'} {abs(offset)}"

    @property
    def min(self) -> Any:  # type: ignore[override]
        return self.root.min * self.factor + self.offset

    @property
    def max(self) -> Any:  # type: ignore[override]
        return int_oo if self.root.max == int_oo else self.root.max * self.factor + self.offset

    def __repr__(self) -> str:
        return self.__name__


class _StaticDim(Dim):
    """A size that is a number."""

    def __init__(self, value: int) -> None:
        self.__name__, self.value = str(value), value

    @property
    def min(self) -> int:  # type: ignore[override]
        return self.value

    @property
    def max(self) -> int:  # type: ignore[override]
        return self.value


Constraint = Dim | _DimHint


def dims(*names: str, min: int | None = None, max: int | None = None) -> tuple[Dim, ...]:
    """Several ``Dim`` with the same bounds.

    >>> torch.export.dims("height", "width", min=2)
    (Dim('height', min=2), Dim('width', min=2))
    """
    return tuple(Dim(name, min=min, max=max) for name in names)


class ShapesCollection:
    """Open sizes by tensor instead of by argument.

    >>> from torch.export import Dim, ShapesCollection
    >>> x = torch.ones(4, 2)
    >>> shapes = ShapesCollection()
    >>> shapes[x] = {0: Dim.DYNAMIC}
    >>> shapes.dynamic_shapes(torch.nn.ReLU(), (x,))
    {'input': {0: DimHint(DYNAMIC)}}
    """

    def __init__(self) -> None:
        self._shapes: dict[int, Any] = {}
        self._alive: list[Any] = []

    def __setitem__(self, t: torch.Tensor, shape: Any) -> None:
        if not isinstance(t, torch.Tensor):
            raise AssertionError(f"Cannot assign shape to non-tensor type {type(t)}")
        known = self._shapes.get(id(t))
        if known is not None and known != shape:
            raise AssertionError(f"Shapes assigned to tensor do not match: expected {known}, got {shape}")
        self._shapes[id(t)] = shape
        self._alive.append(t)

    def __getitem__(self, t: torch.Tensor) -> Any:
        return self._shapes.setdefault(id(t), {})

    def __len__(self) -> int:
        return len(self._shapes)

    def dynamic_shapes(self, m: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        """The ``dynamic_shapes`` of ``export`` for these arguments."""
        used: set[int] = set()

        def find(_: Any, t: Any) -> Any:
            used.add(id(t))
            return self._shapes.get(id(t))

        found = pytree.tree_map_with_path(find, combine_args(m, args, kwargs))
        if any(key not in used for key in self._shapes):
            raise ValueError("Some tensors that were assigned shapes were not found in args. Maybe such tensors were "
                             "copied when passing them as args? Maybe such tensors are contained in classes that were "
                             "not registered with pytree?")  # fmt: skip
        return found


class AdditionalInputs:
    """Open sizes by example: those that differ between the inputs that are added.

    >>> from torch.export import AdditionalInputs
    >>> more = AdditionalInputs()
    >>> more.add((torch.ones(8, 2),))
    >>> more.dynamic_shapes(torch.nn.ReLU(), (torch.ones(4, 2),))
    {'input': (DimHint(DYNAMIC), None)}
    """

    def __init__(self) -> None:
        self._examples: list[tuple[tuple[Any, ...], dict[str, Any] | None]] = []

    def add(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        """Another example."""
        if type(args) is not tuple:
            raise AssertionError(f"Representation of args must be a tuple, got {type(args)}")
        if kwargs is not None and type(kwargs) is not dict:
            raise AssertionError(f"Representation of kwargs must be a dict, got {type(kwargs)}")
        self._examples.append((args, kwargs))

    def dynamic_shapes(self, m: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        """The ``dynamic_shapes`` of ``export`` for these arguments."""
        trees = [combine_args(m, a, k) for a, k in [(args, kwargs), *self._examples]]

        def compare(first: Any, *others: Any) -> Any:
            if isinstance(first, torch.Tensor):
                differ = [len({t.shape[d] for t in (first, *others)}) > 1 for d in range(first.dim())]
                return tuple(Dim.DYNAMIC if d else None for d in differ)
            if any(o != first for o in others):
                if type(first) is not int:
                    raise ValueError(f"The following inputs were found to have differing values: {[first, *others]}")
                return Dim.DYNAMIC
            return None

        return pytree.tree_map(compare, trees[0], *trees[1:])

    def verify(self, ep: ExportedProgram) -> None:
        """Run the program with all examples; AssertionError if its guards refuse one."""
        module = ep.module()
        for args, kwargs in self._examples:
            module(*args, **(kwargs or {}))


def combine_args(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The arguments by the names of the parameters."""
    import inspect

    forward = f.forward if isinstance(f, torch.nn.Module) else f
    bound = inspect.signature(forward).bind(*args, **(kwargs or {}))
    combined: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = inspect.signature(forward).parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            combined.update(value)
        else:
            combined[name] = value
    return combined


def refine_dynamic_shapes_from_suggested_fixes(msg: str, dynamic_shapes: Any) -> Any:
    """The dynamic shapes with the fixes that the message of a constraint violation suggests.

    Raises:
        RuntimeError: the message suggests none.
    """
    import re

    if "Suggested fixes:" not in msg:
        raise RuntimeError("the message suggests no fixes")
    fixes: dict[str, Any] = {}
    for name, value in re.findall(r"^\s+(\w+) = (.+)$", msg.split("Suggested fixes:")[1], re.MULTILINE):
        made = re.fullmatch(r"Dim\('(\w+)'(?:, min=(\d+))?(?:, max=(\d+))?\)", value.strip())
        derived = re.fullmatch(r"(?:(\d+)\*)?(\w+)(?: \+ (\d+))?", value.strip())
        if made:
            fixes[name] = Dim(made[1], min=made[2] and int(made[2]), max=made[3] and int(made[3]))
        elif value.strip().isdigit():
            fixes[name] = int(value)
        elif derived and derived[2] in fixes:
            fixes[name] = fixes[derived[2]] * int(derived[1] or 1) + int(derived[3] or 0)

    def fix(dim: Any) -> Any:
        return fixes.get(dim.__name__, dim) if isinstance(dim, Dim) else dim

    return pytree.tree_map(fix, dynamic_shapes, is_leaf=lambda d: isinstance(d, (Dim, _DimHint)))


# ---- specifications of tensors


_SEE = (
    "\nFor more information about this error, see: https://pytorch.org/docs/main/generated/exportdb/index.html"
    "#dynamic-shapes-validation"
)


def _mismatch(text: str) -> UserError:
    return UserError(UserErrorType.INVALID_INPUT, text + _SEE + HINT)


def specifications(names: list[str], combined: dict[str, Any], dynamic_shapes: Any) -> list[Any]:
    """What was specified for each leaf of the arguments.

    For a tensor a dictionary from dimension to Dim, hint or number; for a number a hint; or None.

    Raises:
        UserError: the specification does not have the structure of the arguments.
    """
    by_name = isinstance(dynamic_shapes, dict)
    if by_name:
        if set(dynamic_shapes) != set(combined):
            raise UserError(
                UserErrorType.INVALID_INPUT,
                "When `dynamic_shapes` is specified as a dict, its top-level keys must be the arg names "
                f"{list(combined)} of `inputs`, but here they are {list(dynamic_shapes)}. Alternatively, you could "
                "also ignore arg names entirely and specify `dynamic_shapes` as a list/tuple matching `inputs`. For "
                "more information about this error, see: https://pytorch.org/docs/main/generated/exportdb/index.html"
                "#dynamic-shapes-validation" + HINT,
            )
        parts = [dynamic_shapes[name] for name in combined]
    elif dynamic_shapes is None:
        parts = [None] * len(combined)
    else:
        parts = list(dynamic_shapes)
        if len(parts) != len(combined):
            raise _mismatch(
                f"Detected mismatch between the structure of `inputs` and `dynamic_shapes`: `inputs` has "
                f"{len(combined)} elements, but `dynamic_shapes` has {len(parts)} elements"
            )
    found: list[Any] = []
    for number, (name, value, spec) in enumerate(zip(combined, combined.values(), parts, strict=True)):
        _walk(value, spec, f"[{name!r}]" if by_name else f"[{number}]", found)
    return found


def _walk(value: Any, spec: Any, where: str, found: list[Any]) -> None:
    if isinstance(value, torch.Tensor):
        found.append(_tensor_spec(value, spec, where))
        return
    leaves, tree = pytree.tree_flatten(value)
    if tree.is_leaf():
        found.append(spec if isinstance(spec, _DimHint) else None)
        return
    if spec is None:
        for leaf in leaves:
            found.append(_tensor_spec(leaf, None, where) if isinstance(leaf, torch.Tensor) else None)
        return
    children, context = pytree.SUPPORTED_NODES[tree.type].flatten_fn(value)
    children = list(children)
    if isinstance(value, (dict, list, tuple)) and isinstance(value, dict) != isinstance(spec, dict):
        raise _mismatch(
            f"Detected mismatch between the structure of `inputs` and `dynamic_shapes`: `inputs{where}` is a "
            f"{type(value)}, but `dynamic_shapes{where}` is a {type(spec)}"
        )
    parts = list(spec.values()) if isinstance(spec, dict) else list(spec)
    if len(parts) != len(children):
        raise _mismatch(
            f"Detected mismatch between the structure of `inputs` and `dynamic_shapes`: `inputs{where}` has "
            f"{len(children)} elements, but `dynamic_shapes{where}` has {len(parts)} elements"
        )
    keys: list[Any] = list(range(len(children)))
    if isinstance(value, dict):
        keys = list(value)
        if set(spec) != set(value):
            raise _mismatch(
                f"Detected mismatch between the structure of `inputs` and `dynamic_shapes`: `inputs{where}` has keys "
                f"{keys}, but `dynamic_shapes{where}` has keys {list(spec)}"
            )
        children, parts = list(value.values()), [spec[key] for key in value]
    for key, child, part in zip(keys, children, parts, strict=True):
        _walk(child, part, f"{where}[{key!r}]", found)


def _tensor_spec(tensor: torch.Tensor, spec: Any, where: str) -> dict[int, Any]:
    if spec is None:
        return {}
    if isinstance(spec, (_DimHint, Dim)) or not isinstance(spec, (dict, list, tuple)):
        raise _mismatch(
            f"Unexpected input tensor shape {spec} specified at `dynamic_shapes{where}` (expected either a list/tuple "
            "of dimensions, or a dict mapping indices to dimensions, where each dimension is an int, a Dim, Dim.AUTO, "
            "Dim.STATIC, or Dim.DYNAMIC)"
        )
    by_dim = dict(spec) if isinstance(spec, dict) else dict(enumerate(spec))
    if not isinstance(spec, dict) and len(spec) != tensor.dim():
        raise _mismatch(
            f"Expected dynamic shape spec {spec} specified at `dynamic_shapes{where}` to have the same length as "
            f"the actual tensor shape {tensor.shape} (expected {tensor.dim()}, but got {len(spec)} instead)"
        )
    for dim, value in by_dim.items():
        if value is not None and not isinstance(value, (int, Dim, _DimHint)):
            raise _mismatch(
                f"Unexpected dimension mapped to index {dim} in input tensor shape {spec} specified at "
                f"`dynamic_shapes{where}` (expected None, an int, a Dim, Dim.AUTO, Dim.STATIC, or Dim.DYNAMIC,  but "
                f"got {value!r} instead)"
            )
        if not -tensor.dim() <= dim < tensor.dim():
            raise IndexError(f"dimension {dim} is out of range for `{where}`, which has {tensor.dim()} dimensions")
    return {dim % tensor.dim(): value for dim, value in by_dim.items() if value is not None}
