"""Tracing: a program is run with stand-ins for its inputs, and what it does to them becomes a graph."""

from __future__ import annotations

import builtins
import collections
import functools
import inspect
import math
import sys
import types
import warnings

import torch
from torch.utils import _pytree as pytree

from ._codegen import _PyTreeCodeGen, _PyTreeInfo
from .graph import Graph
from .graph_module import GraphModule
from .node import base_types, map_aggregate
from .proxy import ParameterProxy, Proxy, Scope, ScopeContextManager, TracerBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType, ModuleType
    from typing import Any

__all__ = [
    "PH",
    "PHBase",
    "PHWithMeta",
    "ProxyableClassMeta",
    "Tracer",
    "is_fx_symbolic_tracing",
    "is_fx_tracing",
    "symbolic_trace",
    "wrap",
]

_tracing = False


def is_fx_symbolic_tracing() -> bool:
    """Whether a program is being traced with proxies, and not compiled or exported."""
    return _tracing and not torch.compiler.is_compiling()


def is_fx_tracing() -> bool:
    """Whether a program is being traced."""
    return _tracing


class PHBase:
    """Marks, in ``concrete_args``, the places that stay inputs."""

    def __repr__(self) -> str:
        return "PH"


class PHWithMeta(PHBase):
    """A place that stays an input, with facts about it that its node takes over."""

    def __init__(self, ph_key: str | None = None) -> None:
        super().__init__()
        self.ph_key = ph_key


PH = PHBase()


def _transfer_attrs(fr: object, to: object) -> None:
    for name in dir(fr):
        value = getattr(fr, name)
        if not callable(value) and not name.startswith("__") and not hasattr(to, name):
            setattr(to, name, value)


class ProxyableClassMeta(type):
    """The class of classes whose construction, given proxies, becomes a node.

    >>> class Pair(metaclass=torch.fx.ProxyableClassMeta):
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> def f(x):
    ...     return Pair(x, 1).a
    >>> [n.name for n in torch.fx.symbolic_trace(f).graph.nodes]
    ['x', 'pair', 'getattr_1', 'output']
    """

    def __init__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> None:
        super().__init__(name, bases, attrs)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = cls.__new__(cls)
        if not is_fx_tracing():
            cls.__init__(instance, *args, **kwargs)
            return instance
        found: list[Proxy] = []

        def look(v: Any) -> None:
            if isinstance(v, cls) and not isinstance(v, Proxy):
                for part in vars(v).values():
                    look(part)
            elif isinstance(v, Proxy):
                found.append(v)

        map_aggregate(args, look)
        map_aggregate(kwargs, look)
        if found:
            return found[0].tracer.create_proxy("call_function", cls, args, kwargs)
        cls.__init__(instance, *args, **kwargs)
        return instance


def _assert_is_none(value: object, msg: str) -> None:
    if value is not None:
        raise AssertionError(msg)


# ---- functions that are recorded whole

_wrapped_fns_to_patch: dict[tuple[int, str], dict[str, Any]] = {}
_wrapped_methods_to_patch: list[tuple[type, str]] = []


def wrap(fn_or_name: str | Callable[..., Any]) -> str | Callable[..., Any]:
    """Let tracing record the calls of a function instead of looking inside. At module level only.

    Args:
        fn_or_name: a function of the module, or the name of one or of a builtin. Works as a decorator too.

    Raises:
        NotImplementedError: not at the top level of a module.
        RuntimeError: neither a function nor a name.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    name = fn_or_name
    if not isinstance(fn_or_name, str):
        name = fn_or_name.__name__
    frame = sys._getframe(1)
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    _wrapped_fns_to_patch[(id(frame.f_globals), str(name))] = frame.f_globals
    return fn_or_name


def _find_proxy(*objects_to_search: object) -> Proxy | None:
    found: list[Proxy] = []
    for value in objects_to_search:
        map_aggregate(value, lambda v: found.append(v) if isinstance(v, Proxy) else None)
    return found[0] if found else None


def _create_wrapped_func(orig_fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(orig_fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        proxy = _find_proxy(args, kwargs)
        if proxy is None:
            return orig_fn(*args, **kwargs)
        made = proxy.tracer.create_proxy("call_function", orig_fn, args, kwargs)
        made.node.meta["is_wrapped"] = True
        return made

    return wrapped


def _create_wrapped_method(cls: type, name: str) -> Callable[..., Any]:
    orig_fn = getattr(cls, name)

    @functools.wraps(orig_fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        proxy = _find_proxy(args, kwargs)
        if proxy is None:
            return orig_fn(*args, **kwargs)
        return proxy.tracer.create_proxy("call_method", name, args, kwargs)

    return wrapped


class _Patcher:
    """Replaces functions in namespaces and classes, and puts them back at the end."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        self.visited: set[int] = set()
        self._done: set[tuple[int, str]] = set()

    def patch(
        self, frame_dict: dict[str, Any], name: str, new_fn: Callable[..., Any], deduplicate: bool = True
    ) -> None:
        """Replace an entry of a namespace; a builtin's name gets an entry for the time being."""
        if (id(frame_dict), name) in self._done and deduplicate:
            return
        self._done.add((id(frame_dict), name))
        present, before = name in frame_dict, frame_dict.get(name)
        frame_dict[name] = new_fn

        def undo() -> None:
            if present:
                frame_dict[name] = before
            else:
                del frame_dict[name]

        self._undo.append(undo)

    def patch_method(self, cls: type, name: str, new_fn: Callable[..., Any], deduplicate: bool = True) -> None:
        """Replace a method of a class."""
        before = getattr(cls, name)
        if (id(cls), name) in self._done and deduplicate:
            return
        self._done.add((id(cls), name))
        setattr(cls, name, new_fn)
        self._undo.append(lambda: setattr(cls, name, before))

    def add_method(self, cls: type, name: str, new_fn: Callable[..., Any]) -> None:
        """Give a class a method of its own that it inherits otherwise."""
        before = vars(cls).get(name)
        setattr(cls, name, new_fn)
        self._undo.append(lambda: delattr(cls, name) if before is None else setattr(cls, name, before))

    def visit_once(self, thing: object) -> bool:
        fresh = id(thing) not in self.visited
        self.visited.add(id(thing))
        return fresh

    def __enter__(self) -> _Patcher:
        return self

    def __exit__(self, *exc: Any) -> None:
        while self._undo:
            self._undo.pop()()


def _patch_wrapped_functions(patcher: _Patcher) -> None:
    for (_, name), space in _wrapped_fns_to_patch.copy().items():
        if name not in space and hasattr(builtins, name):
            function = getattr(builtins, name)
        else:
            function = space[name]
        patcher.patch(space, name, _create_wrapped_func(function))
    for cls, name in _wrapped_methods_to_patch:
        patcher.patch_method(cls, name, _create_wrapped_method(cls, name))


def _autowrap_check(patcher: _Patcher, frame_dict: dict[str, Any], function_ids: set[int]) -> None:
    """Replace, in a namespace, the functions that are to be recorded whole."""
    if patcher.visit_once(frame_dict):
        for name, value in list(frame_dict.items()):
            if not name.startswith("_") and callable(value) and id(value) in function_ids:
                patcher.patch(frame_dict, name, _create_wrapped_func(value))


# ---- the tracer


def _patch_function(fn: FunctionType, nargs: int) -> FunctionType:
    """The function with all its parameters, those with asterisks too, as plain positional ones."""
    code = fn.__code__
    plain = code.replace(
        co_argcount=nargs,
        co_posonlyargcount=0,
        co_kwonlyargcount=0,
        co_flags=code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS),
    )
    return types.FunctionType(plain, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)


class Tracer(TracerBase):
    """Traces a module or function. Subclasses decide what is recorded whole and how values become arguments.

    Args:
        autowrap_modules: modules whose functions are recorded whole.
        autowrap_functions: functions that are.
        param_shapes_constant: ask parameters for their size at once, instead of in the graph.

    >>> class Whole(torch.fx.Tracer):
    ...     def is_leaf_module(self, m, module_qualified_name):
    ...         return True
    >>> [n.op for n in Whole().trace(torch.nn.Sequential(torch.nn.ReLU())).nodes]
    ['placeholder', 'call_module', 'output']
    """

    def __init__(
        self,
        autowrap_modules: tuple[ModuleType] = (math,),
        autowrap_functions: tuple[Callable[..., Any], ...] = (),
        param_shapes_constant: bool = False,
    ) -> None:
        super().__init__()
        self._autowrap_function_ids: set[int] = {
            id(value)
            for module in autowrap_modules
            for name, value in module.__dict__.items()
            if not name.startswith("_") and callable(value)
        } | {id(f) for f in autowrap_functions}
        self._autowrap_search: list[ModuleType] = list(autowrap_modules)
        self.param_shapes_constant = param_shapes_constant
        self.submodule_paths: dict[torch.nn.Module, str] | None = None
        self.root_module_name = ""
        self.scope = Scope("", None)
        self.module_stack: collections.OrderedDict[str, tuple[str, Any]] = collections.OrderedDict()
        self.num_calls: dict[str, int] = {}
        self.node_name_to_scope: dict[str, tuple[str, Any]] = {}
        self._qualname_counter: dict[str, int] = collections.defaultdict(int)

    def get_fresh_qualname(self, prefix: str) -> str:
        """A name, ``prefix`` with a number, that the root has no attribute of yet."""
        number = self._qualname_counter[prefix]
        while hasattr(self.root, f"{prefix}{number}"):
            number += 1
        self._qualname_counter[prefix] = number + 1
        return f"{prefix}{number}"

    def create_arg(self, a: Any) -> Any:
        """A value as the argument of a node: parameters, buffers and submodules become attributes of the root, other
        tensors new ones.

        Raises:
            NameError: a parameter that the root does not have.
        """
        if isinstance(a, Proxy):
            return a.node
        if isinstance(a, torch.nn.Parameter):
            for name, parameter in self.root.named_parameters():
                if a is parameter:
                    return self.create_node("get_attr", name, (), {})
            raise NameError("parameter is not a member of this module")
        if isinstance(a, torch.Tensor):
            for name, buffer in self.root.named_buffers():
                if a is buffer:
                    return self.create_node("get_attr", name, (), {})
            return self._constant(a, "_tensor_constant")
        if isinstance(a, torch.nn.Module):
            for name, module in self.root.named_modules():
                if a is module:
                    return self.create_node("get_attr", name, (), {})
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return self.create_node("call_function", type(a), tuple(self.create_arg(v) for v in a), {})
        if type(type(a)) is ProxyableClassMeta:
            return self._constant(a, f"_{type(a).__name__}_constant_")
        return super().create_arg(a)

    def _constant(self, value: Any, prefix: str) -> Any:
        """The node of an object that is an attribute of the root, or becomes one."""
        path = self.tensor_attrs.get(value)
        if path is None:
            path = self.get_fresh_qualname(prefix)
            self.tensor_attrs[value] = path
            setattr(self.root, path, value)
        return self.create_node("get_attr", path, (), {})

    def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
        """Whether calls of a module are recorded whole: those of ``torch.nn`` are, but for ``Sequential``."""
        home = m.__module__
        return home.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(m, torch.nn.Sequential)

    def path_of_module(self, mod: torch.nn.Module) -> str:
        """The path of a submodule. Raises NameError if the root does not have it."""
        if self.submodule_paths:
            path = self.submodule_paths.get(mod)
            if path is None:
                raise NameError("module is not installed as a submodule")
            return path
        for name, module in self.root.named_modules():
            if mod is module:
                return name
        raise NameError("module is not installed as a submodule")

    def call_module(
        self, m: torch.nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What a call of a submodule does: a node, if it is a leaf, else what its ``forward`` does."""
        path = self.path_of_module(m)
        with ScopeContextManager(self.scope, Scope(path, type(m))) as scope:
            calls = self.num_calls.get(path, 0)
            self.num_calls[path] = calls + 1
            key = f"{scope.module_path}@{calls}" if calls > 0 else scope.module_path
            self.module_stack[key] = (scope.module_path, scope.module_type)
            try:
                if self.is_leaf_module(m, path):
                    return self.create_proxy("call_module", path, args, kwargs)
                return forward(*args, **kwargs)
            finally:
                self.module_stack.popitem(last=True)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """What an attribute of a module gives: a proxy for parameters, and for buffers if they are asked for."""
        if isinstance(attr_val, torch.nn.Parameter):
            return self._attribute_proxy(attr_val, self.root.named_parameters(), parameter_proxy_cache, attr_val)
        if self.proxy_buffer_attributes and isinstance(attr_val, torch.Tensor):
            return self._attribute_proxy(attr_val, self.root.named_buffers(), parameter_proxy_cache, attr_val)
        return attr_val

    def _attribute_proxy(self, value: Any, named: Any, cache: dict[str, Any], default: Any) -> Any:
        for name, each in named:
            if value is each:
                if name not in cache:
                    factory = None
                    if self.param_shapes_constant and isinstance(value, torch.nn.Parameter):

                        def factory(node: Any, name: str = name) -> Any:
                            return ParameterProxy(self, node, name, value)

                    cache[name] = self.create_proxy("get_attr", name, (), {}, proxy_factory_fn=factory)
                return cache[name]
        return default

    # ---- inputs

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """The function to run and the arguments to run it with: proxies, where ``concrete_args`` gives no value."""
        fn = inspect.unwrap(root_fn)
        code = fn.__code__
        total = code.co_argcount + code.co_kwonlyargcount
        names = iter(code.co_varnames)
        args: list[Any] = []
        if is_module:
            if total == 0:
                raise RuntimeError("``self`` argument cannot be part of *args expansion!")
            next(names)
            args.append(self.root)
        signature = inspect.signature(fn)
        if isinstance(concrete_args, tuple):
            wanted = [next(names) for _ in range(total - len(args))]
            if len(wanted) != len(concrete_args):
                raise RuntimeError(
                    f"Tracing expected {len(wanted)} arguments but got {len(concrete_args)} concrete arguments"
                )
            concrete_args = dict(zip(wanted, concrete_args, strict=True))
            names = iter(code.co_varnames[len(args) :])
        arg_names = [next(names) for _ in range(len(args), total)]
        args.extend(self._proxy_placeholder(name, concrete_args, signature, fn) for name in arg_names)
        if code.co_kwonlyargcount > 0 or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
            if code.co_flags & inspect.CO_VARARGS:
                args.append(self._proxy_placeholder("*" + next(names), concrete_args, signature, fn))
            if code.co_flags & inspect.CO_VARKEYWORDS:
                args.append(self._proxy_placeholder("**" + next(names), concrete_args, signature, fn))
            root_fn = _patch_function(fn, len(args))
        own, given = (args[:1], args[1:]) if is_module else ([], args)
        flat, in_spec = pytree.tree_flatten(tuple(given))
        if all(child.is_leaf() for child in in_spec.children()):
            return root_fn, args
        self.graph._codegen = _PyTreeCodeGen(_PyTreeInfo(arg_names, in_spec, None))

        def flattened(*leaves: Any) -> Any:
            out = root_fn(*own, *pytree.tree_unflatten(list(leaves), in_spec))
            out_leaves, out_spec = pytree.tree_flatten(out)
            codegen = self.graph._codegen
            assert isinstance(codegen, _PyTreeCodeGen)
            codegen.pytree_info = codegen.pytree_info._replace(out_spec=out_spec)
            return out_leaves

        return flattened, flat

    def _proxy_placeholder(self, name: str, concrete_args: dict[str, Any] | None, sig: Any, fn: Any) -> Any:
        if concrete_args is not None and name in concrete_args:
            return self._specialised(name, concrete_args[name], sig)
        default: tuple[Any, ...] = ()
        if not name.startswith("*"):
            parameter = sig.parameters[name]
            default = () if parameter.default is inspect.Parameter.empty else (parameter.default,)
        return self.create_proxy(
            "placeholder", name, default, {}, type_expr=getattr(fn, "__annotations__", {}).get(name)
        )

    def _specialised(self, name: str, value: Any, sig: Any) -> Any:
        """An argument whose value is known: inputs for its leaves, and checks that they have the values."""
        count = 0

        def leaf(x: Any) -> Any:
            nonlocal count
            count += 1
            parameter = sig.parameters[name]
            default = () if parameter.default is inspect.Parameter.empty else (parameter.default,)
            given = self.create_proxy("placeholder", f"{name}_{count}", default, {})
            if isinstance(x, PHBase):
                if x is not PH:
                    _transfer_attrs(fr=x, to=given.node)
                return given
            message = f"{name} has been specialized to have value {x} but got another value"
            if x is None:
                self.create_proxy("call_function", _assert_is_none, (given, message), {})
            elif isinstance(x, base_types) and type(x) is not torch.Tensor:
                torch._assert(given == x, message)
            else:
                warnings.warn(
                    f"Was not able to add assertion to guarantee correct input {name} to specialized function. It is "
                    "up to the user to make sure that your inputs match the inputs you specialized the function with.",
                    stacklevel=2,
                )
            return x

        leaves, spec = pytree.tree_flatten(value)
        return pytree.tree_unflatten([leaf(x) for x in leaves], spec)

    # ---- tracing

    def trace(self, root: torch.nn.Module | Callable[..., Any], concrete_args: Any = None) -> Graph:
        """The graph of a module or function.

        Args:
            root: what to trace. It runs once, with proxies for its arguments.
            concrete_args: values for some of the arguments, by name, that the program may look at.

        Raises:
            TraceError: the program decides by the value of a tensor.
        """
        global _tracing
        before, _tracing = _tracing, True
        try:
            return self._trace(root, concrete_args)
        finally:
            _tracing = before

    def _trace(self, root: Any, concrete_args: Any) -> Graph:
        if isinstance(root, torch.nn.Module):
            self.root = root
            if not hasattr(type(root), self.traced_func_name):
                raise AssertionError(f"traced_func_name={self.traced_func_name} doesn't exist in {type(root).__name__}")
            fn = getattr(type(root), self.traced_func_name)
            self.root_module_name = root._get_name()
            self.submodule_paths = {mod: name for name, mod in root.named_modules()}
        else:
            self.root = torch.nn.Module()
            fn, self.submodule_paths = root, None
        if not isinstance(fn, types.FunctionType):
            raise AssertionError(f"Expected FunctionType, got {type(fn)}")
        self.graph = Graph(tracer_cls=getattr(self, "__class__", None))
        code = fn.__code__
        self.graph._co_fields = {
            "co_name": code.co_name, "co_filename": code.co_filename, "co_firstlineno": code.co_firstlineno
        }  # fmt: skip
        self.tensor_attrs = _attributes(self.root)
        fn_globals = fn.__globals__
        run, args = self.create_args_for_root(fn, isinstance(root, torch.nn.Module), concrete_args)
        cache: dict[str, Any] = {}
        module_call, lookup = torch.nn.Module.__call__, torch.nn.Module.__getattribute__

        def getattribute(mod: Any, attr: str) -> Any:
            value = lookup(mod, attr)
            if isinstance(value, (torch.Tensor, torch.nn.Module)) and _is_registered(mod, attr):
                return self.getattr(attr, value, cache)
            return value

        @functools.wraps(module_call)
        def call(mod: Any, *args: Any, **kwargs: Any) -> Any:
            def forward(*args: Any, **kwargs: Any) -> Any:
                return module_call(mod, *args, **kwargs)

            _autowrap_check(patcher, mod.forward.__globals__ if hasattr(mod.forward, "__globals__") else {},
                            self._autowrap_function_ids)  # fmt: skip
            return self.call_module(mod, forward, args, kwargs)

        with _Patcher() as patcher:
            patcher.add_method(torch.nn.Module, "__getattribute__", getattribute)
            patcher.patch_method(torch.nn.Module, "__call__", call, deduplicate=False)
            _patch_wrapped_functions(patcher)
            _autowrap_check(patcher, fn_globals, self._autowrap_function_ids)
            for module in self._autowrap_search:
                _autowrap_check(patcher, module.__dict__, self._autowrap_function_ids)
            result = run(*args)
            self.create_node(
                "output", "output", (self.create_arg(result),), {}, type_expr=fn.__annotations__.get("return")
            )
        self.submodule_paths = None
        return self.graph

    def __deepcopy__(self, memo: dict[int, Any]) -> Tracer:
        made = Tracer.__new__(type(self))
        for name, value in self.__dict__.items():
            made.__dict__[name] = value if name in ("_autowrap_search",) else _copied(value, memo)
        return made


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    import copy

    return copy.deepcopy(value, memo)


def _is_registered(module: torch.nn.Module, name: str) -> bool:
    """Whether an attribute is a parameter, a buffer or a submodule."""
    own = object.__getattribute__(module, "__dict__")
    return any(name in own[table] for table in ("_parameters", "_buffers", "_modules"))


class _ByIdentity(dict):  # type: ignore[type-arg]
    """Objects to their paths, by identity: tensors compare by elements."""

    def __init__(self) -> None:
        super().__init__()
        self._alive: list[Any] = []

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(id(key), default)

    def __setitem__(self, key: Any, path: Any) -> None:
        self._alive.append(key)
        super().__setitem__(id(key), path)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(id(key))


def _attributes(root: torch.nn.Module) -> _ByIdentity:
    """The paths of tensors that are plain attributes of a module or of those inside it."""
    found = _ByIdentity()

    def look(module: torch.nn.Module, way: tuple[str, ...]) -> None:
        for name, value in module.__dict__.items():
            if isinstance(value, torch.Tensor):
                found[value] = ".".join((*way, name))
        for name, child in module.named_children():
            look(child, (*way, name))

    look(root, ())
    return found


def symbolic_trace(
    root: torch.nn.Module | Callable[..., Any], concrete_args: dict[str, Any] | None = None
) -> GraphModule:
    """Trace a module or function into a ``GraphModule``.

    Args:
        root: what to trace. It runs once, with stand-ins for its arguments.
        concrete_args: values for some of the arguments, by name, that the program may look at; ``torch.fx.PH`` in a
            nested value marks what stays an input.

    Raises:
        TraceError: the program decides by the value of a tensor.

    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> traced(torch.tensor([-1., 2.]))
    tensor([1., 3.])
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, torch.nn.Module) else root.__name__
    return GraphModule(tracer.root, graph, name)
