"""Exported programs with their modules back: each submodule that was called is a module again."""

from __future__ import annotations

import abc
import copy
import operator
from typing import Any

import torch
from torch.fx import Graph, Interpreter, Node
from torch.utils import _pytree as pytree

from .exported_program import ExportedProgram, _attach, _module_at, _tensor_of, _write_back
from .graph_signature import InputKind

__all__ = ["FlatArgsAdapter", "InterpreterModule", "UnflattenedModule", "unflatten"]


class FlatArgsAdapter(abc.ABC):
    """Turns arguments of one structure into those of the structure that a program was exported with."""

    @abc.abstractmethod
    def adapt(
        self,
        target_spec: pytree.TreeSpec,
        input_spec: pytree.TreeSpec,
        input_args: list[Any],
        metadata: dict[str, Any] | None = None,
        obj: Any | None = None,
    ) -> list[Any]:
        """The leaves for ``target_spec`` from those of ``input_spec``."""

    def get_flat_arg_paths(self) -> list[str]:
        """The paths of the leaves that ``adapt`` needs; all by default."""
        return []


class InterpreterModule(torch.nn.Module):
    """A submodule of an unflattened program; it runs its part of the graph."""

    def __init__(self, graph: Graph, ty: str | None = None) -> None:
        super().__init__()
        self.graph, self._ty = graph, ty

    def type_name(self) -> str | None:
        """The class that the module was of."""
        return self._ty

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        names = [n.name for n in self.graph.nodes if n.op == "placeholder"]
        values = [*args, *(kwargs[name] for name in names[len(args) :] if name in kwargs)]
        return Interpreter(self, graph=self.graph).run(*values, enable_io_processing=False)

    def print_readable(
        self,
        print_output: bool = True,
        include_stride: bool = False,
        include_device: bool = False,
        colored: bool = False,
    ) -> str:
        """The code of the module."""
        from torch.fx.graph_module import _print_readable

        return _print_readable(self, "InterpreterModule", print_output, include_stride, include_device, colored)


class UnflattenedModule(torch.nn.Module):
    """An exported program as a module with submodules, parameters and buffers at their old paths."""

    def __init__(self, export_module: ExportedProgram, flat_args_adapter: FlatArgsAdapter | None = None) -> None:
        super().__init__()
        self.module_call_graph = copy.deepcopy(export_module.module_call_graph)
        self.graph_signature = copy.deepcopy(export_module.graph_signature)
        self.flat_args_adapter = flat_args_adapter
        self.adapted = False
        self.range_constraints = export_module.range_constraints
        for name, child in export_module.graph_module.named_children():
            self.add_module(name, child)
        cutter = _Unflatten(export_module, self)
        self.graph = cutter.run()
        cutter.attach_specs(self, self.graph)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the program.

        Raises:
            TypeError: the arguments have another structure, and there is no adapter.
        """
        signature = self.module_call_graph[0].signature
        assert signature is not None
        ordered = {n: kwargs[n] for n in (signature.in_spec.child(1).context or []) if n in kwargs}
        leaves, spec = pytree.tree_flatten((args, ordered | kwargs))
        if spec != signature.in_spec:
            if self.flat_args_adapter is None:
                raise TypeError(
                    "There is no flat args adapter specified. Are you sure you are calling this with the right "
                    f"arguments?\nExpected {signature.in_spec}\nbut got {spec}"
                )
            leaves = self.flat_args_adapter.adapt(signature.in_spec, spec, leaves, obj=self)
            self.adapted = True
        result = Interpreter(self, graph=self.graph).run(*leaves, enable_io_processing=False)
        return pytree.tree_unflatten(list(result), signature.out_spec)

    def print_readable(
        self,
        print_output: bool = True,
        include_stride: bool = False,
        include_device: bool = False,
        colored: bool = False,
    ) -> str:
        """The code of the module and of those inside it."""
        from torch.fx.graph_module import _print_readable

        return _print_readable(self, "UnflattenedModule", print_output, include_stride, include_device, colored)


class _Unflatten:
    """Cuts a graph into the parts that its modules ran."""

    def __init__(self, program: ExportedProgram, root: UnflattenedModule) -> None:
        self.program, self.root = program, root
        self.paths: dict[str, str] = {}
        for spec in program.graph_signature.input_specs:
            if spec.kind is not InputKind.USER_INPUT:
                path = str(spec.target)
                self.paths[spec.arg.name] = path
        self.calls: dict[str, int] = {}
        self.modules: list[tuple[str, InterpreterModule]] = []
        self.signatures = {e.fqn: e.signature for e in program.module_call_graph if e.fqn and e.signature is not None}
        # The nestings that graphs look up as attributes.
        self.specs: dict[Graph, dict[str, Any]] = {}

    def attach_specs(self, module: torch.nn.Module, graph: Graph) -> None:
        """Give a module the nestings that its graph looks up."""
        for name, spec in self.specs.get(graph, {}).items():
            setattr(module, name, spec)

    def _spec(self, graph: Graph, spec: Any) -> Node:
        known = self.specs.setdefault(graph, {})
        name = f"_spec_{len(known)}"
        known[name] = spec
        return graph.create_node("get_attr", name, name=name)

    def run(self) -> Graph:
        program = self.program
        flat = Graph()
        values: dict[Node, Node] = {}
        for node in program.graph.nodes:
            if node.op == "placeholder" and node.name in self.paths:
                continue
            if node.op == "placeholder":
                values[node] = flat.node_copy(node)
        for node in program.graph.nodes:
            if node.op == "placeholder" and node.name in self.paths:
                path = self.paths[node.name]
                values[node] = flat.create_node("get_attr", path, name=path.replace(".", "_"))
                values[node].meta = copy.copy(node.meta)
        for node in program.graph.nodes:
            if node.op not in ("placeholder", "output"):
                values[node] = flat.node_copy(node, lambda n: values[n])
        _write_back(program, flat, values)
        graph = self._cut(flat, list(flat.nodes), "", [])
        for entry in program.module_call_graph:
            if entry.fqn:
                self._present(entry.fqn)
        for spec in program.graph_signature.input_specs:
            if spec.kind is not InputKind.USER_INPUT:
                _attach(self.root, str(spec.target), _tensor_of(program, spec))
        return graph

    def _present(self, path: str) -> None:
        made = dict(self.modules)
        way, _, name = path.rpartition(".")
        holder = _module_at(self.root, way) if way else self.root
        if path in made and getattr(holder, name, None) is not made[path]:
            present = getattr(holder, name, None)
            if isinstance(present, torch.nn.Module):
                for child, module in present.named_children():
                    made[path].add_module(child, module)
            setattr(holder, name, made[path])
        for other, module in self.modules:
            if other.startswith(f"{path}@"):
                setattr(holder, other.rpartition(".")[2], module)

    def _where(self, node: Node, depth: str) -> str | None:
        """The path of the module, one level below ``depth``, that a node belongs to; None for its own."""
        for path, _ in node.meta.get("nn_module_stack", {}).values():
            if path != depth and (not depth or path.startswith(f"{depth}.")) and path:
                return path  # type: ignore[no-any-return]
        return None

    def _cut(
        self, source: Graph, nodes: list[Node], path: str, inputs: list[Node], signature: Any = None
    ) -> Graph:
        """A graph for some consecutive nodes, in which those of deeper modules are calls."""
        graph = Graph()
        values: dict[Node, Node] = {}
        if signature is not None:
            self._nested_inputs(source, graph, values, signature)
        for node in inputs if signature is None else ():
            values[node] = graph.placeholder(node.name)
            values[node].meta = copy.copy(node.meta)
        for node in nodes:
            if node.op == "placeholder":
                values[node] = graph.node_copy(node)
        for node in source.nodes:
            if node.op == "get_attr" and any(
                u in nodes and (u.op == "output" or self._where(u, path) is None) for u in node.users
            ):
                self._value(graph, values, node, path)
        index = 0
        while index < len(nodes):
            node = nodes[index]
            child = self._where(node, path) if node.op == "call_function" else None
            if node.op == "output":
                graph.output(torch.fx.map_arg(node.args[0], lambda n: self._value(graph, values, n, path)))
                index += 1
                continue
            if child is None:
                if node.op not in ("get_attr", "placeholder"):
                    values[node] = graph.node_copy(node, lambda n: self._value(graph, values, n, path))
                index += 1
                continue
            end = index
            while end < len(nodes) and nodes[end].op == "call_function" and self._where(nodes[end], path) == child:
                end += 1
            self._call(source, graph, values, nodes[index:end], child, path)
            index = end
        return graph

    def _value(self, graph: Graph, values: dict[Node, Node], node: Node, path: str) -> Node:
        """The node here for one of the flat graph; attributes appear where they are first used."""
        if node not in values:
            if node.op != "get_attr":
                raise RuntimeError(f"{node} is used before it is defined")
            target = node.target
            local = target[len(path) + 1 :] if path and target.startswith(f"{path}.") else target
            values[node] = graph.create_node("get_attr", local, name=local.replace(".", "_"))
            values[node].meta = copy.copy(node.meta)
        return values[node]

    def _call(
        self, source: Graph, graph: Graph, values: dict[Node, Node], part: list[Node], child: str, path: str
    ) -> None:
        inside = set(part)
        inputs: dict[Node, None] = {}
        count = self.calls.get(child, 0)
        signature = self.signatures.get(child) if count == 0 else None
        for node in part:
            for arg in node.all_input_nodes:
                own = arg.op == "get_attr" and arg.target.startswith(f"{child}.")
                if arg not in inside and not own:
                    inputs[arg] = None
        outputs = [n for n in part if any(u not in inside for u in n.users)]
        if signature is not None and not self._covers(signature, inputs, outputs):
            signature = None
        inner = self._cut(source, part, child, list(inputs), signature)
        made = {n.name: n for n in inner.nodes}
        if signature is not None:
            self._nested_call(source, graph, values, inner, made, child, path, part, signature)
            return
        returned = [made[n.name] if n.name in made else None for n in outputs]
        found = [r for r in returned if r is not None]
        inner.output(found[0] if len(found) == 1 else tuple(found))
        self.calls[child] = count + 1
        name = child if count == 0 else f"{child}@{count}"
        kind = next((t for p, t in part[0].meta["nn_module_stack"].values() if p == child), None)
        module = InterpreterModule(inner, kind)
        self.attach_specs(module, inner)
        if count:
            self._share(module, child)
        self.modules.append((name, module))
        local = name[len(path) + 1 :] if path else name
        args = tuple(self._value(graph, values, n, path) for n in inputs)
        call = graph.create_node("call_module", local, args, {}, name=local.replace(".", "_"))
        call.meta = {"nn_module_stack": part[0].meta.get("nn_module_stack", {})}
        if len(outputs) == 1:
            values[outputs[0]] = call
            call.meta["val"] = outputs[0].meta.get("val")
            return
        for i, node in enumerate(outputs):
            values[node] = graph.call_function(operator.getitem, (call, i), name=node.name)
            values[node].meta = copy.copy(node.meta)

    @staticmethod
    def _covers(signature: Any, inputs: Any, outputs: list[Node]) -> bool:
        """Whether what goes in and out of a module's part is what its signature names."""
        given = {a.name for a in signature.inputs}
        results = {a.name for a in signature.outputs}
        return all(n.name in given for n in inputs) and all(n.name in results for n in outputs)

    def _nested_inputs(self, source: Graph, graph: Graph, values: dict[Node, Node], signature: Any) -> None:
        """Parameters as the module had them, and the leaves of what they hold."""
        positional, by_name = signature.in_spec.children_specs
        args = tuple(graph.placeholder(f"_positional_arg_{i}") for i in range(len(positional.children_specs)))
        kwargs = {name: graph.placeholder(name) for name in by_name.context}
        spec = self._spec(graph, signature.in_spec)
        leaves = graph.call_function(torch.fx._pytree.tree_flatten_spec, ((args, kwargs), spec))
        nodes = {n.name: n for n in source.nodes}
        for i, argument in enumerate(signature.inputs):
            leaf = graph.call_function(operator.getitem, (leaves, i), name=argument.name or f"_constant_{i}")
            if argument.name in nodes:
                values[nodes[argument.name]] = leaf
                leaf.meta = copy.copy(nodes[argument.name].meta)

    def _nested_call(
        self, source: Graph, graph: Graph, values: dict[Node, Node], inner: Graph, made: dict[str, Node], child: str,
        path: str, part: list[Node], signature: Any,
    ) -> None:  # fmt: skip
        """Call a module with nested arguments, and take its nested result apart."""
        nodes = {n.name: n for n in source.nodes}
        spec = self._spec(inner, signature.out_spec)
        given = tuple(made[a.name] if a.name in made else getattr(a, "value", None) for a in signature.outputs)
        inner.output(inner.call_function(pytree.tree_unflatten, (given, spec)))
        self.calls[child] = 1
        kind = next((t for p, t in part[0].meta["nn_module_stack"].values() if p == child), None)
        module = InterpreterModule(inner, kind)
        self.attach_specs(module, inner)
        self.modules.append((child, module))
        local = child[len(path) + 1 :] if path else child
        leaves = [self._value(graph, values, nodes[a.name], path) if a.name in nodes else a.value
                  for a in signature.inputs]  # fmt: skip
        nested = graph.call_function(pytree.tree_unflatten, (leaves, self._spec(graph, signature.in_spec)))
        positional, by_name = signature.in_spec.children_specs
        parts = [graph.call_function(operator.getitem, (nested, i)) for i in (0, 1)]
        args = tuple(graph.call_function(operator.getitem, (parts[0], i))
                     for i in range(len(positional.children_specs)))  # fmt: skip
        kwargs = {name: graph.call_function(operator.getitem, (parts[1], name)) for name in by_name.context}
        call = graph.create_node("call_module", local, args, kwargs, name=local.replace(".", "_"))
        call.meta = {"nn_module_stack": part[0].meta.get("nn_module_stack", {})}
        flat = graph.call_function(torch.fx._pytree.tree_flatten_spec, (call, self._spec(graph, signature.out_spec)))
        for i, argument in enumerate(signature.outputs):
            result = graph.call_function(operator.getitem, (flat, i))
            if argument.name in nodes:
                values[nodes[argument.name]] = result
                result.meta = copy.copy(nodes[argument.name].meta)

    def _share(self, module: InterpreterModule, path: str) -> None:
        """Let another call of a submodule use its parameters."""
        for spec in self.program.graph_signature.input_specs:
            target = str(spec.target)
            if spec.kind is not InputKind.USER_INPUT and target.startswith(f"{path}."):
                _attach(module, target[len(path) + 1 :], _tensor_of(self.program, spec))


def unflatten(module: ExportedProgram, flat_args_adapter: FlatArgsAdapter | None = None) -> UnflattenedModule:
    """A module with the submodules that an exported program was made from.

    >>> program = torch.export.export(torch.nn.Sequential(torch.nn.Linear(2, 2)), (torch.ones(1, 2),))
    >>> torch.export.unflatten(program)
    UnflattenedModule(
      (0): InterpreterModule()
    )
    """
    return UnflattenedModule(module, flat_args_adapter)
