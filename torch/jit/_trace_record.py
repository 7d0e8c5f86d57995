"""Runs a program and notes each operation: a mode that sees every torch function before it does anything.

Sizes stay open, as in PyTorch: while a program is traced, ``x.size(0)`` is a tensor without dimensions whose value the
trace knows; where an operation needs a number, ``aten::Int`` stands before it.
"""

from __future__ import annotations

import sys
import warnings
from types import FunctionType

import torch
from torch.fx import _calls
from torch.fx.experimental._recorder import CallRecorder
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from . import _trace_state
from ._trace_calls import NUMBER_OPERATIONS, path_of, resolve
from ._trace_functions import REWRITTEN
from ._trace_graph import Constant, Node, Scope, TracedInt, Value
from ._trace_state import TracerWarning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["AttributeValue", "Recorder", "TracedSize"]

_HOME = str(torch.__path__[0])
_TO_PYTHON = {
    "__bool__": "boolean", "__nonzero__": "boolean", "__int__": "integer", "__long__": "integer", "__float__": "float",
    "item": "number", "__complex__": "complex", "tolist": "list",
}  # fmt: skip
_CONVERTED = (
    "Converting a tensor to a {} might cause the trace to be incorrect. We can't record the data flow of "
    "Python values, so this value will be treated as a constant in the future. This means that the trace might not "
    "generalize to other inputs!"
)
_REGISTERED = (
    "torch.{} results are registered as constants in the trace. You can safely ignore this warning if you use this "
    "function to create tensors out of constant variables that would be the same every time you call this function. In "
    "any other case, this might cause the trace to be incorrect."
)
_LENGTH = (
    "Using len to get tensor shape might cause the trace to be incorrect. Recommended usage would be tensor.shape[0]. "
    "Passing a tensor of different shape might lead to errors or silently give incorrect results."
)
_ITERATED = (
    "Iterating over a tensor might cause the trace to be incorrect. Passing a tensor of different shape won't change "
    "the number of iterations executed (and might lead to errors or silently give incorrect results)."
)
_GRADIENT_CONSTANT = (
    "Cannot insert a Tensor that requires grad as a constant. Consider making it a parameter or input, or detaching "
    "the gradient\nTensor:\n{}"
)
# Attributes of tensors that are operations.
_PROPERTIES = {
    "T": "numpy_T", "mT": "mT", "H": "matrix_H", "mH": "mH", "real": "real", "imag": "imag", "data": "detach",
}  # fmt: skip


class TracedSize(tuple):  # noqa: SLOT001  tuples have no slots
    """The size of a tensor while a program is traced: each part is a tensor whose value the trace knows."""

    def numel(self) -> Any:
        """The product of the parts."""
        product: Any = 1
        for part in self:
            product = part * product
        return product

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return TracedSize(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> TracedSize:
        return TracedSize((*self, *other))

    def __radd__(self, other: Any) -> TracedSize:
        return TracedSize((*other, *self))

    def __repr__(self) -> str:
        with torch._C.DisableTorchFunction():
            return f"torch.Size([{', '.join(str(int(part)) for part in self)}])"


class AttributeValue(Value):
    """A parameter or a buffer of the module that is traced; ``places`` are the paths and names that it has."""

    __slots__ = ("places",)

    def __init__(self, name: str, example: torch.Tensor) -> None:
        super().__init__("Tensor", example)
        self.name = name
        self.places: list[tuple[str, str]] = []


class Recorder(TorchFunctionMode):
    """Notes what happens inside.

    Args:
        module: the module that is traced; its parameters and buffers become attributes.
        force_outplace: note operations that write as those that do not, where there are such.
    """

    def __init__(self, module: torch.nn.Module | None = None, force_outplace: bool = False) -> None:
        super().__init__()
        self.root = Scope(module, "", None)
        self.scope = self.root
        self.force_outplace = force_outplace
        self.values: dict[int, Value] = {}
        self.alive: list[Any] = []
        self.paths: dict[int, list[str]] = {}
        self._attributes: dict[int, AttributeValue] = {}
        self._constants: dict[int, Constant] = {}
        if module is not None:
            self._learn_names(module)

    def _learn_names(self, module: torch.nn.Module) -> None:
        # A module that has several names goes by its last one, and a tensor by its first: so PyTorch.
        for path, inner in module.named_modules(remove_duplicate=False):
            self.paths.setdefault(id(inner), []).append(path)
            for name, tensor in (*inner._parameters.items(), *inner._buffers.items()):
                if tensor is None:
                    continue
                if id(tensor) not in self._attributes:
                    self._attributes[id(tensor)] = AttributeValue(name, tensor)
                    self.alive.append(tensor)
                self._attributes[id(tensor)].places.append((path, name))

    # ---- values

    def bind(self, tensor: torch.Tensor, value: Value) -> None:
        """Say that a tensor is the result of an operation."""
        self.values[id(tensor)] = value
        self.alive.append(tensor)

    def known(self, tensor: torch.Tensor) -> Value | None:
        found = self.values.get(id(tensor))
        if found is None:
            found = self._attributes.get(id(tensor))
        return found

    def value_of(self, tensor: torch.Tensor) -> Value | Constant:
        """The value of a tensor in the trace; one that comes from elsewhere is a constant."""
        found = self.known(tensor)
        if found is None:
            self._adopt(tensor)
            found = self.known(tensor)
        if found is not None:
            return found
        if tensor.requires_grad:
            raise RuntimeError(_GRADIENT_CONSTANT.format(_shown(tensor)))
        constant = self._constants.get(id(tensor))
        if constant is None:
            constant = self._constants[id(tensor)] = Constant(tensor)
            self.alive.append(tensor)
        return constant

    def argument(self, value: Any, kind: str = "") -> Any:
        """An argument of a call as a node has it."""
        if isinstance(value, torch.Tensor):
            return self.value_of(value)
        if isinstance(value, TracedInt):
            return self._number(value)
        if isinstance(value, (list, tuple)):
            parts = [self.argument(v) for v in value]
            return parts if isinstance(value, list) else tuple(parts)
        return value

    def _number(self, value: TracedInt) -> Any:
        """A traced number as an operation's argument: made next to where its tensor was."""
        source = value.value
        node = Node("aten::Int", [("a", source, False)], self.scope)
        result = node.output("int", int(value))
        made_by = source.node
        if made_by is not None and made_by.scope is self.scope:
            self.scope.items.insert(self.scope.items.index(made_by) + 1, node)
        else:
            self.scope.items.append(node)
        return result

    def numbers(self, value: Any) -> Any:
        """Arguments with traced whole numbers in place of tensors without dimensions that the trace knows."""
        if isinstance(value, torch.Tensor):
            known = self.values.get(id(value))
            if known is not None and value.dim() == 0 and not value.is_floating_point() and not value.is_complex():
                return TracedInt.of(value, known)
            return value
        if isinstance(value, TracedSize):
            return [self.numbers(v) for v in value]
        if type(value) in (list, tuple):
            return type(value)(self.numbers(v) for v in value)
        if type(value) is dict:
            return {k: self.numbers(v) for k, v in value.items()}
        if type(value) is slice:
            return slice(self.numbers(value.start), self.numbers(value.stop), self.numbers(value.step))
        return value

    # ---- calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tuple(args), kwargs or {}
        if _trace_state.current() is not self:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, func, args, kwargs)
        rewritten = REWRITTEN.get(path_of(func))
        if rewritten is not None:
            self._name_arguments(func, args, kwargs)
            with self:
                result = rewritten(*args, **kwargs)
            if result is not NotImplemented:
                return result
        found = resolve(func, args, kwargs, self.numbers)
        if found is not None:
            return self._one(func, args, kwargs, *found)
        if isinstance(func, FunctionType):
            inner = getattr(func, "__wrapped__", None)
            if inner is not None:
                with self:
                    return inner(*args, **kwargs)
        return self._parts(func, args, kwargs)

    def _one(self, func: Any, args: Any, kwargs: Any, overload: Any, bound: list[Any]) -> Any:
        """A call of a single operation."""
        self._name_arguments(func, args, kwargs)
        convolution = _CONVOLUTIONS.get(overload._opname)
        if convolution is not None:
            overload, bound = convolution(bound)
        if self.force_outplace:
            overload = _out_of_place(overload)
        with_numbers = any(isinstance(v, TracedInt) for v in _flat(bound))
        node = self.node(overload, bound)
        if with_numbers:
            args, kwargs = self.numbers(args), self.numbers(kwargs)
        result = func(*args, **kwargs)
        self.results(node, overload._schema, result)
        return result

    def _parts(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A call of a function that is several operations, or none: those that reach the kernels."""
        args, kwargs = self.numbers(args), self.numbers(kwargs)
        recorder = CallRecorder()
        with recorder:
            result = func(*args, **kwargs)
        for call in recorder.calls:
            found = resolve(call.op, tuple(call.args), call.kwargs, self.numbers)
            if found is None:
                raise RuntimeError(f"torch.jit.trace: a call of {call.op} cannot be written in TorchScript")
            for tensor in _flat((call.args, call.kwargs)):
                self._adopt(tensor)
            self.results(self.node(*found), found[0]._schema, call.result)
        for tensor in pytree.tree_leaves(result):
            self._adopt(tensor)
        return result

    def _adopt(self, tensor: Any) -> None:
        """Find out which known tensor an unknown one is: below autograd it may be another object."""
        if not isinstance(tensor, torch.Tensor) or self.known(tensor) is not None:
            return
        if tensor.layout is not torch.strided or tensor.numel() == 0:
            return
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        for other in reversed(self.alive):
            if (
                isinstance(other, torch.Tensor)
                and other.layout is torch.strided
                and other.dtype == tensor.dtype
                and (other.data_ptr(), other.shape, other.stride(), other.dtype) == place
            ):
                found = self.known(other)
                if found is not None:
                    self.bind(tensor, found)
                    return

    def node(self, overload: Any, bound: list[Any], kind: str = "") -> Node:
        """Add an operation with all its arguments."""
        schema = overload._schema
        arguments = []
        for declared, value in zip(schema.arguments, bound, strict=True):
            if (
                overload._opname in NUMBER_OPERATIONS
                and declared.type.annotation_str == "Tensor"
                and not isinstance(value, torch.Tensor)
            ):
                made: Any = Constant(value)
            elif isinstance(value, TracedInt) and declared.type.annotation_str.rstrip("?") == "Scalar":
                made = self.simple("aten::ScalarImplicit", [("a", value.value, False)], "number", int(value))
            else:
                made = self.argument(value)
            arguments.append((declared.name, made, declared.kwarg_only))
        name = schema.name if schema.name.startswith(("aten::", "prim::")) else kind or schema.name
        node = Node(name, arguments, self.scope, _source())
        node.schema = schema
        node.writes = schema.is_mutable
        self.scope.items.append(node)
        return node

    def results(self, node: Node, schema: Any, result: Any) -> None:
        """Tie the result of an operation to its node."""
        if isinstance(result, torch.Tensor):
            self.bind(result, node.output("Tensor", result))
            return
        if isinstance(result, (list, tuple)):
            single = len(schema.returns) == 1
            if single and all(isinstance(part, torch.Tensor) for part in result):
                listed = node.output("List[Tensor]", result)
                self.unpack(listed, list(result))
                return
            for part in result:
                kind = "Tensor" if isinstance(part, torch.Tensor) else type(part).__name__
                value = node.output(kind, part)
                if isinstance(part, torch.Tensor):
                    self.bind(part, value)
            for returned in schema.returns[len(result) :]:
                node.output(str(returned.type))
            return
        # A plain Python value: what the program makes of it is not in the trace.
        self.scope.items.remove(node)

    def unpack(self, value: Value, parts: list[Any], kind: str = "prim::ListUnpack") -> list[Value]:
        """Take a list or a tuple to pieces."""
        node = Node(kind, [("list", value, False)], self.scope, _source())
        self.scope.items.append(node)
        made = []
        for part in parts:
            result = node.output(type_of(part), part)
            made.append(result)
            if isinstance(part, torch.Tensor):
                self.bind(part, result)
        return made

    def simple(self, kind: str, arguments: list[tuple[str, Any, bool]], type: str, example: Any) -> Value:
        """Add an operation that TorchScript has besides those of tensors."""
        node = Node(kind, arguments, self.scope, _source())
        self.scope.items.append(node)
        return node.output(type, example)

    # ---- sizes

    def size(self, tensor: torch.Tensor, dim: int) -> torch.Tensor:
        """One size, as a tensor that the trace knows."""
        number = tensor.size(dim)
        value = self.simple(
            "aten::size", [("self", self.value_of(tensor), False), ("dim", dim, False)], "int", number
        )
        return self.tensor_of(value, number)

    def tensor_of(self, value: Value, number: int) -> torch.Tensor:
        made = torch.scalar_tensor(number, dtype=torch.int64)
        self.bind(made, self.simple("prim::NumToTensor", [("a", value, False)], "Tensor", made))
        return made

    # ---- modules and programs that are TorchScript already

    def call_module(self, module: Any, plain: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a module: what happens in it belongs to it, if the module that calls it holds it."""
        path = self.path_below(module)
        if path is None:
            return plain(module, *args, **kwargs)
        outer = self.scope
        self.scope = Scope(module, path, outer)
        outer.items.append(self.scope)
        try:
            return plain(module, *args, **kwargs)
        finally:
            self.scope = outer

    def path_below(self, module: Any) -> str | None:
        """The name by which the module at hand reaches another one; the last it has."""
        above = self.scope.path
        for path in reversed(self.paths.get(id(module), [])):
            if path and (not above or path.startswith(above + ".")):
                return path
        return None

    def call_script(self, function: Any, module: Any, args: Any, kwargs: Any) -> Any:
        """Run a function that is TorchScript, or a method of a module, and note it as one operation."""
        given = self._in_order(function.schema, module is not None, args, kwargs)
        before = _trace_state.set_current(None)
        try:
            with torch._C.DisableTorchFunction():
                plain = [self._plain(v, k) for v, k in given]
                result = function.checked(*([module] if module is not None else []), *plain)
        finally:
            _trace_state.set_current(before)
        kind, head = "prim::CallFunction", [("function", function, False)]
        if module is not None:
            kind, head = "prim::CallMethod", [("path", self.path_below(module), False), ("name", function.name, False)]
        # Sizes go in as the numbers that they are: so PyTorch.
        parts = [(k.name, self.argument(v), False) for (_, k), v in zip(given, plain, strict=True)]
        node = Node(kind, [*head, *parts], self.scope, _source())
        node.writes = True
        self.scope.items.append(node)
        if result is not None:
            self._tie(node.output(str(function.schema.returns.annotation_str), result), result)
        return result

    @staticmethod
    def _in_order(schema: Any, is_method: bool, args: Any, kwargs: Any) -> list[tuple[Any, Any]]:
        """All arguments of a call with what they are declared as."""
        wanted = schema.arguments[1:] if is_method else schema.arguments
        found = []
        for number, argument in enumerate(wanted):
            if number < len(args):
                found.append((args[number], argument))
            elif argument.name in kwargs:
                found.append((kwargs[argument.name], argument))
            elif argument.has_default:
                found.append((argument.default, argument))
            else:
                raise RuntimeError(
                    f"{schema.name}() is missing value for argument '{argument.name}'. Declaration: {schema}"
                )
        return found

    @staticmethod
    def _plain(value: Any, argument: Any) -> Any:
        """A number where one is declared and a size of a traced tensor is given."""
        kind = str(argument.type)
        if isinstance(value, torch.Tensor) and kind.rstrip("?") in ("int", "float", "bool", "number"):
            return value.item()
        return value

    def _tie(self, value: Value, result: Any) -> None:
        """Tie a nested result to its value, part by part."""
        if isinstance(result, torch.Tensor):
            self.bind(result, value)
        elif isinstance(result, (list, tuple)):
            kind = "prim::TupleUnpack" if isinstance(result, tuple) else "prim::ListUnpack"
            for part, made in zip(result, self.unpack(value, list(result), kind), strict=True):
                self._tie(made, part)
        elif isinstance(result, dict):
            for key, part in result.items():
                made = self.simple(
                    "aten::__getitem__", [("self", value, False), ("key", key, False)], type_of(part), part
                )
                self._tie(made, part)

    # ---- names

    def _name_arguments(self, func: Any, args: Any, kwargs: Any) -> None:
        """Give values the names of the variables that hold them, as PyTorch's traces do."""
        unnamed = [
            (t, v) for t in _flat((args, kwargs))
            if isinstance(t, torch.Tensor) and (v := self.values.get(id(t))) is not None and not v.name
        ]  # fmt: skip
        if not unnamed:
            return
        form = _calls._forms().get(path_of(func))
        if form is not None:
            names = dict(zip(form.positional + form.keyword, args, strict=False))
            names.update(kwargs)
        else:
            frame = _frame()
            names = {} if frame is None else frame.f_locals
        for name, held in list(names.items()):
            for tensor, value in unnamed:
                if held is tensor and not value.name and name != "self":
                    value.name = name


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in _flat(part)]
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _flat(part)]
    if isinstance(value, slice):
        return _flat((value.start, value.stop, value.step))
    return [value]


_SKIPPED = tuple(
    f"{_HOME}/{name}" for name in ("jit/_trace", "overrides.py", "_overridable.py", "_lazy.py", "_ops.py", "fx/")
)


# Functions of the tracer that stand for the modules' own.
_ITS_OWN: set[Any] = set()


def _frame() -> Any:
    """The innermost frame of the program, the modules of torch included."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_SKIPPED) and frame.f_code not in _ITS_OWN:
        frame = frame.f_back  # type: ignore[assignment]
    return frame


def _source() -> str:
    frame = _frame()
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def warn(text: str) -> None:
    """Warn, unless it is the library that does so."""
    frame = _frame()
    if frame is None or frame.f_code.co_filename.startswith(_HOME + "/"):
        return
    warnings.warn_explicit(
        TracerWarning(text), None, frame.f_code.co_filename, frame.f_lineno,
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )  # fmt: skip


def _shown(tensor: torch.Tensor) -> str:
    """A tensor as PyTorch's C++ side prints it, without fitting the numbers to each other."""
    plain = tensor.detach()
    kind = torch.Tensor.type(plain).rpartition(".")[2]
    rows = plain.reshape(-1, plain.shape[-1]).tolist() if plain.dim() > 1 else [[v] for v in plain.reshape(-1).tolist()]
    text = "\n".join(" " + " ".join(f"{v:g}" for v in row) for row in rows)
    return f"{text}\n[ torch.{kind}{{{','.join(map(str, plain.shape))}}} ]"


def type_of(value: Any) -> str:
    """TorchScript's type of a traced input or output."""
    if isinstance(value, torch.Tensor):
        return "Tensor"
    if isinstance(value, (bool, int, float, str)):
        return type(value).__name__
    if isinstance(value, torch.device):
        return "Device"
    if value is None:
        return "NoneType"
    if isinstance(value, tuple):
        return f"Tuple[{', '.join(map(type_of, value))}]" if value else "Tuple[()]"
    if isinstance(value, list):
        if not value:
            raise TypeError("List trace inputs must have elements")
        kinds = [type_of(v) for v in value]
        for kind in kinds[1:]:
            if kind != kinds[0]:
                raise TypeError(
                    "List inputs to traced functions must have consistent element type. "
                    f"Found {kinds[0]} and {kind}"
                )
        return f"List[{kinds[0]}]"
    if isinstance(value, dict):
        if not value:
            raise TypeError("Dictionary inputs must have entries")
        keys, kinds = [type_of(k) for k in value], [type_of(v) for v in value.values()]
        for key, kind in zip(keys[1:], kinds[1:], strict=True):
            if kind != kinds[0] or key != keys[0]:
                raise TypeError(
                    "Dictionary inputs to traced functions must have consistent type. "
                    f"Found {kinds[0]} and {kind}"
                )
        return f"Dict[{keys[0]}, {kinds[0]}]"
    raise TypeError(
        f"Only tensors and (possibly nested) tuples of tensors, lists, or dicts are supported as inputs or outputs "
        f"of traced functions, but instead got value of type {type(value).__name__}."
    )


# ---- functions that are not simply operations

def _getter(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    attribute = getattr(getattr(func, "__self__", None), "__name__", "")
    tensor = args[0]
    if attribute == "shape":
        return TracedSize(r.size(tensor, d) for d in range(tensor.dim()))
    operation = _PROPERTIES.get(attribute)
    if operation is None:
        return func(*args, **kwargs)
    result = func(*args, **kwargs)
    if isinstance(result, torch.Tensor):
        overload = getattr(torch.ops.aten, operation).default
        node = r.node(overload, [tensor])
        r.results(node, overload._schema, result)
    return result


def _size(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    tensor = args[0]
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    if dim is None:
        return TracedSize(r.size(tensor, d) for d in range(tensor.dim()))
    func(*r.numbers(args), **r.numbers(kwargs))
    return r.size(tensor, int(dim))


def _numel(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    number = func(*args, **kwargs)
    value = r.simple("aten::numel", [("self", r.value_of(args[0]), False)], "int", number)
    return r.tensor_of(value, number)


def _length(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    frame = _frame()
    if frame is not None and "len" in frame.f_code.co_names:  # list(x) asks for it too
        warn(_LENGTH)
    return func(*args, **kwargs)


def _converted(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    name = func.__name__
    tensor = args[0]
    if r.values.get(id(tensor)) is not None or r._attributes.get(id(tensor)) is not None:
        kind = _TO_PYTHON[name]
        warn(_CONVERTED.format(f"Python {kind}"))
    return func(*args, **kwargs)


def _array(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    if r.known(args[0]) is not None:
        warn(_CONVERTED.format("NumPy array"))
    return func(*args, **kwargs)


def _pass(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    return func(*args, **kwargs)


def _made(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    """``torch.tensor`` and the like: what they make is a constant, unless they are given a traced tensor."""
    name = func.__name__
    source = args[0] if args else kwargs.get("data")
    if name == "new_tensor":
        source = args[1] if len(args) > 1 else kwargs.get("data")
    result = func(*args, **kwargs)
    known = r.values.get(id(source)) if isinstance(source, torch.Tensor) else None
    warn(_REGISTERED.format(name)) if known is None or name != "as_tensor" else None
    if isinstance(result, torch.Tensor) and r.known(result) is None:
        if known is not None:
            overload = torch.ops.aten.to.dtype
            node = r.node(overload, [source, result.dtype, False, name != "as_tensor", None])
            r.results(node, overload._schema, result)
        else:
            # The constant is copied, so that what writes to the result leaves the trace as it is.
            overload = torch.ops.aten.clone.default
            node = r.node(overload, [result.detach().clone(), None])
            r.results(node, overload._schema, result)
    return result


def _from_numpy(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    warn(_REGISTERED.format("from_numpy"))
    return func(*args, **kwargs)


def _reflected(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    """``2 / x``, ``2 ** x``, ``2 // x``: written as PyTorch does."""
    tensor, other = args
    name = func.__name__
    number = torch.scalar_tensor(other, dtype=torch.int64 if isinstance(other, int) else None)
    with r:
        if name in ("__rdiv__", "__rtruediv__"):
            return torch.reciprocal(tensor) * other
        if name == "__rpow__":
            return torch.pow(other, tensor)
        if name == "__rfloordiv__":
            return torch.floor_divide(number, tensor)
        return torch.remainder(other, tensor)


def _tensor_to(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    """``x.to(...)``: the device, the dtype, or both."""
    tensor, rest = args[0], list(args[1:])
    dtype, device, copy = kwargs.get("dtype"), kwargs.get("device"), kwargs.get("copy", False)
    non_blocking, memory_format = kwargs.get("non_blocking", False), kwargs.get("memory_format")
    other = kwargs.get("other")
    if rest and isinstance(rest[0], torch.Tensor):
        other = rest.pop(0)
    if rest and isinstance(rest[0], (str, torch.device)) or (rest and type(rest[0]) is int):
        device = torch.device(rest.pop(0))
    if rest and (isinstance(rest[0], torch.dtype) or rest[0] is None):
        dtype = rest.pop(0) or dtype
    if rest:
        non_blocking = rest.pop(0)
    if rest:
        copy = rest.pop(0)
    result = func(*args, **kwargs)
    aten = torch.ops.aten.to
    if other is not None:
        overload, bound = aten.other, [tensor, other, non_blocking, copy, memory_format]
    elif device is not None and dtype is not None:
        overload, bound = aten.device, [tensor, torch.device(device), dtype, non_blocking, copy, memory_format]
    elif device is not None:
        overload = aten.dtype_layout
        bound = [tensor, tensor.dtype, torch.strided, torch.device(device), None, non_blocking, copy, memory_format]
    else:
        overload, bound = aten.dtype, [tensor, dtype or tensor.dtype, non_blocking, copy, memory_format]
    r.results(r.node(overload, bound), overload._schema, result)
    return result


def _moved(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    return _tensor_to(r, lambda *a, **k: func(args[0]), (args[0], torch.device("cpu")), {})


def _unbind(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    """Iteration, seen as ``unbind``; a call of the function itself is one operation."""
    frame = _frame()
    if frame is not None and "unbind" not in frame.f_code.co_names:
        warn(_ITERATED)
    found = resolve(func, args, kwargs, r.numbers)
    assert found is not None
    return r._one(func, args, kwargs, *found)


def _scripted_convolution(name: str, rank: int) -> Callable[[list[Any]], Any]:
    """A convolution as PyTorch's traces show it: by the operation that all of them are."""
    transposed = "transpose" in name

    def convert(bound: list[Any]) -> Any:
        if transposed:
            x, weight, bias, stride, padding, output_padding, groups, dilation = bound
        else:
            x, weight, bias, stride, padding, dilation, groups = bound
            output_padding = [0] * rank
        if isinstance(padding, str):
            stride, dilation = _per_dim(stride, rank), _per_dim(dilation, rank)
            return torch.ops.aten._convolution_mode.default, [x, weight, bias, stride, padding, dilation, groups]
        sizes = [_per_dim(v, rank) for v in (stride, padding, dilation, output_padding)]
        stride, padding, dilation, output_padding = sizes
        overload = torch.ops.aten._convolution.default
        return overload, [
            x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, False, False, True, True,
        ]  # fmt: skip

    return convert


def _out_of_place(overload: Any) -> Any:
    """The operation that gives a result where this one writes; itself if there is none."""
    name = overload._opname
    packet = getattr(torch.ops.aten, name[:-1], None) if name.endswith("_") and not name.startswith("_") else None
    found = getattr(packet, overload._overloadname, None) if packet is not None else None
    same = found is not None and len(found._schema.arguments) == len(overload._schema.arguments)
    return found if same else overload


def _per_dim(value: Any, rank: int) -> list[Any]:
    return list(value) * rank if isinstance(value, (list, tuple)) and len(value) == 1 else list(value)


_CONVOLUTIONS: dict[str, Callable[[list[Any]], Any]] = {
    name: _scripted_convolution(name, rank)
    for rank in (1, 2, 3)
    for name in (f"conv{rank}d", f"conv_transpose{rank}d")
}


def _index(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    from ._trace_index import traced_getitem

    return traced_getitem(r, func, args)


def _assign(r: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    from ._trace_index import traced_setitem

    return traced_setitem(r, func, args)


_SPECIAL: dict[str, Callable[..., Any]] = {
    "__get__": _getter, "__set__": _pass, "__delete__": _pass, "size": _size, "numel": _numel, "nelement": _numel,
    "__len__": _length, "__index__": _pass, "numpy": _array, "__array__": _array, "tensor": _made,
    "as_tensor": _made, "new_tensor": _made, "from_numpy": _from_numpy, "asarray": _made, "__rdiv__": _reflected,
    "__rtruediv__": _reflected, "__rpow__": _reflected, "__rfloordiv__": _reflected, "__rmod__": _reflected,
    "to": _tensor_to, "cpu": _moved, "unbind": _unbind, "__getitem__": _index, "__setitem__": _assign,
    "register_hook": _pass, "retain_grad": _pass, "backward": _pass, "requires_grad_": _pass, "dim": _pass,
    "stride": _pass, "is_contiguous": _pass, "storage_offset": _pass, "element_size": _pass, "data_ptr": _pass,
    "is_floating_point": _pass, "is_complex": _pass, "is_signed": _pass, "__repr__": _pass, "__format__": _pass,
    "__hash__": _pass, "__reduce_ex__": _pass, "__deepcopy__": _pass, "untyped_storage": _pass, "storage": _pass,
    "get_device": _pass, "is_shared": _pass, "is_pinned": _pass, "ndimension": _pass, "is_inference": _pass,
    **dict.fromkeys(_TO_PYTHON, _converted),
}  # fmt: skip
