"""The nodes of a graph: one operation each, linked in the order in which they run."""

from __future__ import annotations

import operator
from typing import Any, TypeVar, Union

import torch

from . import _calls
from .immutable_collections import immutable_dict, immutable_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .graph import Graph
    from .operator_schemas import ArgsKwargsPair

__all__ = ["Node", "has_side_effect", "map_aggregate", "map_arg"]

BaseArgumentTypes = Union[
    str, int, float, bool, complex, torch.dtype, torch.Tensor, torch.device, torch.memory_format, torch.layout
]
base_types = (
    str, int, float, bool, complex, torch.dtype, torch.Tensor, torch.device, torch.memory_format, torch.layout,
    torch._ops.OpOverload, torch.SymInt, torch.SymBool, torch.SymFloat,
)  # fmt: skip
Target = Union["Callable[..., Any]", str]
Argument = Any
ArgumentT = TypeVar("ArgumentT")
F = TypeVar("F")

_OPS = frozenset({"placeholder", "call_method", "call_module", "call_function", "get_attr", "output", "root"})
_legal_ops = dict.fromkeys(("placeholder", "call_method", "call_module", "call_function", "get_attr", "output", "root"))

# Functions that do something beside returning a result, so that a call of them stays when nobody uses its result.
_side_effectful_functions: set[Any] = {torch._assert, operator.setitem}
# Functions of torch that draw random numbers: two calls of them are not one.
_RANDOM = frozenset(
    """
    bernoulli multinomial normal poisson rand randint randn randperm rand_like randn_like randint_like
    """.split()
)


def has_side_effect(fn: F) -> F:
    """Mark a function as doing something beside returning its result: ``eliminate_dead_code`` keeps its calls.

    >>> @torch.fx.has_side_effect
    ... def log(x):
    ...     print(x)
    """
    _side_effectful_functions.add(fn)
    return fn


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def map_aggregate(a: ArgumentT, fn: Callable[[Any], Any]) -> ArgumentT:
    """``fn`` of everything in nested tuples, lists, dictionaries and slices, in the same structure.

    Lists and dictionaries come back as immutable ones.

    >>> torch.fx.node.map_aggregate((1, [2, {"a": 3}]), lambda v: v + 1)
    (2, [3, {'a': 4}])
    """
    result: Any
    if isinstance(a, tuple):
        parts = [map_aggregate(v, fn) for v in a]
        result = type(a)(*parts) if _is_namedtuple(a) else tuple(parts)
    elif isinstance(a, list):
        result = immutable_list([map_aggregate(v, fn) for v in a])
    elif isinstance(a, dict):
        result = immutable_dict((k, map_aggregate(v, fn)) for k, v in a.items())
    elif isinstance(a, slice):
        result = slice(map_aggregate(a.start, fn), map_aggregate(a.stop, fn), map_aggregate(a.step, fn))
    else:
        result = fn(a)
    return result  # type: ignore[no-any-return]


def map_arg(a: ArgumentT, fn: Callable[[Node], Any]) -> ArgumentT:
    """``fn`` of every node in nested arguments, in the same structure.

    Raises:
        AssertionError: ``fn`` is not callable.
    """
    if not callable(fn):
        raise AssertionError("torch.fx.map_arg(a, fn): fn must be a callable")
    return map_aggregate(a, lambda v: fn(v) if isinstance(v, Node) else v)


def _type_repr(obj: object) -> str:
    """How a type is written in generated code and in the text of a graph."""
    if isinstance(obj, type) and not _is_generic_alias(obj):
        if obj.__module__ == "builtins":
            return obj.__qualname__
        if obj is torch.Tensor:
            return "torch.Tensor"
        return f"{obj.__module__}.{obj.__qualname__}"
    if obj is ...:
        return "..."
    return repr(obj)


def _is_generic_alias(obj: object) -> bool:
    return bool(getattr(obj, "__args__", None)) and hasattr(obj, "__origin__")


def _get_qualified_name(func: Callable[..., Any]) -> str:
    return _calls.qualified_name(func)


def _find_module_of_method(orig_method: Callable[..., Any]) -> str:
    return _calls.module_of(orig_method)


def _format_arg(arg: object, max_list_len: float = float("inf")) -> str:
    """An argument in the text of a graph: nodes as %name, strings without quotes."""
    if hasattr(arg, "_custom_fx_repr_fn"):
        return arg._custom_fx_repr_fn()  # type: ignore[no-any-return]
    if isinstance(arg, (list, tuple)):
        shown = [_format_arg(a) for i, a in enumerate(arg) if i < max_list_len]
        rest = f", ...[total_len={len(arg)}]" if len(arg) > max_list_len else ""
        body = ", ".join(shown) + rest
        if isinstance(arg, list):
            return f"[{body}]"
        return f"({body},)" if len(arg) == 1 else f"({body})"
    if isinstance(arg, dict):
        return "{" + ", ".join(f"{k}: {_format_arg(v)}" for k, v in arg.items()) + "}"
    return f"%{arg}" if isinstance(arg, Node) else str(arg)


class Node:
    """One operation of a graph.

    ``op`` says what kind it is and so what ``target`` means: ``placeholder`` (an input, by its name), ``get_attr`` (an
    attribute of the module, by its path), ``call_function`` (a function), ``call_module`` (a submodule, by its path),
    ``call_method`` (a method's name; the object is the first argument) and ``output``. Nodes are made by ``Graph``.

    >>> graph = torch.fx.Graph()
    >>> x = graph.placeholder("x")
    >>> graph.call_function(torch.add, (x, 1)).format_node()
    '%add : [num_users=0] = call_function[target=torch.add](args = (%x, 1), kwargs = {})'
    """

    graph: Graph
    name: str
    op: str
    target: Any
    users: dict[Node, None]
    type: Any
    meta: dict[str, Any]

    def __init__(
        self,
        graph: Graph,
        name: str,
        op: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        return_type: Any = None,
    ) -> None:
        if op not in _OPS:
            raise AssertionError(f"op '{op}' is not in _legal_ops")
        wanted = "Callable" if op == "call_function" else "str"
        if not (callable(target) if op == "call_function" else isinstance(target, str)):
            kind = _type_repr(type(target)) if not hasattr(target, "__name__") else target.__name__
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {kind} but a {wanted} is expected"
            )
        self.graph, self.name, self.op, self.target, self.type = graph, name, op, target, return_type
        self.users, self.meta, self._input_nodes = {}, {}, {}
        self._prev = self._next = self
        self._place = 0
        self._erased = False
        self._repr_fn: Callable[[Node], str] | None = None
        self._args: tuple[Any, ...] = ()
        self._kwargs: dict[str, Any] = {}
        self._set_arguments(args, kwargs)

    # ---- arguments

    def _set_arguments(self, args: Any, kwargs: Any) -> None:
        """Take over arguments, and tell the nodes among them who uses them."""
        for old in self._input_nodes:
            old.users.pop(self, None)
        self._input_nodes: dict[Node, None] = {}

        def enter(node: Node) -> Node:
            self._input_nodes[node] = None
            node.users[self] = None
            return node

        self._args, self._kwargs = map_arg(tuple(args), enter), map_arg(dict(kwargs), enter)

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments. Assign a new tuple to change them."""
        return self._args

    @args.setter
    def args(self, a: tuple[Any, ...]) -> None:
        self._set_arguments(a, self._kwargs)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments. Assign a new dictionary to change them."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, k: dict[str, Any]) -> None:
        self._set_arguments(self._args, k)

    @property
    def all_input_nodes(self) -> list[Node]:
        """The nodes among the arguments, each once, in order."""
        return list(self._input_nodes)

    def update_arg(self, idx: int, arg: Any) -> None:
        """Replace the positional argument at ``idx``."""
        args = list(self._args)
        args[idx] = arg
        self._set_arguments(tuple(args), self._kwargs)

    def insert_arg(self, idx: int, arg: Any) -> None:
        """Put an argument before the positional one at ``idx``."""
        if not 0 <= idx <= len(self._args):
            raise AssertionError("insert_args index must be between 0 and len(self.args)")
        self.args = (*self._args[:idx], arg, *self._args[idx:])

    def update_kwarg(self, key: str, arg: Any) -> None:
        """Set the keyword argument ``key``."""
        self.kwargs = {**self._kwargs, key: arg}

    # ---- place in the list

    @property
    def next(self) -> Node:
        """The node that runs after this one."""
        return self._next

    @property
    def prev(self) -> Node:
        """The node that runs before this one."""
        return self._prev

    def prepend(self, x: Node) -> None:
        """Move ``x`` to the place before this node.

        Raises:
            AssertionError: the nodes belong to different graphs.
        """
        if self.graph is not x.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if x is self:
            return
        x._remove_from_list()
        before = self._prev
        before._next, x._prev, x._next, self._prev = x, before, self, x
        self.graph._order_changed(x)

    def append(self, x: Node) -> None:
        """Move ``x`` to the place after this node."""
        self._next.prepend(x)

    def _remove_from_list(self) -> None:
        self._prev._next, self._next._prev = self._next, self._prev
        self._prev = self._next = self

    @property
    def _sort_key(self) -> int:
        return self.graph._place_of(self)

    def __lt__(self, other: Node) -> bool:
        return self._sort_key < other._sort_key

    def __gt__(self, other: Node) -> bool:
        return self._sort_key > other._sort_key

    def __le__(self, other: Node) -> bool:
        return self is other or self._sort_key < other._sort_key

    def __ge__(self, other: Node) -> bool:
        return self is other or self._sort_key > other._sort_key

    # ---- uses

    def replace_all_uses_with(
        self,
        replace_with: Node,
        delete_user_cb: Callable[[Node], bool] | None = None,
        *,
        propagate_meta: bool = False,
    ) -> list[Node]:
        """Use ``replace_with`` wherever this node is an argument now, and return the nodes that were changed.

        ``delete_user_cb(user)`` may keep a user as it is by returning False. ``propagate_meta=True`` also moves this
        node's ``meta`` to ``replace_with``, whose own has to be empty.
        """
        if propagate_meta:
            if replace_with.meta:
                raise AssertionError(
                    "Called node.replace_all_uses_with(replace_with, propagate_meta=True), "
                    "but replace_with already has .meta keys"
                )
            replace_with.meta.update(self.meta)
        changed = []
        for user in list(self.users):
            if delete_user_cb is None or delete_user_cb(user):
                user._replace_input(self, replace_with)
                changed.append(user)
        return changed

    def replace_input_with(self, old_input: Node, new_input: Node) -> None:
        """Use ``new_input`` in place of ``old_input`` in this node's arguments."""
        self._replace_input(old_input, new_input)

    def _replace_input(self, old: Node, new: Any) -> None:
        module = self.graph.owning_module
        for hook in getattr(module, "_replace_hooks", ()) or ():
            hook(old=old, new=getattr(new, "name", new), user=self)

        def swap(node: Node) -> Any:
            return new if node is old else node

        self._set_arguments(map_arg(self._args, swap), map_arg(self._kwargs, swap))

    def is_impure(self, impure_random: bool = True) -> bool:
        """Whether running the node does more than computing its result.

        Inputs and outputs count, and so do random operations unless ``impure_random`` is False.
        """
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_function":
            if self.target in _side_effectful_functions:
                return True
            schema = getattr(self.target, "_schema", None)
            if schema is not None:
                if impure_random and torch.Tag.nondeterministic_seeded in self.target.tags:
                    return True
                return any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments)
            return impure_random and _calls.qualified_name(self.target).rpartition("torch.")[2] in _RANDOM
        if self.op == "call_module":
            owner = self.graph.owning_module
            if owner is None:
                raise AssertionError("self.graph.owning_module not set for purity check")
            try:
                module = owner.get_submodule(self.target)
            except AttributeError:
                raise AssertionError(f"Did not find expected submodule target {self.target}") from None
            return bool(getattr(module, "_is_impure", False))
        return False

    def normalized_arguments(
        self,
        root: torch.nn.Module,
        arg_types: tuple[Any] | None = None,
        kwarg_types: dict[str, Any] | None = None,
        normalize_to_only_use_kwargs: bool = False,
    ) -> ArgsKwargsPair | None:
        """The arguments in the order of the target's signature, or None where it has none."""
        from . import operator_schemas

        if self.op == "call_function":
            return operator_schemas.normalize_function(
                self.target, self._args, self._kwargs, arg_types, kwarg_types, normalize_to_only_use_kwargs
            )
        if self.op == "call_module":
            return operator_schemas.normalize_module(
                root, self.target, self._args, self._kwargs, normalize_to_only_use_kwargs
            )
        return None

    # ---- text

    @property
    def stack_trace(self) -> str | None:
        """Where in the program the operation stood, if the tracer recorded it."""
        return self.meta.get("stack_trace")

    @stack_trace.setter
    def stack_trace(self, trace: str | None) -> None:
        self.meta["stack_trace"] = trace

    def _rename(self, candidate: str) -> None:
        if candidate != self.name:
            self.name = self.graph._graph_namespace.create_name(candidate, None)
            self.graph._graph_namespace._rename_object(self, self.name)

    @staticmethod
    def _pretty_print_target(target: object) -> str:
        """The target as the text of a graph shows it."""
        return _calls.target_text(target)

    def format_node(
        self,
        placeholder_names: list[str] | None = None,
        maybe_return_typename: list[str] | None = None,
        *,
        include_tensor_metadata: bool = False,
    ) -> str | None:
        """The node as one line of text.

        ``Graph.__str__`` passes lists that the names of inputs and the type of the result are added to.
        ``include_tensor_metadata`` shows the dtype and shape that ``meta`` has instead of a type.
        """
        kind = f" : {_type_repr(self.type)}" if self.type is not None else " :"
        if include_tensor_metadata:
            text = _metadata_text(self.meta)
            if text:
                kind = f" : {text}"
        head = f"%{self.name}{kind} [num_users={len(self.users)}]"
        if self.op == "placeholder":
            if placeholder_names:
                placeholder_names.append(str(self.target) + (f" : {_type_repr(self.type)}" if self.type else ""))
            default = f"(default={self._args[0]})" if self._args else ""
            return f"{head} = {self.op}[target={self.target}]{default}"
        if self.op == "get_attr":
            return f"{head} = {self.op}[target={self._pretty_print_target(self.target)}]"
        if self.op == "output":
            if self.type and maybe_return_typename:
                maybe_return_typename[0] = f" -> {_type_repr(self.type)}"
            return f"return {self._args[0]}"
        return (
            f"{head} = {self.op}[target={self._pretty_print_target(self.target)}]"
            f"(args = {_format_arg(self._args)}, kwargs = {_format_arg(self._kwargs)})"
        )

    def __repr__(self) -> str:
        return self._repr_fn(self) if self._repr_fn is not None else self.name

    def __deepcopy__(self, memo: dict[int, Any]) -> Node:
        """The copy in a copy of the whole graph."""
        import copy

        copy.deepcopy(self.graph, memo)
        found: Node = memo[id(self)]
        return found


def _metadata_text(meta: dict[str, Any]) -> str:
    value = meta.get("val", meta.get("tensor_meta"))
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return ""
    from .graph import dtype_abbrs

    return f"{dtype_abbrs[dtype]}[{', '.join(str(s) for s in shape)}]"
