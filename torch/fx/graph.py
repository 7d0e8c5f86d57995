"""Graphs: programs as a list of nodes that can be read, changed and turned into Python code."""

from __future__ import annotations

import contextlib
import copy
import warnings

import torch

from . import _calls
from ._codegen import (
    CodeGen,
    PythonCode,
    _BoxedCodeGen,
    _format_target,
    _own_transformer,
    _parse_stack_trace,
    _ParsedStackTrace,
    _PyTreeCodeGen,
    _PyTreeInfo,
    dtype_abbrs,
    inplace_methods,
    magic_methods,
    reflectable_magic_methods,
)
from ._names import (
    _custom_builtins,
    _CustomBuiltin,
    _is_magic,
    _Namespace,
    _register_custom_builtin,
    _snake_case,
)
from .node import Node, map_arg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .graph_module import GraphModule

__all__ = [
    "CodeGen",
    "Graph",
    "PythonCode",
    "_BoxedCodeGen",
    "_CustomBuiltin",
    "_Namespace",
    "_ParsedStackTrace",
    "_PyTreeCodeGen",
    "_PyTreeInfo",
    "_custom_builtins",
    "_format_target",
    "_is_magic",
    "_node_list",
    "_parse_stack_trace",
    "_register_custom_builtin",
    "_snake_case",
    "dtype_abbrs",
    "inplace_methods",
    "magic_methods",
    "reflectable_magic_methods",
]

_MISSING: Any = object()


class _node_list:  # noqa: N801
    """The nodes of a graph in order; ``reversed`` gives them backwards. The one at hand may be erased meanwhile."""

    def __init__(self, graph: Graph, direction: str = "_next") -> None:
        if direction not in ("_next", "_prev"):
            raise AssertionError(f"direction must be '_next' or '_prev', got {direction}")
        self.graph, self.direction = graph, direction

    def __len__(self) -> int:
        return self.graph._len

    def __iter__(self) -> Iterator[Node]:
        root = self.graph._root
        node = getattr(root, self.direction)
        while node is not root:
            if not node._erased:
                yield node
            node = getattr(node, self.direction)

    def __reversed__(self) -> _node_list:
        return _node_list(self.graph, "_prev" if self.direction == "_next" else "_next")


class _InsertPoint:
    """Where new nodes go; as a context, until it is left."""

    def __init__(self, graph: Graph, new_insert: Callable[[Node], None]) -> None:
        self.graph = graph
        self.before = graph._insert
        graph._insert = new_insert

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        self.graph._insert = self.before


class Graph:
    """A program: inputs, operations and a result, each a ``Node``, in the order in which they run.

    >>> graph = torch.fx.Graph()
    >>> x = graph.placeholder("x")
    >>> y = graph.call_function(torch.relu, (x,))
    >>> _ = graph.output(y)
    >>> print(graph)
    graph():
        %x : [num_users=1] = placeholder[target=x]
        %relu : [num_users=1] = call_function[target=torch.relu](args = (%x,), kwargs = {})
        return relu
    """

    def __init__(
        self,
        owning_module: GraphModule | None = None,
        tracer_cls: Any = None,
        tracer_extras: dict[str, Any] | None = None,
    ) -> None:
        self._root = Node(self, "", "root", "", (), {})
        self._used_names: dict[str, int] = {}
        self._len = 0
        self._insert: Callable[[Node], None] = self._root.prepend
        self._stale = False
        self._graph_namespace = _Namespace()
        self._owning_module = owning_module
        self._tracer_cls, self._tracer_extras = tracer_cls, tracer_extras
        self._codegen = CodeGen()
        self._co_fields: dict[str, Any] = {}

    @property
    def owning_module(self) -> GraphModule | None:
        """The module that the graph is the program of."""
        return self._owning_module

    @owning_module.setter
    def owning_module(self, mod: GraphModule | None) -> None:
        self._owning_module = mod

    @property
    def nodes(self) -> _node_list:
        """All nodes in order."""
        return _node_list(self)

    # ---- order

    def _order_changed(self, node: Node) -> None:
        if node._next is self._root and not self._stale:
            node._place = node._prev._place + 1
        else:
            self._stale = True

    def _place_of(self, node: Node) -> int:
        if self._stale:
            for place, each in enumerate(self.nodes, 1):
                each._place = place
            self._stale = False
        return node._place

    def find_nodes(self, *, op: str, target: Any = None, sort: bool = True) -> list[Node]:
        """The nodes of a kind, in order; with ``target``, only those of that target.

        Raises:
            AssertionError: ``op`` is "call_function" and ``target`` is missing.
        """
        if target is None and op == "call_function":
            raise AssertionError("target must not be None for call_function op")
        found = [n for n in self.nodes if n.op == op and (target is None or op == "output" or n.target == target)]
        return found

    def output_node(self) -> Node:
        """The node that returns the result."""
        node = next(iter(reversed(self.nodes)), None)
        if node is None or node.op != "output":
            raise AssertionError(f"the last node is not an output: {node}")
        return node

    # ---- making nodes

    def create_node(
        self,
        op: str,
        target: Any,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        name: str | None = None,
        type_expr: Any = None,
    ) -> Node:
        """Make a node and put it at the insertion point: the end, unless ``inserting_before`` or ``_after`` says else.

        Raises:
            AssertionError: the kind is unknown, or ``args`` is no tuple or ``kwargs`` no dictionary.
            ValueError: the target does not fit the kind.
        """
        args, kwargs = () if args is None else args, {} if kwargs is None else kwargs
        if not isinstance(args, tuple):
            raise AssertionError(f"args must be a tuple, got {type(args)}")
        if not isinstance(kwargs, dict):
            raise AssertionError(f"kwargs must be a dict, got {type(kwargs)}")
        name = self._graph_namespace.create_name(name if name is not None else self._target_to_str(target), None)
        node = Node(self, name, op, target, args, kwargs, type_expr)
        if op == "placeholder" or self.owning_module is not None:
            for hook in getattr(self.owning_module, "_create_node_hooks", ()):
                hook(node)
        self._graph_namespace.associate_name_with_obj(name, node)
        self._insert(node)
        self._len += 1
        return node

    def _create_named(self, op: str, target: Any, args: Any, kwargs: Any, name: str, type_expr: Any = None) -> Node:
        """``create_node`` with exactly this name if it is free, even where it means something in Python."""
        free = name not in self._graph_namespace._used_names
        made = self.create_node(op, target, args, kwargs, name, type_expr)
        if free and made.name != name:
            made.name = name
            self._graph_namespace._rename_object(made, name)
        return made

    def _target_to_str(self, target: Any) -> str:
        """The name that a node of this target asks for."""
        if callable(target):
            return _snake_case(_calls.short_name(target))
        if not isinstance(target, str):
            raise AssertionError(f"Expected target to be str, got {type(target)}")
        return _snake_case(target[2:-2] if _is_magic(target) else target)

    def placeholder(self, name: str, type_expr: Any = None, default_value: Any = _MISSING) -> Node:
        """An input; ``name`` is the parameter's, with its asterisks if it takes the rest."""
        args = () if default_value is _MISSING or _is_empty(default_value) else (default_value,)
        return self.create_node("placeholder", name, args=args, type_expr=type_expr)

    def get_attr(self, qualified_name: str, type_expr: Any = None) -> Node:
        """An attribute of the module, by its path. Warns where the owning module has none."""
        module = self.owning_module
        if module is not None and not _reaches(module, qualified_name):
            warnings.warn(
                "Attempted to insert a get_attr Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule, GraphModule.add_parameter to add the "
                "necessary Parameter, or nn.Module.register_buffer to add the necessary buffer",
                stacklevel=2,
            )
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(
        self,
        module_name: str,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        type_expr: Any = None,
    ) -> Node:
        """A call of a submodule, by its path. Warns where the owning module has none."""
        module = self.owning_module
        if module is not None and not _reaches(module, module_name):
            warnings.warn(
                "Attempted to insert a call_module Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule",
                stacklevel=2,
            )
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def call_method(
        self,
        method_name: str,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        type_expr: Any = None,
    ) -> Node:
        """A call of a method of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_function(
        self,
        the_function: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        type_expr: Any = None,
        name: str | None = None,
    ) -> Node:
        """A call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name=name, type_expr=type_expr)

    def output(self, result: Any, type_expr: Any = None) -> Node:
        """The node that returns ``result``."""
        return self.create_node("output", "output", args=(result,), type_expr=type_expr)

    def node_copy(self, node: Node, arg_transform: Callable[[Node], Any] = lambda x: x) -> Node:
        """A copy, in this graph, of a node of another; ``arg_transform`` gives the nodes that its arguments become."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        if not isinstance(args, tuple):
            raise AssertionError(f"Expected args to be tuple, got {type(args)}")
        made = self._create_named(node.op, node.target, args, dict(kwargs), node.name, node.type)
        made.meta = copy.copy(node.meta)
        return made

    def graph_copy(self, g: Graph, val_map: dict[Node, Node], return_output_node: bool = False) -> Any:
        """Copy the nodes of ``g`` into this graph, all but the output, and return what that would return here.

        ``val_map`` gets the copy of each node; those that are in it already are not copied. With
        ``return_output_node=True`` a pair of that value and the output node is returned.
        """
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                value = map_arg(node.args[0], lambda n: val_map[n])
                return value if not return_output_node else (value, node)
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Graph:
        memo = {} if memo is None else memo
        made = Graph(tracer_cls=self._tracer_cls)
        made._tracer_extras = self._tracer_extras
        copies: dict[Node, Node] = {}
        found = made.graph_copy(self, copies, return_output_node=True)
        for old, new in copies.items():
            memo[id(old)] = new
            new.meta = copy.copy(old.meta)
        if found is not None:
            value, old_output = found
            output = made.output(value, type_expr=old_output.type)
            output.meta = copy.copy(old_output.meta)
            memo[id(old_output)] = output
        made._codegen = copy.deepcopy(self._codegen)
        made._co_fields = self._co_fields
        memo[id(self)] = made
        return made

    # ---- changing

    def inserting_before(self, n: Node | None = None) -> _InsertPoint:
        """Put new nodes before ``n``, or before all others. As a context, only inside it."""
        if n is None:
            return self.inserting_after(self._root)
        if n.graph is not self:
            raise AssertionError("Node to insert before is not in graph.")
        return _InsertPoint(self, n.prepend)

    def inserting_after(self, n: Node | None = None) -> _InsertPoint:
        """Put new nodes right after ``n``, or after all others. As a context, only inside it."""
        if n is None:
            return self.inserting_before(self._root)
        if n.graph is not self:
            raise AssertionError("Node to insert after is not in graph.")
        return _InsertPoint(self, n.append)

    def erase_node(self, to_erase: Node) -> None:
        """Take a node out that nobody uses.

        Raises:
            RuntimeError: another node uses it, or it belongs to another graph.
        """
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                f"{to_erase.users}!"
            )
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase._erased:
            warnings.warn(f"erase_node({to_erase}) on an already erased node", stacklevel=2)
            return
        for hook in getattr(self.owning_module, "_erase_node_hooks", ()):
            hook(to_erase)
        # An iteration that is at this node goes on from it: its own links stay.
        to_erase._prev._next, to_erase._next._prev = to_erase._next, to_erase._prev
        to_erase._erased = True
        self._len -= 1
        to_erase._set_arguments(
            map_arg(to_erase.args, lambda n: None),
            map_arg(to_erase.kwargs, lambda n: None),  # type: ignore[arg-type]
        )

    def eliminate_dead_code(self, is_impure_node: Callable[[Node], bool] | None = None) -> bool:
        """Erase the nodes that nobody uses, unless they do more than compute; whether there were any.

        ``is_impure_node`` decides instead of ``Node.is_impure``.
        """
        self.lint()
        keep = is_impure_node or _keeps
        changed = False
        for node in reversed(self.nodes):
            if not node.users and not keep(node):
                self.erase_node(node)
                changed = True
        for node in self.nodes:
            for part in _subgraphs(self.owning_module, node):
                changed |= part.graph.eliminate_dead_code(is_impure_node)
        return changed

    def lint(self) -> None:
        """Check that the graph is well made.

        Raises:
            RuntimeError: a node belongs to another graph, is used before it is defined, has the name of another, or
                refers to a part that the owning module lacks.
        """
        seen: dict[Node, None] = {}
        names: set[str] = set()
        for node in self.nodes:
            self._lint_node(node, seen)
            if node.name in names:
                raise RuntimeError(f"Node redefined name {node.name}!")
            names.add(node.name)
            seen[node] = None
        if self.owning_module is not None:
            for node in self.nodes:
                if node.op in ("call_module", "get_attr"):
                    _lint_target(self.owning_module, node)

    def _lint_node(self, node: Node, seen: dict[Node, None]) -> None:
        if node.graph is not self:
            raise RuntimeError(f"Node '{node}' does not belong to this Graph!")
        for arg in node.all_input_nodes:
            if arg.graph is not self:
                raise RuntimeError(
                    f"Argument '{arg}' of Node '{node}' does not belong to this Graph, but was used as an argument! "
                    "If you are copying nodes from another graph, make sure to use ``arg_transform`` on node_copy() to "
                    f"remap values\n{self}"
                )
            if arg not in seen:
                raise RuntimeError(
                    f"Argument '{arg}' of Node '{node}' was used before it has been defined! Please check that Nodes "
                    f"in the graph are topologically ordered\n{self}"
                )

    # ---- code

    def set_codegen(self, codegen: CodeGen) -> None:
        """Let another ``CodeGen`` write the code."""
        self._codegen = codegen

    def process_inputs(self, *args: Any) -> Any:
        """The values of the placeholders for the arguments of the function."""
        return self._codegen.process_inputs(*args)

    def process_outputs(self, out: Any) -> Any:
        """What the function returns for the graph's result."""
        return self._codegen.process_outputs(out)

    def python_code(
        self,
        root_module: str,
        *,
        verbose: bool = False,
        include_stride: bool = False,
        include_device: bool = False,
        colored: bool = False,
        expanded_def: bool = False,
        record_func: bool = False,
        additional_meta: list[str] | None = None,
    ) -> PythonCode:
        """The graph as the source of a function ``forward``; ``root_module`` is what it calls the module.

        ``verbose`` adds where each line comes from, and the dtype and shape of each result where they are known.
        """
        namespace = _Namespace()
        before = [(node, node._repr_fn) for node in self.nodes]

        def name_of(n: Node) -> str:
            return namespace.create_name(n.name, n)

        for node, _ in before:
            node._repr_fn = name_of
        try:
            return self._codegen._gen_python_code(
                self.nodes,
                root_module,
                namespace,
                verbose=verbose,
                include_stride=include_stride,
                include_device=include_device,
                colored=colored,
                expanded_def=expanded_def,
                record_func=record_func,
                additional_meta=additional_meta,
            )
        finally:
            for node, function in before:
                node._repr_fn = function

    def on_generate_code(self, make_transformer: Callable[[Any], Any]) -> contextlib.AbstractContextManager[None]:
        """Let a function change the lines of the body before they become code, inside the context or for good.

        ``make_transformer`` gets the transformer so far, or None, and returns the new one: a function of a list of
        strings that returns another.
        """
        before = self._codegen._body_transformer
        self._codegen._body_transformer = make_transformer(before)
        context = _own_transformer(self._codegen, self._codegen._body_transformer)

        @contextlib.contextmanager
        def inside() -> Iterator[None]:
            with context:
                try:
                    yield
                finally:
                    pass
            self._codegen._body_transformer = before

        return inside()

    def print_tabular(self) -> None:
        """Print the nodes as a table. Needs the library ``tabulate``.

        Raises:
            ImportError: ``tabulate`` is not there.
        """
        try:
            from tabulate import tabulate
        except ImportError:
            print(
                "`print_tabular` relies on the library `tabulate`, which could not be found on this machine. Run `pip "
                "install tabulate` to install the library."
            )
            raise
        rows = [[n.op, n.name, n.target, n.args, n.kwargs] for n in self.nodes]
        print(tabulate(rows, headers=["opcode", "name", "target", "args", "kwargs"]))

    def __str__(self) -> str:
        return "graph():" + "".join(f"\n    {node.format_node()}" for node in self.nodes)


def _is_empty(value: Any) -> bool:
    import inspect

    return value is inspect.Signature.empty


def _reaches(module: torch.nn.Module, path: str) -> bool:
    value: Any = module
    for part in path.split("."):
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True


def _keeps(node: Node) -> bool:
    return node.is_impure()


def _subgraphs(module: Any, node: Node) -> list[Any]:
    """The graph modules that an operation on functions takes as arguments."""
    if module is None or node.op != "call_function":
        return []
    found = []
    for arg in node.all_input_nodes:
        part = getattr(module, arg.target, None) if arg.op == "get_attr" and "." not in arg.target else None
        if isinstance(part, torch.nn.Module) and isinstance(getattr(part, "graph", None), Graph):
            found.append(part)
    return found


def _lint_target(module: Any, node: Node) -> None:
    """Check that the path of a node leads somewhere."""
    value: Any = module
    atoms = node.target.split(".")
    for i, atom in enumerate(atoms):
        if not hasattr(value, atom):
            raise RuntimeError(
                f"Node {node} target {node.target} references nonexistent attribute {atom} of {'.'.join(atoms[:i])}"
            )
        value = getattr(value, atom)
        last = i == len(atoms) - 1
        if last and node.op == "call_module" and not isinstance(value, torch.nn.Module):
            raise RuntimeError(
                f"Node {node} target {node.target} {atom} of {'.'.join(atoms[:i])} does not reference an nn.Module"
            )
