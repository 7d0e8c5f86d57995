"""A program's graph, for backends: the torch functions that it calls, noted while it runs with fake tensors.

Sizes are those of the arguments. What a graph cannot hold (a tensor that becomes a Python value, a tensor from an
unknown place, output to the terminal) raises ``Break``.
"""

from __future__ import annotations

import inspect
import operator
import os
import sys
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx import _calls
from torch.fx.graph import Graph
from torch.fx.graph_module import GraphModule
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ._state import running, state
from .exc import Unsupported, break_text, with_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.fx.node import Node

__all__ = ["Break", "Captured", "Source", "capture", "graph_break"]

_HOME = str(torch.__path__[0])
_LIBRARY = os.path.dirname(os.__file__)
_BINARY = {
    name: getattr(operator, name)
    for name in "add sub mul truediv floordiv mod pow matmul lt le gt ge eq ne".split()
}
_BINARY.update(div=operator.truediv, floor_divide=operator.floordiv, remainder=operator.mod, __and__=operator.and_,
               __or__=operator.or_, __xor__=operator.xor, __getitem__=operator.getitem)  # fmt: skip
_IN_PLACE = {"__iadd__": "iadd", "__isub__": "isub", "__imul__": "imul", "__itruediv__": "itruediv",
             "__idiv__": "itruediv", "add_": "iadd"}  # fmt: skip
_REFLECTED = {"__rsub__": operator.sub, "__rdiv__": operator.truediv, "__rtruediv__": operator.truediv,
              "__rpow__": operator.pow, "__rfloordiv__": operator.floordiv, "__rmod__": operator.mod,
              "__rmatmul__": operator.matmul}  # fmt: skip
_UNARY = {"__neg__": operator.neg, "neg": operator.neg, "__invert__": operator.invert}
_TO_PYTHON = frozenset("item __int__ __float__ __index__ __complex__ tolist numpy __array__ __contains__".split())
_ASKED = frozenset(
    """
    size dim ndimension numel nelement __len__ stride is_contiguous storage_offset element_size is_floating_point
    is_complex is_signed get_device __format__ __repr__ __hash__ is_inference
    """.split()
)
_VIEWED = frozenset("T mT H mH data real imag".split())
_PLAIN = (int, float, bool, str, complex, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format,
          torch.Size, slice, type(Ellipsis))  # fmt: skip


class Break(BaseException):  # noqa: N818
    """The program does something that a graph cannot hold. No ``except Exception`` of the program catches it."""

    def __init__(self, error: Unsupported) -> None:
        super().__init__(str(error))
        self.error = error


class Source(NamedTuple):
    """A tensor that a graph takes in: its name, and how to find it in a call's leaves."""

    name: str
    tensor: torch.Tensor
    get: Callable[[list[Any]], Any]


class Captured(NamedTuple):
    """A program's graph, the tensors it takes, and how its results make up the program's result."""

    module: GraphModule
    inputs: list[Source]
    leaves: list[tuple[str, Any]]
    spec: Any
    frames: list[Any]


def graph_break(gb_type: str, context: str, explanation: str, *hints: str) -> Break:
    """The error for something that a graph cannot hold, with the line of the program that does it."""
    error = Unsupported(break_text(gb_type, context, explanation, list(hints)), gb_type)
    return Break(with_place(error, _user_frame()))


def _user_frame() -> Any:
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HOME + "/"):
        frame = frame.f_back
    return frame


class _Recorder(TorchFunctionMode):
    def __init__(self, fake_mode: FakeTensorMode, sources: list[Source]) -> None:
        super().__init__()
        self.fake_mode = fake_mode
        self.graph = Graph()
        self.nodes: dict[int, Node] = {}
        self.alive: list[Any] = []
        self.sources = {id(s.tensor): s for s in sources}
        self.inputs: list[Source] = []
        self.fakes: dict[int, Any] = {}
        self.last_input: Node | None = None
        self.gradients = torch.is_grad_enabled()
        self.broken: Break | None = None

    def stop(self, *text: str) -> Break:
        self.broken = graph_break(*text)
        return self.broken

    # ---- values

    def fake(self, tensor: torch.Tensor) -> torch.Tensor:
        """The fake tensor that stands for a real one."""
        if isinstance(tensor, FakeTensor):
            return tensor
        found = self.fakes.get(id(tensor))
        if found is None:
            found = self.fakes[id(tensor)] = self.fake_mode.from_tensor(tensor)
            self.alive.append(tensor)
            if id(tensor) in self.sources:
                self.sources[id(found)] = self.sources[id(tensor)]
        return found  # type: ignore[no-any-return]

    def node(self, tensor: torch.Tensor) -> Node:
        found = self.nodes.get(id(tensor))
        if found is not None:
            return found
        source = self.sources.get(id(tensor))
        if source is None:
            raise self.stop(
                "Tensor from an unknown place", f"{type(tensor).__name__} of shape {tuple(tensor.shape)}",
                "The program uses a tensor that is no argument, no parameter or buffer of its modules, no variable "
                "that it can see, and no result of a function that the graph holds.",
                "Pass the tensor as an argument, or make it a buffer.",
            )  # fmt: skip
        first = next(iter(self.graph.nodes), None)
        place = self.graph.inserting_after(self.last_input) if self.last_input is not None else (
            self.graph.inserting_before(first) if first is not None else self.graph.inserting_before())  # fmt: skip
        with place:
            node = self.graph.placeholder(source.name, type_expr=type(source.tensor))
        node.meta["example_value"] = self.fake(tensor)
        self.last_input = node
        self.inputs.append(source)
        self.nodes[id(source.tensor)] = self.nodes[id(self.fake(tensor))] = node
        return node

    def bind(self, value: Any, node: Node) -> None:
        node.meta["example_value"] = value
        if isinstance(value, torch.Tensor):
            self.nodes[id(value)] = node
            self.alive.append(value)
        elif isinstance(value, (list, tuple)):
            for i, part in enumerate(value):
                if isinstance(part, (torch.Tensor, list, tuple)):
                    self.bind(part, self.graph.call_function(operator.getitem, (node, i)))

    def argument(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self.node(value)
        if isinstance(value, torch.Size):
            return value
        if isinstance(value, (list, tuple)):
            parts = [self.argument(v) for v in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if isinstance(value, dict):
            return {k: self.argument(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(self.argument(value.start), self.argument(value.stop), self.argument(value.step))
        return value

    # ---- calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tuple(args), kwargs or {}
        if state.capture is not self:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "__get__":
            attribute = getattr(getattr(func, "__self__", None), "__name__", "")
            if attribute not in _VIEWED:
                return func(*map(self._faked, args))
            return self.note(getattr, (args[0], attribute), {}, lambda: func(*map(self._faked, args)))
        if name in ("__set__", "__delete__"):
            raise self.stop("Attribute of a tensor is set", name, "The program writes to an attribute of a tensor.")
        if name in ("__bool__", "__nonzero__"):
            raise self.stop(
                "Data-dependent branching", "attempted to jump with TensorVariable()",
                "Detected data-dependent branching (e.g. `if my_tensor.sum() > 0:`). Dynamo does not support tracing "
                "dynamic control flow.",
                "Use `torch.cond` to express dynamic control flow.",
            )  # fmt: skip
        if name in _TO_PYTHON:
            raise self.stop(
                f"Tensor.{name.strip('_')}() makes a Python value", name,
                "What the program does with it cannot be part of a graph.",
                "Keep the value in a tensor.",
            )  # fmt: skip
        if name in _ASKED:
            return func(*map(self._faked, args), **kwargs)
        if name in ("manual_seed", "seed", "set_rng_state"):
            raise self.stop("Random numbers are seeded", name, "The program changes the state of a generator.")
        target, node_args, node_kwargs = self._form(func, name, args, kwargs)
        run_args, run_kwargs = pytree.tree_map_only(torch.Tensor, self.fake, (args, kwargs))
        return self.note(target, node_args, node_kwargs, lambda: func(*run_args, **run_kwargs))

    def _faked(self, value: Any) -> Any:
        return self.fake(value) if isinstance(value, torch.Tensor) else value

    @staticmethod
    def _form(func: Any, name: str, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        """How a graph writes a call: as an operator, a method or a function."""
        path = ""
        try:
            path = _calls.qualified_name(func)
        except (AttributeError, RuntimeError):
            pass
        if path.startswith("torch.Tensor.") or name.startswith("__"):
            if len(args) == 2 and not kwargs:
                if name in _BINARY:
                    return _BINARY[name], args, {}
                if name in _IN_PLACE:
                    return getattr(operator, _IN_PLACE[name]), args, {}
                if name in _REFLECTED:
                    return _REFLECTED[name], args[::-1], {}
            if name in _UNARY:
                return _UNARY[name], args, {}
            if name == "__setitem__":
                return operator.setitem, args, {}
            return name, args, kwargs
        if path.startswith("torch._tensor."):
            return (_REFLECTED[name], args[::-1], {}) if name in _REFLECTED else (name, args, kwargs)
        return _calls.canonical(func, args, kwargs)

    def note(self, target: Any, args: Any, kwargs: Any, run: Callable[[], Any]) -> Any:
        """Add a node for a call, and run it."""
        node_args, node_kwargs = self.argument(tuple(args)), self.argument(kwargs)
        now = torch.is_grad_enabled()
        if now != self.gradients:
            self.gradients = now
            self.graph.call_function(torch._C._set_grad_enabled, (now,))
        try:
            result = run()
        except Break:
            raise
        except Exception as e:
            if "data-dependent" in str(e) or "DataDependent" in type(e).__name__ or "Dynamic" in type(e).__name__:
                raise self.stop("Result of unknown size", str(target), str(e).split("\n")[0]) from e
            raise
        if isinstance(target, str):
            node = self.graph.call_method(target, node_args, node_kwargs)
        else:
            node = self.graph.call_function(target, node_args, node_kwargs)
        self.bind(result, node)
        return result

    def stepped(self, frame: Any, event: str, arg: Any) -> None:
        """What the program does beside torch's functions, as Python's profiler tells it."""
        if event == "call":
            file = frame.f_code.co_filename
            # Python's own library keeps what is of no interest, such as the generators of contexts.
            library = file.startswith(_LIBRARY) and "site-packages" not in file
            if not library and not file.startswith((_HOME + "/", "<frozen")):
                self.frames.append(frame)
        elif event == "c_call" and arg is print and not frame.f_code.co_filename.startswith(_HOME + "/"):
            # Before it writes: the call may run as Python after this.
            raise self.stop(
                "Failed to trace builtin operator", "builtin print",
                "Dynamo does not know how to trace builtin operator `print`: what it writes would be lost.",
                "Avoid calling builtin `print`.",
            )  # fmt: skip

    frames: list[Any]


def sources_of(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Source]:
    """The tensors that a program can see: arguments, its modules' parameters, and variables outside it."""
    found: list[Source] = []
    seen: set[int] = set()

    def add(name: str, tensor: Any, get: Callable[[list[Any]], Any]) -> None:
        if isinstance(tensor, torch.Tensor) and id(tensor) not in seen:
            seen.add(id(tensor))
            found.append(Source(name, tensor, get))

    for number, (name, leaf) in enumerate(_named_leaves(fn, args, kwargs)):
        add(f"L_{name}_", leaf, lambda leaves, number=number: leaves[number])
    for name, value in _outer_values(fn):
        if isinstance(value, torch.Tensor):
            add(f"{name}_", value, lambda leaves, value=value: value)
        elif isinstance(value, torch.nn.Module):
            for path, module in value.named_modules():
                inner = "".join(f"_modules_{part}" for part in path.split(".") if part)
                for kind in ("_parameters", "_buffers"):
                    for key, tensor in getattr(module, kind).items():
                        add(f"{name}{inner}{kind}_{key}_", tensor,
                            lambda leaves, table=getattr(module, kind), key=key: table[key])  # fmt: skip
                for key, tensor in vars(module).items():
                    add(f"{name}{inner}_{key}_", tensor, lambda leaves, m=module, key=key: getattr(m, key))
    return found


def _named_leaves(fn: Any, args: Any, kwargs: Any) -> list[tuple[str, Any]]:
    if isinstance(fn, MethodType) and isinstance(fn.__self__, torch.nn.Module) and fn.__name__ == "__call__":
        fn = fn.__self__.forward
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        bound = {}
    names: dict[int, str] = {}
    for name, value in bound.items():
        for path, leaf in pytree.tree_flatten_with_path(value)[0]:
            parts = "".join(f"_{getattr(k, 'key', getattr(k, 'idx', getattr(k, 'name', '')))}" for k in path)
            names.setdefault(id(leaf), f"{name}{parts}")
    leaves = pytree.tree_leaves((args, kwargs))
    return [(names.get(id(leaf), f"args_{i}"), leaf) for i, leaf in enumerate(leaves)]


def _outer_values(fn: Any) -> list[tuple[str, Any]]:
    """Tensors and modules that a function reaches without being given them, by the names they go by."""
    found: list[tuple[str, Any]] = []
    if isinstance(fn, torch.nn.Module):
        return [("L_self", fn)]
    if isinstance(fn, MethodType):
        found.append(("L_self", fn.__self__))
        fn = fn.__func__
    inner = inspect.unwrap(fn) if callable(fn) else fn
    if not isinstance(inner, FunctionType):
        return found
    for name, cell in zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=False):
        try:
            found.append((f"L_{name}", cell.cell_contents))
        except ValueError:
            continue
    for name in _global_names(inner.__code__):
        if name in inner.__globals__:
            found.append((f"G_{name}", inner.__globals__[name]))
    return found


def _global_names(code: Any) -> list[str]:
    names = list(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names += _global_names(constant)
    return list(dict.fromkeys(names))


def capture(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Captured:
    """Run a program with fake tensors and note its graph.

    Raises:
        Break: it does something that a graph cannot hold.
    """
    fake_mode = FakeTensorMode(allow_non_fake_inputs=True)
    recorder = _Recorder(fake_mode, sources_of(fn, args, kwargs))
    recorder.frames = []
    fake_args, fake_kwargs = pytree.tree_map_only(torch.Tensor, recorder.fake, (args, kwargs))
    outer, state.capture = state.capture, recorder
    gradients = torch.is_grad_enabled()
    before = sys.getprofile()
    try:
        with running(True), fake_mode, recorder:
            sys.setprofile(recorder.stepped)
            try:
                result = fn(*fake_args, **fake_kwargs)
            finally:
                sys.setprofile(before)
    finally:
        state.capture = outer
        torch.set_grad_enabled(gradients)
    if recorder.broken is not None:
        raise recorder.broken
    return _finished(recorder, result)


def _finished(recorder: _Recorder, result: Any) -> Captured:
    leaves, spec = pytree.tree_flatten(result)
    outputs: list[Node] = []
    made: list[tuple[str, Any]] = []
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            node = recorder.node(leaf)
            if node not in outputs:
                outputs.append(node)
            made.append(("output", outputs.index(node)))
        elif isinstance(leaf, _PLAIN):
            made.append(("constant", leaf))
        else:
            raise graph_break(
                "Result of an unknown class", type(leaf).__name__,
                f"The program returns a {type(leaf).__name__}, which may hold tensors.",
                "Register the class with torch.utils._pytree.register_pytree_node.",
            )  # fmt: skip
    recorder.graph.output(tuple(outputs))
    # Parts of results that the program does not look at.
    for node in reversed(recorder.graph.nodes):
        if node.target is operator.getitem and not node.users and isinstance(node.args[1], int):
            recorder.graph.erase_node(node)
    module = GraphModule(torch.nn.Module(), recorder.graph, "GraphModule")
    return Captured(module, recorder.inputs, made, spec, recorder.frames)
