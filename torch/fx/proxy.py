"""Stand-ins for values while a program is traced: what is done to them becomes nodes of a graph."""

from __future__ import annotations

import collections
import copy
import dis
import enum
import logging
import operator
import sys
import traceback
from dataclasses import fields, is_dataclass

import torch
from torch.utils._pytree import tree_map_

from . import _calls, config
from . import traceback as fx_traceback
from ._compatibility import compatibility
from .graph import Graph, magic_methods, reflectable_magic_methods
from .immutable_collections import immutable_dict, immutable_list
from .node import Node, base_types, map_aggregate, map_arg
from .operator_schemas import check_for_mutable_operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

__all__ = [
    "Attribute",
    "GraphAppendingTracer",
    "MetaProxy",
    "ParameterProxy",
    "Proxy",
    "Scope",
    "ScopeContextManager",
    "TraceError",
    "TracerBase",
    "assert_fn",
    "base_types",
    "check_for_mutable_operation",
    "compatibility",
    "fx_traceback",
    "immutable_dict",
    "immutable_list",
    "map_arg",
    "tree_map_",
]

_CONTROL_FLOW = "symbolically traced variables cannot be used as inputs to control flow"
_ITERATION = (
    "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a *args or **kwargs "
    "function argument. See the torch.fx docs on pytorch.org for a more detailed explanation of what types of control "
    "flow can be traced, and check out the Proxy docstring for help troubleshooting Proxy iteration errors"
)


class TraceError(ValueError):
    """The program does something with a value that depends on what the value is."""


def assert_fn(x: object) -> None:
    """``assert x``, as a function that a graph can call."""
    if not x:
        raise AssertionError("Assertion failed")


def getArtifactLogger(module_qname: str, artifact_name: str) -> logging.Logger:  # noqa: N802
    """The logger of a part of a module."""
    return logging.getLogger(f"{module_qname}.__{artifact_name}")


def is_opaque_value_type(cls: type[Any] | str) -> bool:
    """Whether a class was registered as one whose instances graphs carry without looking inside: none is."""
    return False


class CapturedTraceback:
    """A stack of frames as it was at some moment.

    >>> "in <module>" in torch.fx.proxy.CapturedTraceback.extract().format()[-1]
    True
    """

    def __init__(self, tb: traceback.StackSummary, skip: int = 0) -> None:
        self.tb, self.skip = tb, skip

    @staticmethod
    def extract(*, script: bool = False, cpp: bool = False, skip: int = 0) -> CapturedTraceback:
        """The stack of the caller, without the innermost ``skip`` frames."""
        if cpp:
            raise NotImplementedError("CapturedTraceback.extract(): frames of C++ code are not recorded")
        return CapturedTraceback(traceback.extract_stack(sys._getframe(1)), skip)

    def summary(self) -> traceback.StackSummary:
        return traceback.StackSummary.from_list(self.tb[: len(self.tb) - self.skip] if self.skip else self.tb)

    def format(self) -> list[str]:
        return traceback.format_list(self.summary())

    def cleanup(self) -> None:
        """Forget the frames."""
        self.tb = traceback.StackSummary()


class Scope:
    """Which module is being traced: its path and its class."""

    def __init__(self, module_path: str, module_type: Any) -> None:
        self.module_path, self.module_type = module_path, module_type


class ScopeContextManager:
    """Inside, a scope is another one; it is changed in place, and back at the end."""

    def __init__(self, scope: Scope, current_scope: Scope) -> None:
        self._before = copy.copy(scope)
        scope.module_path, scope.module_type = current_scope.module_path, current_scope.module_type
        self._scope = scope

    def __enter__(self) -> Scope:
        return self._scope

    def __exit__(self, *args: Any) -> None:
        self._scope.module_path, self._scope.module_type = self._before.module_path, self._before.module_type


def _no_nodes_error(arg: Any) -> None:
    raise RuntimeError(f"Keys for dictionaries used as an argument cannot contain a Node. Got key: {arg}")


class TracerBase:
    """What turns values into arguments of nodes, and operations into nodes. ``Tracer`` is the usual one."""

    graph: Graph
    record_stack_traces: bool = False
    _record_forward_stack_traces_only: bool = False
    check_mutable_operations: bool = False
    trace_asserts: bool = False
    proxy_buffer_attributes: bool = False
    traced_func_name: str = "forward"
    scope: Scope
    module_stack: collections.OrderedDict[str, tuple[str, Any]]
    node_name_to_scope: dict[str, tuple[str, Any]]

    def create_node(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
    ) -> Node:
        """Make a node of the graph, and note in its ``meta`` which modules are being traced."""
        if kind == "call_function" and self.check_mutable_operations:
            check_for_mutable_operation(target, args, kwargs)
        node = self.graph.create_node(kind, target, args, kwargs, name, type_expr)
        scope = getattr(self, "scope", None)
        if scope is not None:
            self.node_name_to_scope[node.name] = (scope.module_path, scope.module_type)
        if fx_traceback.has_preserved_node_meta():
            current = fx_traceback.get_current_meta()
            for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "custom", "from_node", "seq_nr"):
                if key in current and key not in node.meta:
                    node.meta[key] = current[key]
        elif getattr(self, "module_stack", None):
            node.meta["nn_module_stack"] = copy.copy(self.module_stack)
        return node

    def proxy(self, node: Node) -> Proxy:
        """The stand-in for the result of a node."""
        return Proxy(node, self)

    def create_proxy(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
        proxy_factory_fn: Callable[[Node], Proxy] | None = None,
    ) -> Proxy:
        """Make a node with these arguments, proxies among them, and return the stand-in for its result."""
        args_, kwargs_ = self.create_arg(args), self.create_arg(kwargs)
        if not isinstance(args_, tuple):
            raise AssertionError(f"Expected args_ to be tuple, got {type(args_)}")
        if not isinstance(kwargs_, dict):
            raise AssertionError(f"Expected kwargs_ to be dict, got {type(kwargs_)}")
        node = self.create_node(kind, target, args_, kwargs_, name, type_expr)
        made = proxy_factory_fn(node) if proxy_factory_fn else self.proxy(node)
        if self.record_stack_traces and not made.node.stack_trace and not config.do_not_emit_stack_traces:
            frames = self._filter_traceback_frames(traceback.extract_stack(sys._getframe(1)))
            if self._record_forward_stack_traces_only:
                kept = [f for f in frames if f.name == "forward"]
            else:
                kept = list(frames)
            if kept:
                made.node.stack_trace = "".join(traceback.StackSummary.from_list(kept).format()).strip()
        return made

    def _filter_traceback_frames(self, user_stack_summary: traceback.StackSummary) -> traceback.StackSummary:
        """The frames of the program, without those of tracing itself."""
        home = str(torch.__path__[0])
        kept = [f for f in user_stack_summary if not f.filename.startswith(home) or "/torch/nn/modules/" in f.filename]
        inside = [f for f in kept if not f.filename.endswith("/torch/nn/modules/module.py")]
        start = next((i for i, f in enumerate(inside) if f.name == self.traced_func_name), None)
        return traceback.StackSummary.from_list(inside[start:] if start is not None else [])

    def _find_user_frame(self) -> FrameType | None:
        """The innermost frame that is not part of tracing."""
        home = __file__.rpartition("/")[0]
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(home):
            frame = frame.f_back  # type: ignore[assignment]
        return frame

    def create_arg(self, a: Any) -> Any:
        """A value as the argument of a node: proxies become their nodes.

        Raises:
            NotImplementedError: the value cannot stand in a graph.
            RuntimeError: a proxy is the key of a dictionary.
        """
        if isinstance(a, Proxy):
            return a.node
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        if isinstance(a, tuple):
            parts = [self.create_arg(v) for v in a]
            return type(a)(*parts) if hasattr(a, "_fields") else tuple(parts)
        if isinstance(a, list):
            return [self.create_arg(v) for v in a]
        if isinstance(a, dict):
            return {self._key(k): self.create_arg(v) for k, v in a.items()}
        if isinstance(a, slice):
            return slice(self.create_arg(a.start), self.create_arg(a.stop), self.create_arg(a.step))
        if isinstance(a, range):
            return range(self.create_arg(a.start), self.create_arg(a.stop), self.create_arg(a.step))
        if isinstance(a, (torch._ops.OpOverload, torch._ops.HigherOrderOperator)):
            return a
        if is_dataclass(a) and not isinstance(a, type):
            return self.create_node(
                "call_function", type(a), (), {f.name: self.create_arg(getattr(a, f.name)) for f in fields(a)}
            )
        if isinstance(a, (*base_types, enum.Enum)) or a is None or a is ...:
            return a
        raise NotImplementedError(f"argument of type: {type(a)}")

    def _key(self, key: Any) -> Any:
        made = self.create_arg(key)
        map_aggregate(made, lambda v: _no_nodes_error(made) if isinstance(v, Node) else None)
        return made

    def to_bool(self, obj: Proxy) -> bool:
        """What ``if proxy:`` does: raises TraceError, unless a subclass knows better."""
        raise TraceError(_CONTROL_FLOW)

    def iter(self, obj: Proxy) -> Iterator[Any]:
        """What ``for v in proxy:`` does: raises TraceError, unless a subclass knows better."""
        raise TraceError(_ITERATION)

    def keys(self, obj: Proxy) -> Any:
        """What ``**proxy`` asks for: an attribute, unless a subclass knows better."""
        return Attribute(obj, "keys")()


class GraphAppendingTracer(TracerBase):
    """Adds the operations on proxies to a given graph."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.scope = Scope("", None)
        self.module_stack = collections.OrderedDict()
        self.node_name_to_scope = {}


class Proxy:
    """The stand-in for the result of a node. Operators, methods, attributes and torch functions make further nodes.

    A program that asks for the value itself, by ``if``, ``for`` or ``len``, raises TraceError or RuntimeError.

    >>> graph = torch.fx.Graph()
    >>> x = torch.fx.Proxy(graph.placeholder("x"))
    >>> (torch.relu(x) + 1).node
    add
    """

    def __init__(self, node: Node, tracer: TracerBase | None = None) -> None:
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, k: str) -> Any:
        if k in ("tracer", "node") or k in _UNASKED:
            raise AttributeError(k)
        return Attribute(self, k)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, d: dict[str, Any]) -> None:
        self.__dict__ = d

    def __deepcopy__(self, memo: dict[int, Any]) -> Proxy:
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        made.__dict__ = copy.deepcopy(self.__dict__, memo)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self) -> Iterator[Proxy]:
        count = _unpacked_into(sys._getframe(1))
        if count is not None:
            return (self[i] for i in range(count))  # type: ignore[index]
        return self.tracer.iter(self)

    def __abs__(self) -> Proxy:
        return self.tracer.create_proxy("call_function", operator.abs, (self,), {})

    def __bool__(self) -> bool:
        if self.tracer.trace_asserts and _tests_assertion(sys._getframe(1)):
            self.tracer.create_proxy("call_function", assert_fn, (self,), {})
            return True
        return self.tracer.to_bool(self)

    def keys(self) -> Any:
        return self.tracer.keys(self)

    def __len__(self) -> int:
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, please call "
            "torch.fx.wrap('len') at module scope"
        )

    @classmethod
    def __torch_function__(
        cls,
        orig_method: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> Proxy:
        args, kwargs = args or (), kwargs or {}
        tracers: dict[Any, None] = {}

        def note(value: Any) -> None:
            if isinstance(value, cls):
                tracers[value.tracer] = None

        map_aggregate(args, note)
        map_aggregate(kwargs, note)
        if len(tracers) > 1:
            raise RuntimeError(
                f"Found multiple different tracers {list(tracers)} while trying to trace operations {orig_method}"
            )
        (tracer,) = tracers
        if torch.overrides.is_tensor_method_or_property(orig_method):
            name = orig_method.__name__
            name = {"__eq__": "eq", "__ne__": "ne"}.get(name, name)
            return tracer.create_proxy("call_method", name, args, kwargs)  # type: ignore[no-any-return]
        if isinstance(orig_method, torch._ops.HigherOrderOperator):
            raise RuntimeError("Unable to symbolically trace HigherOrderOperators")
        orig_method, args, kwargs = _calls.canonical(orig_method, args, kwargs)
        return tracer.create_proxy("call_function", orig_method, args, kwargs)  # type: ignore[no-any-return]


# What others look for on any object, and what a proxy has not.
_UNASKED = frozenset({"__array__", "__array_interface__", "__array_struct__", "__cuda_array_interface__"})


class Attribute(Proxy):
    """An attribute of a proxy: a node only when it is used other than to be called, which is a method's node."""

    def __init__(self, root: Proxy, attr: str) -> None:
        self.root, self.attr, self.tracer = root, attr, root.tracer
        self._node: Node | None = None

    @property
    def node(self) -> Node:  # type: ignore[override]
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


class ParameterProxy(Proxy):
    """The stand-in for a parameter whose size is a constant of the program."""

    def __init__(self, tracer: TracerBase, node: Node, name: str, param: torch.nn.Parameter) -> None:
        super().__init__(node, tracer)
        if not isinstance(param, torch.nn.Parameter):
            raise AssertionError(f"Expected Parameter, got {type(param)}")
        self.param, self.name = param, name

    def __repr__(self) -> str:
        return f"ParameterProxy({self.name})"

    @property
    def shape(self) -> torch.Size:
        return self.param.shape

    def size(self) -> torch.Size:
        return self.param.size()

    def dim(self) -> int:
        return self.param.dim()

    @property
    def ndim(self) -> int:
        return self.param.ndim

    def numel(self) -> int:
        return self.param.numel()

    def nelement(self) -> int:
        return self.param.nelement()


class MetaProxy(Proxy):
    """A proxy that also knows, by fake tensors, the size and dtype of what it stands for (in ``node.meta["val"]``)."""

    def __init__(self, node: Node, tracer: TracerBase | None = None, fake_mode: Any = None) -> None:
        super().__init__(node, tracer)
        self.fake_mode = fake_mode

    def __repr__(self) -> str:
        return f"MetaProxy({self.node.name})"

    @classmethod
    def __torch_function__(
        cls,
        orig_method: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> MetaProxy:
        args, kwargs = args or (), kwargs or {}
        found = next((a for a in args if isinstance(a, cls)), None)
        if found is None:
            raise AssertionError("No MetaProxy found in arguments, but one is expected.")
        plain = super().__torch_function__(orig_method, types, args, kwargs)
        with found.fake_mode:
            plain.node.meta["val"] = orig_method(
                *[a.node.meta["val"] if isinstance(a, cls) else a for a in args], **kwargs
            )
        return cls(plain.node, plain.tracer, found.fake_mode)


# ---- what the caller is doing


def _instruction_at(frame: FrameType) -> tuple[list[dis.Instruction], int]:
    instructions = [i for i in dis.get_instructions(frame.f_code) if i.opname not in ("CACHE", "EXTENDED_ARG")]
    at = next((k for k, i in enumerate(instructions) if i.offset >= frame.f_lasti), len(instructions))
    if at < len(instructions) and instructions[at].offset > frame.f_lasti:
        at -= 1
    return instructions, at


def _unpacked_into(frame: FrameType) -> int | None:
    """How many names ``a, b = proxy`` unpacks into, if that is what the frame does."""
    instructions, at = _instruction_at(frame)
    if 0 <= at < len(instructions) and instructions[at].opname == "UNPACK_SEQUENCE":
        return instructions[at].argval  # type: ignore[no-any-return]
    return None


def _tests_assertion(frame: FrameType) -> bool:
    """Whether the truth value decides an ``assert``."""
    instructions, at = _instruction_at(frame)
    if not 0 <= at < len(instructions) - 1:
        return False
    return instructions[at].opname.startswith("POP_JUMP") and instructions[at + 1].opname == "LOAD_ASSERTION_ERROR"


# ---- operators


def _install(name: str, reflected: bool) -> None:
    function = getattr(operator, name)
    plain = name.rstrip("_") if name in ("and_", "or_") else name

    def forwards(*args: Any, **kwargs: Any) -> Any:
        tracer = args[0].tracer
        return tracer.create_proxy("call_function", function, args, kwargs)

    def backwards(self: Any, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", function, (other, self), {})

    made = backwards if reflected else forwards
    made.__name__ = made.__qualname__ = f"__r{plain}__" if reflected else f"__{plain}__"
    setattr(Proxy, made.__name__, made)


for method in magic_methods:
    if method != "div":
        _install(method, reflected=False)
for orig_method_name in reflectable_magic_methods:
    if orig_method_name not in ("div", "getitem"):
        _install(orig_method_name, reflected=True)
Proxy.__hash__ = object.__hash__  # type: ignore[method-assign]
Attribute.__hash__ = object.__hash__  # type: ignore[method-assign]
